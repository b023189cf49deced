// How large a value is: a string by its own bytes, anything else by those that it takes on the wire or, where it is
// sent, by those of its arguments; and the number of its elements.

import { argumentIs } from '../../commands/argument.ts';
import type { Command } from '../../commands/command.ts';
import { lineEnd, parseLength } from '../../resp3/length.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';

export interface Size {
  readonly bytes: number;
  /** 0 for a string, and for a reply that is no value at all. */
  readonly elements: number;
}

/** How many arguments make one element; of all other commands that take any number of them each one does. */
const PER_ELEMENT: ReadonlyMap<string, number> = new Map([
  ['hset', 2],
  ['hmset', 2],
  ['zadd', 2],
  ['xadd', 2],
  ['geoadd', 3],
]);
/** They take one string for each key, and options. */
const STRINGS = new Set(['set', 'mset', 'msetnx', 'getex', 'restore', 'bitfield', 'bitfield_ro']);

/** The size of the reply of that many bytes at `start`, where `buf` has at least its first line and a byte more. */
export function sizeOfReply(
  buf: Buffer,
  start: number,
  bytes: number,
  command: Command,
  frame: RequestFrame,
): Size {
  const cr = lineEnd(buf, start, buf.length);
  const length = cr < 0 ? 0 : parseLength(buf, start + 1, cr);
  switch (buf[start]) {
    case TYPE.bulk:
    case TYPE.verbatim:
      return { bytes: Math.max(length, 0), elements: 0 };
    case TYPE.array: {
      if (isOnePerKey(command)) return { bytes, elements: 0 };
      // RESP2 has no maps: fields and values, or members and scores, stand in turn.
      const flat = buf[cr + 2] !== TYPE.array && asksForPairs(command, frame);
      return { bytes, elements: flat ? length / 2 : Math.max(length, 0) };
    }
    case TYPE.set:
    case TYPE.map:
      return { bytes, elements: length };
    default:
      return { bytes, elements: 0 };
  }
}

/** Whether the reply has one value for each key, as that of MGET. */
export function isOnePerKey({ isRead, requestPolicy }: Command): boolean {
  return isRead && requestPolicy === 'multi_shard';
}

/** The size of what the arguments from `first` up to `end` say of one key. */
export function sizeOfArguments(frame: RequestFrame, command: Command, first: number, end: number): Size {
  return { bytes: bytesOf(frame, first, end), elements: elementsIn(command, end - first) };
}

/** The size of a request whose key has come, and of which all arguments have that many bytes together. */
export function sizeOfUpload(frame: RequestFrame, command: Command, bytes: number): Size {
  const first = command.fixedKey + 1;
  return { bytes: bytes - bytesOf(frame, 0, first), elements: elementsIn(command, frame.argc - first) };
}

function bytesOf({ args }: RequestFrame, first: number, end: number): number {
  let bytes = 0;
  for (let i = first; i < end; i++) bytes += args[i * 2 + 1] - args[i * 2];
  return bytes;
}

function elementsIn({ name, arity }: Command, count: number): number {
  return arity > 0 || STRINGS.has(name) ? 0 : Math.floor(count / (PER_ELEMENT.get(name) ?? 1));
}

function asksForPairs({ name }: Command, frame: RequestFrame): boolean {
  if (name === 'hgetall') return true;
  for (let i = frame.argc - 1; i > 1; i--)
    if (argumentIs(frame, i, 'withscores') || argumentIs(frame, i, 'withvalues')) return true;
  return false;
}
