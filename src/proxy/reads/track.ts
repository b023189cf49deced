// Has one node tell of every change to a key that was filled from it, and what is done when it does, or cannot.

import type { Discovery } from '../../upstream/discover.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import { keyInSlots, slotOf } from '../../upstream/slot.ts';
import type { Topology } from '../../upstream/topology.ts';
import type { Invalidation } from './invalidation.ts';

export interface TrackingParts {
  readonly topology: Topology;
  readonly discovery: Discovery;
  readonly invalidation: Invalidation;
  /** May change at any time. */
  readonly limits: { readonly maxStaleness: number };
  /** The server does not track keys for heatsink, in its own words. */
  readonly refused: (node: UpstreamNode, reason: string) => void;
}

/** Opens the tracked connections of a node. */
export function track(node: UpstreamNode, parts: TrackingParts): void {
  const { topology, discovery, invalidation, limits, refused } = parts;
  let probe: string | null = null;
  const owned = (slot: number) => topology.slotOwner(slot) === node;
  node.track({
    limits,
    watchesSwaps: !topology.cluster,
    probeKey() {
      // The same key for as long as the node owns it: looking for one takes a while when it owns few slots.
      if (probe === null || !owned(slotOf(Buffer.from(probe), 0, probe.length))) {
        probe = keyInSlots('heatsink:probe', owned);
      }
      return probe;
    },
    invalidated: (buf, start, end) => invalidation.keyChanged(buf, start, end),
    voided: (why) => invalidation.voided(why),
    misrouted: () => discovery.refreshSoon(),
    refused: (reason) => refused(node, reason),
  });
}
