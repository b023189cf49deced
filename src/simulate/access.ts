// What a trace says of one request, in the form in which the simulation takes it.

import type { Command } from '../commands/command.ts';
import { findKeys, KeyPositions } from '../commands/keys.ts';
import { viewOf } from '../resp3/hash.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';

/** What a reader made of a line: a request, the size of a value, nothing to simulate, or nothing it understands. */
export const REQUEST = 0;
export const SIZE = 1;
export const NOTHING = 2;
export const MALFORMED = 3;
export type Seen = typeof REQUEST | typeof SIZE | typeof NOTHING | typeof MALFORMED;

/** A read whose reply may be kept; any other read; a write of the keys; a write of everything. */
export const KEEPABLE = 0;
export const OTHER_READ = 1;
export const WRITE = 2;
export const WRITE_ALL = 3;
export type Kind = typeof KEEPABLE | typeof OTHER_READ | typeof WRITE | typeof WRITE_ALL;

const EMPTY = Buffer.alloc(0);

/** One request. Readers use one of them again for every line, and its bytes are good until the next. */
export class Access {
  /** By the clock of the trace, in milliseconds. */
  ms = 0;
  kind: Kind = KEEPABLE;
  db = 0;
  buf: Buffer = EMPTY;
  view: DataView = viewOf(EMPTY);
  /** The request: other bytes here are another request. As many as it had on the wire, or about so many. */
  start = 0;
  end = 0;
  keyCount = 0;
  /** Pairs of where a key begins and ends in `buf`. */
  keys = new Int32Array(16);
  /** Bytes of the reply, or of the value for `SIZE`; NaN where nobody knows. */
  bytes = Number.NaN;

  addKey(start: number, end: number): void {
    if (this.keyCount * 2 === this.keys.length) {
      const more = new Int32Array(this.keys.length * 2);
      more.set(this.keys);
      this.keys = more;
    }
    this.keys[this.keyCount * 2] = start;
    this.keys[this.keyCount * 2 + 1] = end;
    this.keyCount++;
  }
}

/** Reads one format, line by line. */
export interface TraceReader {
  readonly access: Access;
  /** The line `buf[start, end)` without its line end; `cut`: it was longer, and its end is missing. */
  read(buf: Buffer, start: number, end: number, cut: boolean): Seen;
}

const positions = new KeyPositions();

/** Fills in what a request is, from its command and arguments; false when it is about no key. */
export function classify(access: Access, command: Command, frame: RequestFrame): boolean {
  access.keyCount = 0;
  const count = findKeys(command, frame, positions);
  const { start, args } = frame;
  for (let i = 0; i < count; i++) {
    const at = positions.at[i] * 2;
    access.addKey(start + args[at], start + args[at + 1]);
  }
  access.kind = kindOf(command, count);
  return count > 0 || (count === 0 && writesAll(command));
}

/** What a request of that command with so many keys is. */
export function kindOf(command: Command, keys: number): Kind {
  if (command.cacheable && keys === 1) return KEEPABLE;
  if (command.isRead) return OTHER_READ;
  return keys === 0 ? WRITE_ALL : WRITE;
}

/** Whether the command without a key changes all of them. */
export function writesAll({ name }: Command): boolean {
  return name === 'flushall' || name === 'flushdb' || name === 'swapdb';
}
