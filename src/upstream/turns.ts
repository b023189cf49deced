// The order in which masters take their turns in a walk over a cluster: that of their lowest slots, which every
// heatsink sees alike.

import type { UpstreamNode } from './node.ts';
import { SLOTS, slotOf } from './slot.ts';
import type { Topology } from './topology.ts';

export interface MasterTurn {
  /** The lowest of its slots, by which it is named. */
  readonly slot: number;
  readonly node: UpstreamNode;
  /** 0 to TAGS - 1, by the addresses of this master and of those before it: another one if others come before. */
  readonly tag: number;
}

export const TAGS = 128;

/** Gives the turns of those that own slots from `from` up, and looks at these slots alone; once per map and `from`. */
export function masterTurns(topology: Topology): (from: number) => readonly MasterTurn[] {
  let generation = -1;
  const known = new Map<number, MasterTurn[]>();
  return (from) => {
    if (generation !== topology.generation) known.clear();
    generation = topology.generation;
    const turns = known.get(from) ?? turnsFrom(topology, from);
    known.set(from, turns);
    return turns;
  };
}

function turnsFrom(topology: Topology, from: number): MasterTurn[] {
  const lowest = new Map<UpstreamNode, number>();
  for (let slot = from; slot < SLOTS; slot++) {
    const node = topology.slotOwner(slot);
    if (node !== null && !lowest.has(node)) lowest.set(node, slot);
  }
  let before = '';
  return Array.from(lowest, ([node, slot]) => {
    before += `${node.address},`;
    // Any hash that is the same in every process.
    const tag = slotOf(Buffer.from(before), 0, before.length) % TAGS;
    return { slot, node, tag };
  });
}
