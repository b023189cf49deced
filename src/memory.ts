// The memory that all workers of one process share: versions, hot keys, counters, client ids, and how they find
// each other. What is in it can be given to a worker thread as it is.

import { randomUUID } from 'node:crypto';
import { Leases, leaseMemory } from './cache/leases.ts';
import { Versions } from './cache/versions.ts';
import { witnessMemory } from './cache/witness.ts';
import type { Config } from './config/schema.ts';
import { CounterMemory } from './counters.ts';
import { type HeatMemory, heatMemory } from './hotkeys/detector.ts';
import { type PeerMemory, peerMemory } from './proxy/peers.ts';
import { Quota, quotaMemory } from './quota.ts';
import { hashSeed } from './resp3/hash.ts';

export interface SharedMemory {
  readonly workers: number;
  readonly versions: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly witness: SharedArrayBuffer;
  readonly heat: HeatMemory;
  readonly leases: SharedArrayBuffer;
  /** One cell: the id of the client that came last. */
  readonly clientIds: SharedArrayBuffer;
  /** One cell of 64 bits: how many slow commands there were. */
  readonly slowCommands: SharedArrayBuffer;
  readonly peers: PeerMemory;
  /** Clients that are connected, and pinned connections: see quota.ts. */
  readonly clients: SharedArrayBuffer;
  readonly pinned: SharedArrayBuffer;
  /** Of all tables that are found by a hash: see resp3/hash.ts. */
  readonly hashSeed: number;
}

export function createMemory({ workers, hot }: Pick<Config, 'workers' | 'hot'>): SharedMemory {
  return {
    workers,
    versions: new Versions(workers).shared,
    counters: new CounterMemory(workers).shared,
    witness: witnessMemory(),
    heat: heatMemory(workers, hot),
    leases: leaseMemory(),
    clientIds: new SharedArrayBuffer(4),
    slowCommands: new SharedArrayBuffer(8),
    peers: peerMemory(`heatsink ${randomUUID()}`, workers),
    clients: quotaMemory(workers),
    pinned: quotaMemory(workers),
    hashSeed: hashSeed(),
  };
}

/**
 * Takes out what a worker that has crashed leaves behind: its writes, which may have been executed, its clients, and
 * the leases that they had.
 */
export function forgetWorker(memory: SharedMemory, worker: number): void {
  Atomics.store(new Int32Array(memory.peers.present), worker, 0);
  new Versions(memory.workers, 0, memory.versions).workerLost(worker);
  new CounterMemory(memory.workers, memory.counters).workerLost(worker);
  new Leases(memory.leases, 0).workerLost(worker);
  for (const quota of [memory.clients, memory.pinned]) new Quota(quota, worker, 0).abandon();
}

/** Gives numbers to clients, in the order in which they come, over all workers. */
export function clientIds({ clientIds }: SharedMemory): () => number {
  const cell = new Int32Array(clientIds);
  return () => Atomics.add(cell, 0, 1) + 1;
}

/** Numbers slow commands from 0 up, over all workers. */
export function slowCommandIds({ slowCommands }: SharedMemory): () => number {
  const cell = new BigInt64Array(slowCommands);
  return () => Number(Atomics.add(cell, 0, 1n));
}
