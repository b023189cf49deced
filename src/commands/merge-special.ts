// The replies of all masters as those of one server, where the command's tips say no more than `special`.

import { arrayReply, bulkString, integerReply } from '../resp3/encode.ts';
import { itemsOf, textOf } from './elements.ts';

type Merge = (replies: readonly Buffer[]) => Buffer;

const COLON = 0x3a;
const MAP = 0x25;

/** By command; each gets two replies at the least, none of them an error. */
export const SPECIAL_MERGES: ReadonlyMap<string, Merge> = new Map<string, Merge>([
  ['latency|latest', latencyLatest],
  ['latency|history', latencyHistory],
  ['latency|histogram', latencyHistogram],
  ['latency|graph', texts],
  ['latency|doctor', texts],
  ['memory|doctor', texts],
  ['memory|malloc-stats', texts],
  ['memory|stats', sumOfMaps],
  ['pubsub|channels', union],
  ['pubsub|shardchannels', union],
  ['pubsub|numsub', countsByName],
  ['pubsub|shardnumsub', countsByName],
  ['function|stats', functionStats],
]);

/**
 * SLOWLOG GET: the newest entries of all, `count` of them; -1 for all. Ids are those of their shards.
 * @see https://redis.io/docs/latest/commands/slowlog-get/
 */
export function mergeSlowlogs(replies: readonly Buffer[], count: number): Buffer {
  const entries = replies.flatMap((reply) =>
    itemsOf(reply).map((entry) => ({ entry, fields: itemsOf(entry) })),
  );
  const newest = entries.sort(
    (a, b) => numberOf(b.fields[1]) - numberOf(a.fields[1]) || numberOf(b.fields[0]) - numberOf(a.fields[0]),
  );
  return arrayReply(newest.slice(0, count < 0 ? newest.length : count).map(({ entry }) => entry));
}

function numberOf(value: Buffer | undefined): number {
  return value === undefined ? 0 : Number(textOf(value));
}

/** [event, time of the last one, its latency, the highest, ...]: the last of all shards, the highest of all. */
function latencyLatest(replies: readonly Buffer[]): Buffer {
  const byEvent = new Map<string, Buffer[]>();
  for (const fields of replies.flatMap(itemsOf).map(itemsOf)) {
    const event = textOf(fields[0]);
    const other = byEvent.get(event) ?? fields;
    const newer = numberOf(fields[1]) > numberOf(other[1]) ? fields : other;
    const highest = Math.max(numberOf(fields[3]), numberOf(other[3]));
    byEvent.set(event, newer.with(3, integerReply(highest)));
  }
  return arrayReply([...byEvent.values()].map(arrayReply));
}

/** [time, latency], oldest first. */
function latencyHistory(replies: readonly Buffer[]): Buffer {
  const samples = replies.flatMap(itemsOf);
  return arrayReply(samples.sort((a, b) => numberOf(itemsOf(a)[0]) - numberOf(itemsOf(b)[0])));
}

/**
 * By command, `calls` and a histogram of cumulative counts by upper bound. A shard gives no bound at which nothing
 * was added: there it has the count of its last bound below.
 */
function latencyHistogram(replies: readonly Buffer[]): Buffer {
  const byCommand = new Map<string, Buffer[][]>();
  for (const [name, value] of replies.flatMap(pairsOf)) {
    byCommand.set(name, [...(byCommand.get(name) ?? []), itemsOf(value)]);
  }
  const kind = replies[0][0];
  const rows = Array.from(byCommand, ([name, shards]): [string, Buffer] => {
    const calls = shards.reduce((sum, fields) => sum + numberOf(fields[1]), 0);
    const counts = shards.map((fields) => pairsOf(fields[3]).map(([at, n]) => [Number(at), numberOf(n)]));
    const bounds = [...new Set(counts.flat().map(([at]) => at))].sort((a, b) => a - b);
    const below = (bound: number) =>
      counts.reduce((sum, shard) => sum + (shard.findLast(([at]) => at <= bound)?.[1] ?? 0), 0);
    const buckets = bounds.map((bound) => [integerReply(bound), integerReply(below(bound))]);
    const [callsName, , histogramName] = shards[0];
    const histogram = aggregate(kind, buckets.flat());
    return [name, aggregate(kind, [callsName, integerReply(calls), histogramName, histogram])];
  });
  return aggregate(
    kind,
    rows.flatMap(([name, value]) => [bulkString(Buffer.from(name, 'latin1')), value]),
  );
}

/** Texts for people, one behind the other; once, where all say the same. */
function texts(replies: readonly Buffer[]): Buffer {
  if (replies.every((reply) => reply.equals(replies[0]))) return replies[0];
  const all = replies.map((reply, i) => `# Shard ${i + 1} of ${replies.length}\n${textOf(reply)}`).join('\n');
  // As the shards give it: a bulk or a verbatim string.
  const [sign, format] = replies[0][0] === 0x3d ? ['=', 'txt:'] : ['$', ''];
  return Buffer.from(`${sign}${all.length + format.length}\r\n${format}${all}\r\n`, 'latin1');
}

/** MEMORY STATS: whole numbers added up, also inside; ratios are the first shard's. */
function sumOfMaps(replies: readonly Buffer[]): Buffer {
  const shards = replies.map((reply) => new Map(pairsOf(reply)));
  const names = new Set(shards.flatMap((shard) => [...shard.keys()]));
  const values = Array.from(names, (name): Buffer[] => {
    const parts = shards.flatMap((shard) => shard.get(name) ?? []);
    const nested = parts[0][0] === replies[0][0] && itemsOf(parts[0]).length > 0;
    const summed = parts[0][0] === COLON && name !== 'keys.bytes-per-key';
    const sum = summed ? integerReply(parts.reduce((all, part) => all + numberOf(part), 0)) : parts[0];
    return [bulkString(name), nested ? sumOfMaps(parts) : sum];
  });
  return aggregate(replies[0][0], values.flat());
}

/** The distinct elements. */
function union(replies: readonly Buffer[]): Buffer {
  const distinct = new Map(replies.flatMap(itemsOf).map((item) => [item.toString('latin1'), item]));
  return aggregate(replies[0][0], [...distinct.values()]);
}

/** [name, count, ...], the same names in each. */
function countsByName(replies: readonly Buffer[]): Buffer {
  const shards = replies.map(itemsOf);
  const sums = shards[0].map((item, i) =>
    i % 2 === 0 ? item : integerReply(shards.reduce((sum, items) => sum + numberOf(items[i]), 0)),
  );
  return aggregate(replies[0][0], sums);
}

/** Libraries are the same on all; a function runs on one. */
function functionStats(replies: readonly Buffer[]): Buffer {
  const runs = (reply: Buffer) => itemsOf(pairsOf(reply)[0][1]).length > 0;
  return replies.find(runs) ?? replies[0];
}

/** The keys and values of a map, or of an array that stands for one. */
function pairsOf(reply: Buffer): [string, Buffer][] {
  const items = itemsOf(reply);
  return Array.from({ length: items.length >> 1 }, (_, i) => [textOf(items[i * 2]), items[i * 2 + 1]]);
}

function aggregate(kind: number, items: readonly Buffer[]): Buffer {
  const count = kind === MAP ? items.length / 2 : items.length;
  return Buffer.concat([Buffer.from(`${String.fromCharCode(kind)}${count}\r\n`), ...items]);
}
