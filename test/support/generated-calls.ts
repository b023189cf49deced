// Calls that nobody needs to write: mistakes in the number of arguments of every command that the server has, and
// calls of the corpus on keys that are missing or hold another type.

import type { Argument } from '../../src/resp3/encode.ts';
import type { Call, CorpusGroup } from './corpus/group.ts';

/** A command or subcommand (`config|get`) in the server's COMMAND table. */
export interface TableRow {
  readonly name: string;
  /** The number of arguments with the name; negative: at least so many. */
  readonly arity: number;
  readonly isRead: boolean;
  /** Whether it only holds subcommands. */
  readonly isContainer: boolean;
}

/** All commands and subcommands in a COMMAND reply as ioredis decodes it. */
export function tableRows(reply: unknown): TableRow[] {
  return (reply as unknown[][]).flatMap((row) => {
    const subcommands = (row[9] ?? []) as unknown[][];
    const own = {
      name: String(row[0]),
      arity: Number(row[1]),
      isRead: (row[2] as string[]).includes('readonly'),
      isContainer: subcommands.length > 0,
    };
    return [own, ...tableRows(subcommands)];
  });
}

/** Each command with an argument too few and one too many; each container with an unknown subcommand and HELP. */
export function wrongCalls(rows: readonly TableRow[]): Call[] {
  return rows.flatMap(({ name, arity, isContainer }) => {
    const words = name.toUpperCase().split('|');
    const withArguments = (count: number) => [...words, ...Array(count - words.length).fill('x')];
    const calls: string[][] = [];
    if (Math.abs(arity) > words.length) calls.push(withArguments(Math.abs(arity) - 1));
    if (arity > 0) calls.push(withArguments(arity + 1));
    if (isContainer) calls.push([...words, 'NONSENSE'], [...words, 'HELP'], [...words, 'HELP', 'x']);
    return calls.map((args) => plainCall(args));
  });
}

/** Longer arguments would make the whole many megabytes. */
const LONGEST = 1000;

/**
 * Every call of the groups that has keys, three times: all of them missing, all holding a string, all a list.
 * Nothing but these calls may be between.
 */
export function callsOnOtherTypes(groups: readonly CorpusGroup[]): Call[] {
  const calls = groups
    .flatMap((group) => group.calls)
    .filter(({ keys, args }) => keys.length > 0 && !keys.some(isPattern) && args.every(isShort));
  return calls.flatMap((call) => [
    ...call.keys.map((key) => plainCall(['DEL', key])),
    call,
    ...call.keys.flatMap((key) => [plainCall(['DEL', key]), plainCall(['SET', key, 'text'])]),
    call,
    ...call.keys.flatMap((key) => [plainCall(['DEL', key]), plainCall(['RPUSH', key, 'a', 'b'])]),
    call,
  ]);
}

const bytesOf = (arg: Argument): Buffer => Buffer.from(typeof arg === 'object' ? arg : `${arg}`);
const isPattern = (key: Argument): boolean => bytesOf(key).includes('*');
const isShort = (arg: Argument): boolean => bytesOf(arg).length < LONGEST;

function plainCall(args: readonly Argument[]): Call {
  const text = args.map((arg) => bytesOf(arg).toString('latin1')).join(' ');
  return { text, connection: 'a', args, keys: [], replies: 1, ends: false, blocked: 0 };
}
