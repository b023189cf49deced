// Cuts one request with keys on several shards into one request a shard, from the bytes it came in.

import type { RequestFrame } from '../resp3/request-frame.ts';
import type { Command } from './command.ts';
import type { KeyPositions } from './keys.ts';

/** What one shard gets of a request. */
export interface Part {
  readonly shard: number;
  readonly request: Buffer;
  /** Which keys of the original request it has: 0 is the first key, whatever arguments lie before it. */
  readonly positions: readonly number[];
}

/**
 * The parts of a `multi_shard` request, each with the command's name, the arguments that belong to each of its
 * keys (MSET's values), and those before the first and after the last key. `shardOf` is given the number of
 * the argument that is the key. Parts come in the order of their first keys.
 */
export function splitByShard(
  command: Command,
  frame: RequestFrame,
  keys: KeyPositions,
  shardOf: (argument: number) => number,
): Part[] {
  const byShard = new Map<number, number[]>();
  for (let i = 0; i < keys.count; i++) {
    const shard = shardOf(keys.at[i]);
    const positions = byShard.get(shard);
    if (positions === undefined) byShard.set(shard, [i]);
    else positions.push(i);
  }
  const step = command.keySpecs[0].step;
  const head = slice(frame, 0, keys.at[0]);
  const behind = keys.at[keys.count - 1] + step;
  const tail = slice(frame, behind, frame.argc);
  const around = keys.at[0] + frame.argc - behind;
  return Array.from(byShard, ([shard, positions]) => {
    const header = Buffer.from(`*${around + positions.length * step}\r\n`);
    const groups = positions.map((i) => slice(frame, keys.at[i], keys.at[i] + step));
    return { shard, request: Buffer.concat([header, head, ...groups, tail]), positions };
  });
}

/** The bytes of the arguments [from, to), lengths and line ends included. */
function slice(frame: RequestFrame, from: number, to: number): Buffer {
  const { buf, start, args } = frame;
  // The first argument begins behind the line that counts the arguments.
  const begin = from === 0 ? buf.indexOf(10, start) + 1 : start + args[from * 2 - 1] + 2;
  return to > from ? buf.subarray(begin, start + args[to * 2 - 1] + 2) : buf.subarray(begin, begin);
}
