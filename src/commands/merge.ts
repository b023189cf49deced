// Makes one reply of the replies of several shards or nodes, as the command's response policy says.

import { arrayReply, errorReply, integerReply } from '../resp3/encode.ts';
import { NOT_A_NUMBER, parseLength } from '../resp3/length.ts';
import type { Command, ResponsePolicy } from './command.ts';
import { type Elements, elementsOf } from './elements.ts';
import { SPECIAL_MERGES } from './merge-special.ts';

/** One shard's reply, and which of the request's keys it was about (empty when the request was not split). */
export interface PartReply {
  readonly positions: readonly number[];
  readonly reply: Buffer;
}

const MISFIT = errorReply('ERR heatsink: the replies of the shards do not fit together');
const MAP = 0x25;
const COLON = 0x3a;

type Fold = (left: number, right: number) => number;

const FOLDS: Partial<Record<ResponsePolicy, Fold>> = {
  agg_sum: (left, right) => left + right,
  agg_min: (left, right) => Math.min(left, right),
  agg_max: (left, right) => Math.max(left, right),
  agg_logical_and: (left, right) => (left !== 0 && right !== 0 ? 1 : 0),
  agg_logical_or: (left, right) => (left !== 0 || right !== 0 ? 1 : 0),
};

/**
 * The reply to the whole request; `parts` must not be empty. An error of one part is the whole request's
 * error, unless one success is enough for the policy.
 * @see https://redis.io/docs/latest/develop/reference/command-tips/
 */
export function mergeReplies(command: Command, parts: readonly PartReply[]): Buffer {
  const { responsePolicy } = command;
  const first = parts[0].reply;
  if (parts.length === 1) return first;
  const succeeded = parts.filter(({ reply }) => !isError(reply));
  const failed = parts.find(({ reply }) => isError(reply));
  if (responsePolicy === 'one_succeeded') return succeeded[0]?.reply ?? tellingError(parts);
  // Latencies of an event that only some shards have seen.
  if (command.name === 'latency|graph' && succeeded.length > 0) return special(command, succeeded);
  if (failed !== undefined) return failed.reply;
  const fold = FOLDS[responsePolicy];
  if (fold !== undefined) return combined(parts, fold);
  if (responsePolicy === 'none') {
    return command.requestPolicy === 'multi_shard' ? inOriginalOrder(parts) : joined(parts);
  }
  return special(command, parts);
}

function special({ name }: Command, parts: readonly PartReply[]): Buffer {
  const merge = SPECIAL_MERGES.get(name);
  return merge === undefined ? parts[0].reply : merge(parts.map(({ reply }) => reply));
}

/** SCRIPT KILL: that one shard's script cannot be killed matters more than that others run none. */
function tellingError(parts: readonly PartReply[]): Buffer {
  const telling = parts.find(({ reply }) => !reply.toString('latin1', 0, 9).startsWith('-NOTBUSY'));
  return (telling ?? parts[0]).reply;
}

function isError(reply: Buffer): boolean {
  return reply[0] === 0x2d || reply[0] === 0x21;
}

/** MGET: every element where its key stood in the request. */
function inOriginalOrder(parts: readonly PartReply[]): Buffer {
  const count = parts.reduce((sum, { positions }) => sum + positions.length, 0);
  const source = new Uint32Array(count);
  const from = new Int32Array(count);
  const to = new Int32Array(count);
  let size = 0;
  for (let p = 0; p < parts.length; p++) {
    const { positions, reply } = parts[p];
    const elements = elementsOf(reply);
    if (elements === null || elements.count !== positions.length) return MISFIT;
    const { bounds } = elements;
    for (let i = 0; i < positions.length; i++) {
      source[positions[i]] = p;
      from[positions[i]] = bounds[i];
      to[positions[i]] = bounds[i + 1];
    }
    size += bounds[positions.length] - bounds[0];
  }
  const header = `*${count}\r\n`;
  const merged = Buffer.allocUnsafe(header.length + size);
  let at = merged.write(header, 'latin1');
  for (let i = 0; i < count; i++) at += parts[source[i]].reply.copy(merged, at, from[i], to[i]);
  return merged;
}

/** KEYS, SLOWLOG GET: one array, set or map of all elements. Replies of another kind cannot be joined. */
function joined(parts: readonly PartReply[]): Buffer {
  const all: Elements[] = [];
  for (const { reply } of parts) {
    const elements = elementsOf(reply);
    if (elements === null || elements.type !== (all[0] ?? elements).type) return parts[0].reply;
    all.push(elements);
  }
  const { type } = all[0];
  const count = all.reduce((sum, elements) => sum + elements.count, 0);
  const header = `${String.fromCharCode(type)}${type === MAP ? count / 2 : count}\r\n`;
  const bodies = parts.map(({ reply }, i) => reply.subarray(all[i].bounds[0], all[i].bounds[all[i].count]));
  return Buffer.concat([Buffer.from(header), ...bodies]);
}

/** Integers combined, and arrays of integers element by element (SCRIPT EXISTS). */
function combined(parts: readonly PartReply[], fold: Fold): Buffer {
  const rows = parts.map(({ reply }) => integersOf(reply));
  const [first, ...others] = rows;
  if (first === null) return MISFIT;
  const values = [...first];
  for (const row of others) {
    if (row?.length !== values.length) return MISFIT;
    for (let i = 0; i < values.length; i++) values[i] = fold(values[i], row[i]);
  }
  const integers = values.map(integerReply);
  return parts[0].reply[0] === COLON ? integers[0] : arrayReply(integers);
}

function integersOf(reply: Buffer): number[] | null {
  const elements = elementsOf(reply);
  const places = elements?.bounds.subarray(0, elements.count) ?? [0];
  const values = Array.from(places, (pos) => integerAt(reply, pos));
  return values.includes(NOT_A_NUMBER) ? null : values;
}

/** Counts of keys and scripts: far below 2^53. */
function integerAt(reply: Buffer, pos: number): number {
  return reply[pos] === COLON ? parseLength(reply, pos + 1, reply.indexOf(13, pos)) : NOT_A_NUMBER;
}
