// What servers do not say about their own commands, or say in a way that heatsink must not follow: rows that
// complete the table of a server older than 7.0, and the few that correct any server's.

import type { KeySpec, RequestPolicy, ResponsePolicy } from './command.ts';

export interface Policies {
  readonly request: RequestPolicy;
  readonly response: ResponsePolicy;
}

/** By these, whatever the server says. */
export const CORRECTED: ReadonlyMap<string, Policies> = new Map<string, Policies>([
  // Its promise is all or nothing, and parts on several shards cannot keep it: it goes whole to one shard,
  // which refuses it with CROSSSLOT unless all keys belong there.
  ['msetnx', { request: 'none', response: 'none' }],
  // It asks whether heatsink is there, which one shard that is down does not change.
  ['ping', { request: 'none', response: 'none' }],
  // The number of events that were reset: 7.0 says `all_succeeded`, which would show one shard's.
  ['latency|reset', { request: 'all_nodes', response: 'agg_sum' }],
]);

const ROWS: readonly (readonly [RequestPolicy, ResponsePolicy, string])[] = [
  ['multi_shard', 'none', 'mget'],
  ['multi_shard', 'all_succeeded', 'mset'],
  ['multi_shard', 'agg_sum', 'del unlink exists touch'],
  ['all_shards', 'agg_sum', 'dbsize'],
  ['all_shards', 'none', 'keys'],
  ['all_shards', 'all_succeeded', 'flushall flushdb memory|purge'],
  ['all_shards', 'one_succeeded', 'script|kill'],
  ['all_shards', 'agg_logical_and', 'script|exists'],
  ['all_shards', 'special', 'info'],
  ['all_nodes', 'all_succeeded', 'script|load script|flush config|set config|resetstat config|rewrite'],
  ['all_nodes', 'all_succeeded', 'slowlog|reset'],
  ['all_nodes', 'agg_sum', 'slowlog|len'],
  ['all_nodes', 'none', 'slowlog|get'],
  ['all_nodes', 'special', 'latency|latest latency|history latency|histogram latency|graph latency|doctor'],
  ['all_shards', 'special', 'memory|stats memory|doctor memory|malloc-stats function|stats'],
  // No server gives tips for the rest. Subscribers hang on any node.
  ['all_shards', 'special', 'pubsub|channels pubsub|shardchannels pubsub|numsub pubsub|shardnumsub'],
  ['all_shards', 'agg_sum', 'pubsub|numpat'],
  // All is saved when each shard has saved, and since the oldest of their times.
  ['all_shards', 'all_succeeded', 'save bgsave bgrewriteaof'],
  ['all_shards', 'agg_min', 'lastsave'],
  // Users that exist on one node only would be worse than none.
  ['all_nodes', 'all_succeeded', 'acl|setuser acl|deluser acl|load acl|save'],
  ['special', 'special', 'scan randomkey'],
];

/** For commands whose server gives no policies. */
export const POLICIES: ReadonlyMap<string, Policies> = new Map(
  ROWS.flatMap(([request, response, names]) =>
    names.split(' ').map((name) => [name, { request, response }] as const),
  ),
);

const PLAIN: KeySpec = {
  search: 'index',
  start: 1,
  keyword: '',
  find: 'range',
  last: 0,
  step: 1,
  limit: 0,
  numberAt: 0,
  firstKey: 0,
  channel: false,
};

/** Keys at fixed places, as every server describes them: from, to (counted from it, or the end), step. */
export function rangeOfKeys(start: number, last = 0, step = 1): KeySpec {
  return { ...PLAIN, start, last, step };
}

function numbered(start: number): KeySpec {
  return { ...PLAIN, start, find: 'keynum', numberAt: 0, firstKey: 1 };
}

function behind(keyword: string, start: number, last = 0, limit = 0): KeySpec {
  return { ...PLAIN, search: 'keyword', keyword, start, last, limit };
}

/** Where the server's specs say `unknown`, though the words of Redis's documentation do not. */
export const CORRECTED_KEYS: ReadonlyMap<string, readonly KeySpec[]> = new Map([
  ['sort', [rangeOfKeys(1), { ...PLAIN, search: 'sort_store', start: 2 }]],
  ['sort_ro', [rangeOfKeys(1)]],
  // To ask the server for its keys would write its passwords into the server's log.
  ['migrate', [rangeOfKeys(3), behind('keys', 6, -1)]],
]);

/** For servers older than 7.0, which only say that the keys of these move. */
export const OLD_KEYS: ReadonlyMap<string, readonly KeySpec[]> = new Map<string, readonly KeySpec[]>([
  ['eval', [numbered(2)]],
  ['evalsha', [numbered(2)]],
  ['zunion', [numbered(1)]],
  ['zinter', [numbered(1)]],
  ['zdiff', [numbered(1)]],
  ['zunionstore', [rangeOfKeys(1), numbered(2)]],
  ['zinterstore', [rangeOfKeys(1), numbered(2)]],
  ['zdiffstore', [rangeOfKeys(1), numbered(2)]],
  ['xread', [behind('streams', 1, -1, 2)]],
  ['xreadgroup', [behind('streams', 4, -1, 2)]],
  ['georadius', [rangeOfKeys(1), behind('store', 6), behind('storedist', 6)]],
  ['georadiusbymember', [rangeOfKeys(1), behind('store', 5), behind('storedist', 5)]],
  ['memory', []],
  ['memory|usage', [rangeOfKeys(2)]],
]);

/** The subcommands that the rows above know: those that an older server's container does not list. */
export const OLD_SUBCOMMANDS: readonly string[] = [...POLICIES.keys(), ...OLD_KEYS.keys()].filter((name) =>
  name.includes('|'),
);
