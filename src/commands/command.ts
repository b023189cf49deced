// What heatsink knows about one command: plain objects that are made once, from the server's own words, and
// then only read.

import type { Asks } from '../cache/witness.ts';
import type { ExpiryForm } from './expiry.ts';
import type { IncrementForm } from './increments.ts';
import type { State } from './stateful.ts';

export type RequestPolicy = 'none' | 'all_nodes' | 'all_shards' | 'multi_shard' | 'special';

export type ResponsePolicy =
  | 'none'
  | 'one_succeeded'
  | 'all_succeeded'
  | 'agg_sum'
  | 'agg_min'
  | 'agg_max'
  | 'agg_logical_and'
  | 'agg_logical_or'
  | 'special';

/**
 * Who answers. `local`: ask `answerLocally` first, its null means forward. `state`: it may need a connection of
 * its own. `wide`: it may need several nodes, or a reply that heatsink completes. `own`: it is HEATSINK.
 * `refuse`: nobody.
 */
export type Route = 'forward' | 'local' | 'state' | 'wide' | 'own' | 'refuse';

/**
 * One way to find some of a command's keys, as the server describes it: first where to begin, then which.
 * @see https://redis.io/docs/latest/develop/reference/key-specs/
 */
export interface KeySpec {
  /** Begin at a fixed argument, behind a keyword, or behind SORT's last STORE, for which Redis has no words. */
  readonly search: 'index' | 'keyword' | 'sort_store';
  /** The argument to begin at, or to look for the keyword from; negative: from the end, backwards. */
  readonly start: number;
  /** In lower case. */
  readonly keyword: string;
  readonly find: 'range' | 'keynum';
  /** Range: the last key, counted from the first one, or from the end of the arguments when negative. */
  readonly last: number;
  /** From one key to the next. */
  readonly step: number;
  /** Range with last -1: keys stop after this share of the arguments (2: half of them); 0 and 1: all. */
  readonly limit: number;
  /** Keynum: where the number of keys and the first key stand, counted from the beginning. */
  readonly numberAt: number;
  readonly firstKey: number;
  /** It names a sharded pub/sub channel: it has a slot like a key, but no value. */
  readonly channel: boolean;
}

/** Everybody may send it, only admins may, or nobody; see access/policy.ts. */
export const ALLOWED = 0;
export const ADMIN_ONLY = 1;
export const DENIED = 2;
export type Guard = typeof ALLOWED | typeof ADMIN_ONLY | typeof DENIED;

/** The guard of a command by its name; `flagged`: the server calls it administrative. */
export type GuardOf = (name: string, flagged: boolean) => Guard;

export interface Command {
  /** Lower case; a subcommand is `config|get`. */
  readonly name: string;
  /** The number of arguments with the name; negative: at least so many. */
  readonly arity: number;
  readonly isRead: boolean;
  /** It may change data: flagged so, or it has keys and is not flagged as a read (scripts and functions). */
  readonly isWrite: boolean;
  /** It may send something to replicas, data or a message: what a pause of writes holds. */
  readonly replicates: boolean;
  readonly blocking: boolean;
  /** It is simply sent on, whoever sends it. */
  readonly plain: boolean;
  /** No transaction may hold it. */
  readonly noMulti: boolean;
  /** Its raw reply may be given again until its one key changes. */
  readonly cacheable: boolean;
  /** Chance answers this read of one key, and nothing else does. */
  readonly draws: boolean;
  /** GET and MGET show the same values in the same words. */
  readonly asks: Asks;
  /** How it gives its key a time to live; null when it does not. */
  readonly expiry: ExpiryForm | null;
  /** How it adds to a counter; null when it does not. */
  readonly increment: IncrementForm | null;
  /** The argument that is the only key in every form of the command, e.g. 1 for GET; else 0. */
  readonly fixedKey: number;
  readonly keySpecs: readonly KeySpec[];
  /** Only COMMAND GETKEYS can tell the keys. */
  readonly keysUnknown: boolean;
  readonly requestPolicy: RequestPolicy;
  readonly responsePolicy: ResponsePolicy;
  readonly route: Route;
  /** The strictest that a request of it may meet; whoever sends one is looked at unless it is `ALLOWED`. */
  readonly guard: Guard;
  /** Whether the server calls it fast: it takes about the same time whatever it is given. */
  readonly fast: boolean;
  /** Whether the server calls it administrative. */
  readonly flaggedAdmin: boolean;
  /** What it needs a connection of its own for, or null. */
  readonly state: State | null;
  /** Why it is not served; empty when it is. */
  readonly refusal: string;
}
