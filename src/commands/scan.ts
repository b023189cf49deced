// SCAN over all shards: the cursor that a client carries says which shard's turn it is and where it is there, so
// that nothing need be remembered between two calls. From its lowest digits up it is made of
//
//   slot    14 bits   whose turn it is: the master that is named by this slot (upstream/turns.ts)
//   tag      7 bits   which masters had their turns; other bits mean that slots have moved between them since
//   from     5 bits   since when: slots below this many steps of 512 were walked over before the map last changed
//   cursor  38 bits   that of the node
//
// 64 bits suffice: a node's cursor is below the size of its hash table, 2^38 buckets. Redis 7.4 and Valkey 8 have a
// table for each slot and put the slot's 14 bits below its cursor, which leaves 2^24 buckets for one slot.
// https://redis.io/docs/latest/commands/scan/

import { encodeRequest } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argument } from './argument.ts';

export interface ScanPosition {
  readonly slot: number;
  readonly tag: number;
  /** In steps of FROM_STEP slots. */
  readonly from: number;
  /** The cursor of the node. */
  readonly cursor: bigint;
}

export const FROM_STEP = 512;

const LIMIT = 2n ** 64n;
/** The reply's head: an array of the cursor, a bulk string, and the keys. */
const HEAD = /^\*2\r\n\$\d+\r\n(\d+)\r\n/;
const HEAD_MAX = 48;

/** The number that a client sends; null for what Redis would call an invalid cursor. */
export function readCursor(text: string): bigint | null {
  // As strtoul reads it: nothing is 0, and a minus sign wraps.
  if (!/^([+-]?\d+)?$/.test(text)) return null;
  const number = BigInt(text.replace(/^\+/, '') || '0');
  return number >= LIMIT || number <= -LIMIT ? null : BigInt.asUintN(64, number);
}

export function splitCursor(value: bigint): ScanPosition {
  const low = Number(value & 0x3ffffffn);
  return { slot: low & 0x3fff, tag: (low >> 14) & 0x7f, from: low >> 21, cursor: value >> 26n };
}

/** The inverse; null when it takes more than 64 bits. */
export function joinCursor({ slot, tag, from, cursor }: ScanPosition): bigint | null {
  const value = (cursor << 26n) | BigInt((from << 21) | (tag << 14) | slot);
  return value < LIMIT ? value : null;
}

/** The SCAN in the frame with another cursor. */
export function scanWith(frame: RequestFrame, cursor: bigint): Buffer {
  const options = Array.from({ length: frame.argc - 2 }, (_, i) => argument(frame, i + 2));
  return encodeRequest(['SCAN', `${cursor}`, ...options]);
}

/** The cursor in a node's reply, and where what follows it begins; null for an error. */
export function cursorOf(reply: Buffer): { readonly cursor: bigint; readonly rest: number } | null {
  const head = HEAD.exec(reply.toString('latin1', 0, HEAD_MAX));
  return head === null ? null : { cursor: BigInt(head[1]), rest: head[0].length };
}

/** A node's reply with another cursor in front of what begins at `rest`. */
export function replyWith(reply: Buffer, cursor: bigint, rest: number): Buffer {
  const text = `${cursor}`;
  return Buffer.concat([Buffer.from(`*2\r\n$${text.length}\r\n${text}\r\n`), reply.subarray(rest)]);
}
