// HEATSINK: what heatsink alone can tell. A row here, and the function that serves it, make a subcommand.

import { arrayReply, errorReply, simpleString } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentText } from './argument.ts';

interface Subcommand {
  /** The number of arguments with both names, as COMMAND gives it; negative: at least so many. */
  readonly arity: number;
  /** Lines of HEATSINK HELP: how it is written, then what it does. */
  readonly help: readonly string[];
}

export const SUBCOMMANDS = {
  bigkeys: {
    arity: -2,
    help: [
      'BIGKEYS [<count>]',
      '    Return keys of which large values were seen, the largest first (default: all that are remembered).',
      '    Each is a map of the key, its database, the most bytes and elements that were seen, the command and',
      '    direction of the most bytes, the Unix times of the first and the last sight, and how often it was seen.',
    ],
  },
  slowlog: {
    arity: -3,
    help: [
      'SLOWLOG GET [<count>]',
      '    Return top <count> entries of the log of slow upstream commands (default: 10, -1 mean all).',
      '    Entries are made of:',
      '    id, timestamp, time in microseconds, arguments array, client IP and port,',
      '    client name, node IP and port',
      'SLOWLOG LEN',
      '    Return the length of that log.',
      'SLOWLOG RESET',
      '    Reset that log.',
    ],
  },
  help: { arity: 2, help: ['HELP', '    Prints this help.'] },
} as const satisfies Record<string, Subcommand>;

export type SubcommandName = keyof typeof SUBCOMMANDS;

const NAME = 'heatsink';
/** It is about now, not about when a transaction is executed. */
const FLAGS = ['noscript', 'loading', 'stale', 'no_multi'];
const TITLE = 'HEATSINK <subcommand> [<arg> [value] [opt] ...]. Subcommands are:';

/** Those that tell of keys or clients, in full lower case. */
export const TELLING: readonly string[] = Object.keys(SUBCOMMANDS)
  .filter((name) => name !== 'help')
  .map(fullName);

/** Whether that is HEATSINK or one of its subcommands, by its lower-case name. */
export function isOwnCommand(name: string): boolean {
  return name === NAME || name.startsWith(`${NAME}|`);
}

/** What a row of COMMAND would say of it, had the server one. */
export function ownCommandRow(): unknown[] {
  const subcommands = Object.entries<Subcommand>(SUBCOMMANDS).map(([name, { arity }]) =>
    rawRow(fullName(name), arity, []),
  );
  return rawRow(NAME, -2, subcommands);
}

/** The subcommand whose row that name is of; null for the container, which no request is meant for. */
export function subcommandOf(name: string): SubcommandName | null {
  const sub = name.slice(NAME.length + 1);
  return Object.hasOwn(SUBCOMMANDS, sub) ? (sub as SubcommandName) : null;
}

/** In the manner of Redis's HELP. */
export function helpReply(): Buffer {
  const lines = Object.values<Subcommand>(SUBCOMMANDS).flatMap(({ help }) => help);
  return arrayReply([TITLE, ...lines].map(simpleString));
}

/** Redis's words for a subcommand that there is not: the argument at that place. */
export function unknownSubcommand(frame: RequestFrame, at: number): Buffer {
  // It prints so much of what a client has sent, as a C string.
  const word = argumentText(frame, at).slice(0, 128).split('\0')[0];
  return errorReply(`ERR unknown subcommand '${word}'. Try HEATSINK HELP.`);
}

export function wrongNumber(name: string): Buffer {
  return errorReply(`ERR wrong number of arguments for '${name}' command`);
}

function fullName(name: string): string {
  return `${NAME}|${name}`;
}

function rawRow(name: string, arity: number, subcommands: unknown[]): unknown[] {
  // Help tells nobody of keys or clients.
  const flags = name === fullName('help') ? FLAGS : ['admin', ...FLAGS];
  return [name, arity, flags, 0, 0, 0, [], [], [], subcommands];
}
