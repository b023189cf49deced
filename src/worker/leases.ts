// What one worker needs to give leases of missing keys.

import { Leases } from '../cache/leases.ts';
import { PAUSED, type PauseMode } from '../commands/client-pause.ts';
import type { Config } from '../config/schema.ts';
import type { SharedMemory } from '../memory.ts';
import { LeaseOrder } from '../proxy/reads/lease-order.ts';
import { LeaseWaits, type LeaseWaitsOptions } from '../proxy/reads/lease-waits.ts';
import type { SharedReads } from '../proxy/reads/shared-reads.ts';
import type { Topology } from '../upstream/topology.ts';

export interface LeaseParts
  extends Omit<LeaseWaitsOptions, 'leases' | 'limits' | 'most' | 'paused' | 'again'> {
  readonly config: Config;
  readonly memory: SharedMemory;
  readonly worker: number;
  readonly topology: Topology;
  /** What is made later; `clients` is null before there can be any. */
  readonly later: () => {
    readonly clients: { readonly maxPipeline: number } | null;
    readonly pause: { readonly mode: PauseMode };
    readonly reads: SharedReads;
  };
}

/** `inUse`: null where no rule gives leases. */
export function composeLeases(parts: LeaseParts) {
  const { config, memory, worker, topology, rules, later } = parts;
  const limits = { ...config.lease };
  const waits = new LeaseWaits({
    ...parts,
    leases: new Leases(memory.leases, worker),
    limits,
    most: () => later().clients?.maxPipeline ?? 0,
    paused: () => later().pause.mode === PAUSED,
    again: (question, askers) => later().reads.again(question, askers),
  });
  const inUse = rules.use('lease', (on) => on) ? { waits, order: new LeaseOrder(waits, topology) } : null;
  return { waits, limits, inUse };
}
