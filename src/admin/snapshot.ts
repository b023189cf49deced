// What the admin server is told of the proxy when somebody asks.

import type { KeyAction } from '../proxy/marks.ts';
import type { BigKeyList } from '../proxy/seen/big-keys.ts';
import type { SlowCommands } from '../proxy/seen/slow-log.ts';

export interface Snapshot {
  /** Slots of counters.ts. */
  readonly counters: Float64Array;
  readonly tier: { readonly bytes: number; readonly entries: number; readonly maxBytes: number };
  /** Keys that are hot now, and keys that are counted exactly. */
  readonly hotKeys: number;
  readonly candidates: number;
  readonly nodes: readonly NodeState[];
  /** Those that reads go to where a rule says so; none without such a rule. */
  readonly replicas: readonly ReplicaState[];
  readonly ready: boolean;
  readonly reasons: readonly string[];
  /** Keys that somebody has marked. */
  readonly pinned: readonly Buffer[];
  readonly banned: readonly Buffer[];
}

export interface NodeState {
  readonly address: string;
  readonly connected: boolean;
  /** Whether it is known to be out of reach. */
  readonly circuitOpen: boolean;
  /** Requests without a reply. */
  readonly pending: number;
  /** Replies that came from it, and requests for its keys that it was spared, since it is known. */
  readonly requests: number;
  readonly spared: number;
  readonly tracking: 'on' | 'connecting' | 'refused' | 'off';
  /** Milliseconds since the last proof that no invalidation was missed; null before the first. */
  readonly proofAgeMs: number | null;
}

export interface ReplicaState {
  readonly address: string;
  /** Address of its primary. */
  readonly primary: string;
  readonly connected: boolean;
  /** Whether reads go there now: it is up, and proven to be late by no more than `reads.maxLag`. */
  readonly fit: boolean;
  readonly pending: number;
  /** Milliseconds by which it may be behind its primary at the most; null when nothing is proven. */
  readonly lagMs: number | null;
}

export interface HotKey {
  readonly key: Buffer;
  readonly readsPerSecond: number;
  /** Epoch milliseconds; null while it is not hot. */
  readonly hotSince: number | null;
  readonly hits: number;
  readonly bytes: number;
  readonly entries: number;
  readonly hot: boolean;
  /** Whether it is written too often to be kept. */
  readonly writeHot: boolean;
  /** On other masters. */
  readonly copies: number;
  readonly lease?: LeaseState | null;
  readonly pinned: boolean;
  readonly banned: boolean;
  /** Address of the node that owns it; null when nobody does. */
  readonly node: string | null;
}

/** That a missing key is being rebuilt. */
export interface LeaseState {
  /** Milliseconds for which a client has had the lease; null while nobody has. */
  readonly heldMs: number | null;
  /** Reads that wait. */
  readonly waiters: number;
}

export interface AdminSource {
  snapshot(): Snapshot | Promise<Snapshot>;
  hotKeys(top: number): HotKey[] | Promise<HotKey[]>;
  /** As many as there are where no number is given. */
  bigKeys(top?: number): BigKeyList | Promise<BigKeyList>;
  slowCommands(top?: number): SlowCommands | Promise<SlowCommands>;
  readonly info: {
    readonly version: string;
    readonly thresholdPerSecond: number;
    readonly windowMs: number;
    /** How many keys /hotkeys lists when it is not told. */
    readonly top: number;
  };
}

/** That of a proxy, which can be told to do something. */
export interface ProxySource extends AdminSource {
  /** Resolves when all workers have done it. */
  act(action: KeyAction): Promise<void>;
  readonly about: {
    /** observe: nothing is served from the tier. */
    readonly mode: 'serve' | 'observe';
    readonly workers: number;
    readonly started: Date;
  };
}
