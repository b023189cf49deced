// Gathers what the admin server shows from the parts that serve. They know nothing of it.

import type { Tier } from '../cache/tier.ts';
import { clock } from '../clock.ts';
import { G } from '../counters.ts';
import type { Detector } from '../hotkeys/detector.ts';
import type { Marks } from '../proxy/marks.ts';
import { mergeBigKeys } from '../proxy/seen/big-keys.ts';
import type { Sizes } from '../proxy/seen/sizes.ts';
import { mergeSlowCommands, type SlowLog } from '../proxy/seen/slow-log.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import type { Replica } from '../upstream/replica.ts';
import type { Topology } from '../upstream/topology.ts';
import type { AdminSource, HotKey, LeaseState, ProxySource, Snapshot } from './snapshot.ts';

export interface Serving {
  /** The counters of all workers, summed up. */
  readonly totals: () => Float64Array;
  /** What the tiers of all workers may take together. */
  readonly tierLimit: { readonly maxBytes: number };
  readonly tier: Tier;
  readonly detector: Detector;
  readonly topology: Topology;
  readonly sizes: Sizes;
  readonly slowLog: SlowLog;
  readonly marks: Marks;
  readonly leaseOf: (keyHash: number) => LeaseState | null;
  readonly info: AdminSource['info'];
  readonly about: ProxySource['about'];
  /** Whether entries are to be tracked at all. */
  readonly tracks: boolean;
  /** Copies of a key on other masters. */
  readonly copiesOf: (keyHash: number) => number;
  /** Why clients cannot be served for now; empty when they can. */
  readonly notReady: () => readonly string[];
}

export function createSource(serving: Serving): ProxySource {
  const { totals, tierLimit, tier, detector, topology, sizes, slowLog, info } = serving;
  return {
    info,
    about: serving.about,
    snapshot(): Snapshot {
      const nodes = topology.nodes.map((node) => describe(node, serving.tracks));
      const refused = nodes.filter(({ tracking }) => tracking === 'refused');
      const reasons = [...serving.notReady()];
      const counters = totals();
      const { maxBytes } = tierLimit;
      return {
        counters,
        tier: { bytes: counters[G.tierBytes], entries: counters[G.tierEntries], maxBytes },
        hotKeys: detector.hotKeys,
        candidates: detector.candidates,
        nodes,
        replicas: (topology.replicas?.all ?? []).map(describeReplica),
        ready: reasons.length === 0,
        pinned: serving.marks.pinned(),
        banned: serving.marks.banned(),
        reasons: [
          ...reasons,
          ...refused.map(({ address }) => `${address} refuses CLIENT TRACKING: reads are shared, not kept`),
        ],
      };
    },
    hotKeys(top: number): HotKey[] {
      detector.advance(clock.tick());
      return detector.top(top).map((heat) => ({
        key: heat.key,
        readsPerSecond: (heat.count * 1000) / info.windowMs,
        hotSince: heat.hot ? heat.hotSince : null,
        hits: heat.hits,
        hot: heat.hot,
        writeHot: heat.writeHot,
        copies: serving.copiesOf(heat.keyHash),
        lease: serving.leaseOf(heat.keyHash),
        pinned: heat.pinned,
        banned: serving.marks.isBanned(heat.key),
        node: topology.ownerOf(heat.key, 0, heat.key.length)?.address ?? null,
        ...tier.usage(heat.keyHash),
      }));
    },
    bigKeys: (top) => mergeBigKeys([sizes.list()], top),
    slowCommands: (top) => mergeSlowCommands([slowLog.list()], top),
    async act(action) {
      serving.marks.act(action);
    },
  };
}

function describe(node: UpstreamNode, tracks: boolean): Snapshot['nodes'][number] {
  const { tracker } = node;
  const tracking = !tracks || tracker === null || tracker.state === 'closed' ? 'off' : tracker.state;
  return {
    address: node.address,
    connected: node.connected,
    circuitOpen: node.circuit.open,
    pending: node.pending,
    requests: node.load.requests,
    spared: node.load.spared,
    tracking,
    proofAgeMs: tracker?.proofAge ?? null,
  };
}

function describeReplica({ node, group, provenAt, fit }: Replica): Snapshot['replicas'][number] {
  return {
    address: node.address,
    primary: group.primary.address,
    connected: node.connected,
    fit: fit && node.connected,
    pending: node.pending,
    lagMs: Number.isFinite(provenAt) ? clock.ms - provenAt : null,
  };
}
