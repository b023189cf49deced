// The masters in the order of their lowest slots: an order that every heatsink sees alike.

import type { UpstreamNode } from './node.ts';
import { SLOTS } from './slot.ts';
import type { Topology } from './topology.ts';

export interface FirstSlot {
  readonly slot: number;
  readonly node: UpstreamNode;
}

/** Gives the masters of the topology's present map, each with its lowest slot; walks the map once per change. */
export function firstSlots(topology: Topology): () => readonly FirstSlot[] {
  let generation = -1;
  let found: FirstSlot[] = [];
  return () => {
    if (generation === topology.generation) return found;
    generation = topology.generation;
    const lowest = new Map<UpstreamNode, number>();
    for (let slot = 0; slot < SLOTS; slot++) {
      const node = topology.slotOwner(slot);
      if (node !== null && !lowest.has(node)) lowest.set(node, slot);
    }
    found = Array.from(lowest, ([node, slot]) => ({ slot, node }));
    return found;
  };
}
