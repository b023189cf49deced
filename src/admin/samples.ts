// What heatsink did in each second of the last minutes, for those who look at it live.

import { C, COUNTERS, type CounterName, LATENCY_BOUNDS, LATENCY_SLOTS } from '../counters.ts';
import type { AdminSource, Snapshot } from './snapshot.ts';

/** Milliseconds between two samples, and how many are kept. */
const INTERVAL = 1000;
const KEPT = 300;

/** A second, or as long as it took. Rates are per second. */
export interface Sample {
  /** Epoch seconds. */
  readonly t: number;
  /** How long it was. */
  readonly seconds: number;
  /** `total`, and each outcome by its name. */
  readonly requests: Readonly<Record<string, number>>;
  /** Requests that would have been saved, were heatsink not only observing. */
  readonly observed: number;
  /** The share of requests for data that had no request of their own upstream, or would have had none; null without any. */
  readonly hit_ratio: number | null;
  readonly latency_ms: Latency | null;
  readonly clients: number;
  readonly tier_bytes: number;
  readonly hot_keys: number;
  readonly nodes: Readonly<Record<string, NodeRates>>;
}

/** Round trips to upstream nodes in milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
}

/** Replies of a node, and requests that it was spared. */
export interface NodeRates {
  readonly requests: number;
  readonly saved: number;
}

export interface Samples {
  readonly all: readonly Sample[];
  readonly last: Sample | null;
  /** `told` after every sample; the function that comes back ends it. */
  subscribe(told: () => void): () => void;
  close(): void;
}

/** The outcomes of requests, by the labels of their metric. */
const OUTCOMES = (Object.keys(COUNTERS) as CounterName[]).flatMap((name) => {
  const { metric, labels } = COUNTERS[name] as { metric: string; labels?: Record<string, string> };
  return metric === 'requests' && labels ? [{ name: labels.outcome, slot: C[name] }] : [];
});
/** Of a time in which there were none. */
export const NO_REQUESTS: Sample['requests'] = Object.fromEntries([
  ['total', 0],
  ...OUTCOMES.map(({ name }) => [name, 0]),
]);
const SAVED = [C.hit, C.coalesced, C.staleServed];
/** Those were forwarded all the same. */
const WOULD_SAVE = [C.observedHits, C.observedShared];

/** Samples the source each second until `close`. */
export function takeSamples(source: AdminSource): Samples {
  const all: Sample[] = [];
  const listeners = new Set<() => void>();
  let snapshot: Snapshot | null = null;
  let at = 0;
  let busy = false;

  async function sample(): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      const next = await source.snapshot();
      const now = performance.now();
      if (snapshot !== null) all.push(between(snapshot, next, (now - at) / 1000));
      if (all.length > KEPT) all.shift();
      // The counters are a copy; see counters.ts.
      snapshot = next;
      at = now;
    } finally {
      busy = false;
    }
    for (const told of listeners) told();
  }

  const timer = setInterval(() => void sample().catch(() => {}), INTERVAL).unref();
  void sample().catch(() => {});
  return {
    all,
    get last() {
      return all.at(-1) ?? null;
    },
    subscribe(told) {
      listeners.add(told);
      return () => listeners.delete(told);
    },
    close: () => clearInterval(timer),
  };
}

function between(before: Snapshot, after: Snapshot, seconds: number): Sample {
  const counted = (slot: number) => Math.max(0, after.counters[slot] - before.counters[slot]);
  const rate = (slot: number) => round(counted(slot) / seconds);
  const requests = Object.fromEntries(OUTCOMES.map(({ name, slot }) => [name, rate(slot)]));
  const sum = (slots: readonly number[]) => slots.reduce((all, slot) => all + counted(slot), 0);
  const total = sum(OUTCOMES.map(({ slot }) => slot));
  const observed = sum(WOULD_SAVE);
  const saved = sum(SAVED) + observed;
  const wanted = sum(SAVED) + counted(C.forwarded);
  return {
    t: Math.round(Date.now() / 1000),
    seconds: round(seconds),
    requests: { total: round(total / seconds), ...requests },
    observed: round(observed / seconds),
    hit_ratio: wanted === 0 ? null : saved / wanted,
    latency_ms: latencyOf(counted),
    clients: clientsOf(after),
    tier_bytes: after.tier.bytes,
    hot_keys: after.hotKeys,
    nodes: Object.fromEntries(after.nodes.map((node) => [node.address, ratesOf(node, before, seconds)])),
  };
}

/** Client connections that are open. */
export function clientsOf({ counters }: Snapshot): number {
  return counters[C.accepted] - counters[C.closed];
}

function ratesOf(node: Snapshot['nodes'][number], before: Snapshot, seconds: number): NodeRates {
  const then = before.nodes.find(({ address }) => address === node.address);
  // A worker that was replaced begins at nothing.
  const rate = (now: number, past = 0) => round(Math.max(0, now - past) / seconds);
  return { requests: rate(node.requests, then?.requests), saved: rate(node.spared, then?.spared) };
}

/** From the buckets of the histogram, as if times were spread evenly over each. */
function latencyOf(counted: (slot: number) => number): Latency | null {
  const buckets = Array.from({ length: LATENCY_BOUNDS.length + 1 }, (_, i) =>
    counted(LATENCY_SLOTS.first + i),
  );
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const quantile = (share: number) => {
    let left = share * total;
    for (const [i, count] of buckets.entries()) {
      const from = LATENCY_BOUNDS[i - 1] ?? 0;
      // Nothing is known of the longest but that they are longer.
      const to = LATENCY_BOUNDS[i] ?? from;
      if (left <= count && count > 0) return round((from + ((to - from) * left) / count) / 1000);
      left -= count;
    }
    return round((LATENCY_BOUNDS.at(-1) ?? 0) / 1000);
  };
  return { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99), p999: quantile(0.999) };
}

/** To thousandths, as nobody reads more. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
