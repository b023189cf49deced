// One picture of several workers: what each says of itself, made one for the admin server.

import type { KeyAction } from '../proxy/marks.ts';
import { type BigKeyList, mergeBigKeys } from '../proxy/seen/big-keys.ts';
import { mergeSlowCommands, type SlowCommands } from '../proxy/seen/slow-log.ts';
import type {
  AdminSource,
  HotKey,
  LeaseState,
  NodeState,
  ProxySource,
  ReplicaState,
  Snapshot,
} from './snapshot.ts';

/** The workers of one process. */
export interface Workers {
  readonly info: AdminSource['info'];
  readonly about: ProxySource['about'];
  /** The counters of all workers, summed up. */
  readonly totals: () => Float64Array;
  snapshots(): Promise<Snapshot[]>;
  hotKeys(top: number): Promise<HotKey[][]>;
  bigKeys(): Promise<BigKeyList[]>;
  slowCommands(): Promise<SlowCommands[]>;
  act(action: KeyAction): Promise<void>;
  /** How many there should be. */
  readonly count: number;
}

const WORST_FIRST: readonly NodeState['tracking'][] = ['refused', 'connecting', 'off', 'on'];

export function mergeWorkers(workers: Workers): ProxySource {
  return {
    info: workers.info,
    about: workers.about,
    async snapshot() {
      const all = await workers.snapshots();
      const counters = workers.totals();
      if (all.length === 0) return { ...NOTHING, counters, reasons: ['no worker has started yet'] };
      const missing = workers.count - all.length;
      const absent = missing > 0 ? [`${missing} of ${workers.count} workers do not answer`] : [];
      const [first] = all;
      return {
        ...first,
        counters,
        nodes: mergeNodes(all),
        // Between threads a Buffer becomes plain bytes.
        pinned: first.pinned.map(asBuffer),
        banned: first.banned.map(asBuffer),
        replicas: mergeReplicas(all),
        // The others serve all clients that come while one is missing.
        ready: all.some(({ ready }) => ready),
        reasons: [...new Set([...all.flatMap(({ reasons }) => reasons), ...absent])],
      };
    },
    async hotKeys(top) {
      return mergeHotKeys(await workers.hotKeys(top), top);
    },
    bigKeys: async (top) => mergeBigKeys(await workers.bigKeys(), top),
    slowCommands: async (top) => mergeSlowCommands(await workers.slowCommands(), top),
    act: (action) => workers.act(action),
  };
}

/** The most read keys of those that each worker has listed. */
export function mergeHotKeys(lists: readonly (readonly HotKey[])[], top: number): HotKey[] {
  const byKey = Map.groupBy(lists.flat(), ({ key }) => asBuffer(key).toString('latin1'));
  return [...byKey.values()]
    .map(mergeKey)
    .sort((a, b) => b.readsPerSecond - a.readsPerSecond)
    .slice(0, top);
}

/** Of a process in which nobody serves clients. */
export const NOTHING: Omit<Snapshot, 'counters'> = {
  tier: { bytes: 0, entries: 0, maxBytes: 0 },
  hotKeys: 0,
  candidates: 0,
  nodes: [],
  replicas: [],
  pinned: [],
  banned: [],
  ready: false,
  reasons: [],
};

function mergeNodes(all: readonly Snapshot[]): NodeState[] {
  const byAddress = Map.groupBy(
    all.flatMap(({ nodes }) => nodes),
    ({ address }) => address,
  );
  return [...byAddress.values()].map((states) => ({
    address: states[0].address,
    connected: states.every(({ connected }) => connected),
    circuitOpen: states.some(({ circuitOpen }) => circuitOpen),
    pending: sumOf(states, ({ pending }) => pending),
    requests: sumOf(states, ({ requests }) => requests),
    spared: sumOf(states, ({ spared }) => spared),
    tracking: WORST_FIRST.find((word) => states.some(({ tracking }) => tracking === word)) ?? 'off',
    proofAgeMs: oldest(states.map(({ proofAgeMs }) => proofAgeMs)),
  }));
}

/** A worker that has no clients knows nothing of replicas: the others do. */
function mergeReplicas(all: readonly Snapshot[]): ReplicaState[] {
  const byAddress = Map.groupBy(
    all.flatMap(({ replicas }) => replicas),
    ({ address }) => address,
  );
  return Array.from(byAddress.values(), (states) => ({
    ...states[0],
    connected: states.some(({ connected }) => connected),
    fit: states.some(({ fit }) => fit),
    pending: sumOf(states, ({ pending }) => pending),
    lagMs: oldest(states.filter(({ fit }) => fit).map(({ lagMs }) => lagMs)),
  }));
}

function sumOf<Part>(parts: readonly Part[], of: (part: Part) => number): number {
  return parts.reduce((total, part) => total + of(part), 0);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes);
}

/** The longest of times; null when one of them is not known. */
function oldest(ages: readonly (number | null)[]): number | null {
  return ages.reduce((most, age) => (most === null || age === null ? null : Math.max(most, age)), 0);
}

/** Reads are those of all workers already; what is kept of the key is kept by each. */
function mergeKey(parts: readonly HotKey[]): HotKey {
  const sum = (of: (part: HotKey) => number) => sumOf(parts, of);
  const { key, ...rest } = parts[0];
  return {
    ...rest,
    key: asBuffer(key),
    writeHot: parts.some(({ writeHot }) => writeHot),
    hits: sum(({ hits }) => hits),
    bytes: sum(({ bytes }) => bytes),
    entries: sum(({ entries }) => entries),
    copies: sum(({ copies }) => copies),
    lease: mergeLeases(parts.flatMap(({ lease }) => lease ?? [])),
  };
}

/** Who has the lease is known to all workers; those who wait are each one's own. */
function mergeLeases(parts: readonly LeaseState[]): LeaseState | null {
  if (parts.length === 0) return null;
  return {
    heldMs: parts.find(({ heldMs }) => heldMs !== null)?.heldMs ?? null,
    waiters: sumOf(parts, ({ waiters }) => waiters),
  };
}
