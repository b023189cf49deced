// SCAN over all shards: the cursor that a client carries says which shard's turn it is and where it is there, so
// that nothing need be remembered between two calls.
//
//   client's cursor = node's cursor * 16384 + slot; the shard is the one that owns the slot
//
// Shards take their turns in the order of their lowest slots, and each is named by that slot. 64 bits suffice: a
// node's cursor is below the size of its hash table, a power of two, and Redis 7.4 and Valkey 8 put 14 bits of a
// slot below it, so 50 bits hold every table of up to 2^36 buckets in one slot. https://redis.io/docs/latest/commands/scan/

import { encodeRequest } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argument } from './argument.ts';

export interface ScanPosition {
  readonly slot: number;
  /** The cursor of the node that owns the slot. */
  readonly cursor: bigint;
}

const SLOTS = 16384n;
const LIMIT = 2n ** 64n;
/** The reply's head: an array of the cursor, a bulk string, and the keys. */
const HEAD = /^\*2\r\n\$\d+\r\n(\d+)\r\n/;
const HEAD_MAX = 48;

/** Where the client's cursor points; null for what Redis would call an invalid cursor. */
export function readCursor(text: string): ScanPosition | null {
  // As strtoul reads it: nothing is 0, and a minus sign wraps.
  if (!/^([+-]?\d+)?$/.test(text)) return null;
  const number = BigInt(text.replace(/^\+/, '') || '0');
  if (number >= LIMIT || number <= -LIMIT) return null;
  const value = BigInt.asUintN(64, number);
  return { slot: Number(value % SLOTS), cursor: value / SLOTS };
}

/** The cursor that a client carries on with; null when it takes more than 64 bits. */
export function joinCursor({ slot, cursor }: ScanPosition): bigint | null {
  const value = cursor * SLOTS + BigInt(slot);
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
