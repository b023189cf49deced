// All that there is to see of a running heatsink, as one JSON document: what the dashboard and `heatsink top` show.

import { stateOf } from './hot-keys.ts';
import { clientsOf, NO_REQUESTS, type Sample, type Samples } from './samples.ts';
import { showBigKeys, showSlowLog } from './seen.ts';
import { showKey } from './show-key.ts';
import type { HotKey, NodeState, ProxySource, ReplicaState } from './snapshot.ts';

/** How many big keys and slow commands it lists. */
const LISTED = 20;
const NO_RATES = { requests: 0, saved: 0 };

/** The answer of /state; the rates are those of the last sample. */
export async function showState(source: ProxySource, samples: Samples, needsToken: boolean): Promise<object> {
  const { info, about } = source;
  const { last } = samples;
  const [snapshot, hotKeys, bigKeys, slowCommands] = await Promise.all([
    source.snapshot(),
    source.hotKeys(info.top),
    source.bigKeys(LISTED),
    source.slowCommands(LISTED),
  ]);
  const { tier, ready, reasons } = snapshot;
  return {
    version: info.version,
    now: new Date().toISOString(),
    started: about.started.toISOString(),
    mode: about.mode,
    workers: about.workers,
    ready,
    reasons,
    token_required: needsToken,
    threshold: info.thresholdPerSecond,
    window_ms: info.windowMs,
    clients: clientsOf(snapshot),
    seconds: last?.seconds ?? 0,
    requests: last?.requests ?? NO_REQUESTS,
    observed: last?.observed ?? 0,
    hit_ratio: last?.hit_ratio ?? null,
    latency_ms: last?.latency_ms ?? null,
    tier: {
      bytes: tier.bytes,
      max_bytes: tier.maxBytes,
      entries: tier.entries,
      hot_keys: snapshot.hotKeys,
      candidates: snapshot.candidates,
    },
    nodes: snapshot.nodes.map((node) => showNode(node, last)),
    replicas: snapshot.replicas.map(showReplica),
    hot_keys: hotKeys.map((key) => showHotKey(key, last, about.mode)),
    pinned: snapshot.pinned.map(showKey),
    banned: snapshot.banned.map(showKey),
    big_keys: showBigKeys(bigKeys).keys,
    slow_commands: showSlowLog(slowCommands).entries,
  };
}

function showNode(node: NodeState, last: Sample | null): object {
  const { address, connected, circuitOpen, pending, tracking, proofAgeMs } = node;
  return {
    address,
    connected,
    circuit_open: circuitOpen,
    pending,
    tracking,
    proof_age_ms: proofAgeMs,
    ...(last?.nodes[address] ?? NO_RATES),
  };
}

function showReplica({ address, primary, connected, fit, pending, lagMs }: ReplicaState): object {
  return { address, primary, connected, fit, pending, lag_ms: lagMs };
}

function showHotKey(hot: HotKey, last: Sample | null, mode: ProxySource['about']['mode']): object {
  const { readsPerSecond, hits, entries, bytes, hotSince, copies, lease, pinned, banned, node } = hot;
  const { requests, saved } = (node !== null && last?.nodes[node]) || NO_RATES;
  return {
    ...showKey(hot.key),
    state: stateOf(hot),
    reads_per_second: readsPerSecond,
    share: shareOf(readsPerSecond, last?.requests.total ?? 0),
    node,
    // Who only observes spares a node nothing yet.
    node_share: shareOf(readsPerSecond, requests + (mode === 'observe' ? 0 : saved)),
    hits,
    entries,
    bytes,
    hot_since: hotSince === null ? null : new Date(hotSince).toISOString(),
    copies,
    lease: lease ? { held_ms: lease.heldMs, waiters: lease.waiters } : null,
    pinned,
    banned,
  };
}

/** The two are of windows that differ a little. */
function shareOf(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.min(1, part / whole);
}
