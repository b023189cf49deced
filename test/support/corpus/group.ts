// How the calls of the corpus are written, one group of lines at a time, and what they become.
//
//   SET @k v        words are arguments; those in double quotes are JSON strings
//   @k ^k           a key in the slot of `@`, and one in another slot that the same node of a cluster serves
//   b> GET @k       on another connection of the group; `a` where nothing is said
//   SUB a b => 2    so many replies come (one, where nothing is said); none with `=> 0`
//   QUIT => end     one reply, then the connection closes
//   b< 2            so many replies or pushes come without a new call; `b< end`: the connection closes
//   ? blocked 1     once so many clients are blocked in the server
//
// Calls are divided by ` | ` or a new line. LAST is the last bulk string or integer that was the reply to a call.

import type { Argument } from '../../../src/resp3/encode.ts';

export type Topology = 'standalone' | 'cluster';

export interface Call {
  /** As it is written. */
  readonly text: string;
  readonly connection: string;
  /** Empty when nothing is sent. */
  readonly args: readonly Argument[];
  /** Those of the arguments that are keys. */
  readonly keys: readonly Argument[];
  /** How many replies and pushes to await. */
  readonly replies: number;
  /** Whether the connection closes behind them. */
  readonly ends: boolean;
  /** Wait for so many clients to be blocked; 0: no wait. */
  readonly blocked: number;
}

export interface CorpusGroup {
  readonly title: string;
  readonly calls: readonly Call[];
  /** Where it can be run; everywhere when not told. */
  readonly topology?: Topology;
  readonly protocol?: 2 | 3;
}

/** Hash tags of two slots close to each other, so that one node of a cluster serves both. */
export const TAGS: Readonly<Record<string, string>> = { '@': '{h}', '^': '{d}' };

/** Stands for the last reply, which differs between the servers. */
export const LAST = 'LAST';

/** Stand for arguments that cannot be written in a line. */
const WORDS: Readonly<Record<string, Buffer>> = {
  BINARY: Buffer.from([0, 255, 13, 10, 36, 45, 0]),
  MEGABYTE: Buffer.alloc(1024 * 1024, 'heatsink\r\n'),
  // Longer than what Redis repeats of an unknown command.
  LONG: Buffer.alloc(300, 'x'),
};

export function group(
  title: string,
  lines: string,
  where: { readonly topology?: Topology; readonly protocol?: 2 | 3 } = {},
): CorpusGroup {
  const calls = lines
    .trim()
    .split(/ \| |\n/)
    .map(parseCall);
  return { title, calls, ...where };
}

const CALL =
  /^(?:\? blocked (?<blocked>\d+)|(?<from>\w?)< (?<more>\d+|end)|(?:(?<to>\w)> )?(?<command>.*?)(?: => (?<count>\d+|end))?)$/s;

function parseCall(text: string): Call {
  const { blocked, from, more, to, command = '', count = '1' } = CALL.exec(text)?.groups ?? {};
  const words = command.match(/[@^]?"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  const args = words.map(parseWord);
  const keys = args.filter((_, i) => /^[@^]/.test(words[i]));
  const call = { text, connection: to || from || 'a', args, keys };
  if (blocked !== undefined) return { ...call, replies: 0, ends: false, blocked: Number(blocked) };
  if (more !== undefined) return { ...call, replies: Number(more) || 0, ends: more === 'end', blocked: 0 };
  return { ...call, replies: count === 'end' ? 1 : Number(count), ends: count === 'end', blocked: 0 };
}

function parseWord(word: string): Argument {
  const tag = TAGS[word[0]];
  if (tag !== undefined) return Buffer.concat([Buffer.from(tag), bytesOf(word.slice(1))]);
  return word === LAST ? LAST : bytesOf(word);
}

function bytesOf(word: string): Buffer {
  return WORDS[word] ?? Buffer.from(word.startsWith('"') ? JSON.parse(word) : word);
}
