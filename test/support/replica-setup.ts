// What tests of reads from replicas share: heatsink with such a rule, and who has answered how many reads.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type RunningProxy, startProxy } from './heatsink.ts';
import { type Cluster, cmdstat, type RedisProcess, waitFor } from './redis.ts';
import { Wire } from './wire.ts';

/** Keys that begin with `r:` are read from replicas; those with `hot:` too, unless the tier has them. */
export const RULES = [
  { match: 'r:*', consistency: 'off', reads: 'replicas' },
  { match: 'hot:*', reads: 'replicas' },
];

export interface Setup {
  readonly upstream: string;
  readonly flags?: Record<string, string>;
  readonly rules?: readonly object[];
}

/** Starts heatsink with such rules; they stand in a file, as no flag can say them. */
export async function startReading({ upstream, flags = {}, rules = RULES }: Setup): Promise<RunningProxy> {
  const file = join(mkdtempSync(join(tmpdir(), 'heatsink-replicas-')), 'heatsink.yaml');
  writeFileSync(file, stringify({ rules }));
  return startProxy({ upstream, flags: { 'topology-interval': '200', ...flags }, file });
}

/** Keys under `prefix`, one in a slot of each of these masters. */
export async function keyOfEach(
  cluster: Cluster,
  masters: readonly RedisProcess[],
  prefix = 'r:',
): Promise<string[]> {
  const keys: string[] = [];
  for (let i = 0; keys.filter(Boolean).length < masters.length; i++) {
    const at = masters.indexOf(await cluster.slotOwner(`${prefix}${i}`));
    if (at >= 0) keys[at] ??= `${prefix}${i}`;
  }
  return keys;
}

/** Reads the keys until none of a hundred reads was answered by a primary. */
export async function untilSpread(proxy: RunningProxy, keys: readonly string[]): Promise<void> {
  const wire = new Wire(proxy.port);
  try {
    await waitFor(
      async () => {
        const before = await readsAtReplicas(proxy);
        for (const key of keys) wire.sendAll(Array.from({ length: 100 }, () => ['TYPE', key]));
        await wire.replies(100 * keys.length);
        return (await readsAtReplicas(proxy)) - before >= 100 * keys.length;
      },
      // A replica that was away may have to be sent all data again.
      20_000,
      50,
    );
  } finally {
    wire.close();
  }
}

/** How many reads were sent to replicas. */
export async function readsAtReplicas(proxy: RunningProxy): Promise<number> {
  const metrics = await proxy.metrics();
  return metrics.sum('heatsink_upstream_requests_total', { purpose: 'replica_read' });
}

/** How many of the replicas are read from. */
export async function fitReplicas(proxy: RunningProxy): Promise<number> {
  return (await proxy.metrics()).sum('heatsink_replica_fit');
}

/** How often each server ran the command while `action` did something. */
export async function runsDuring(
  servers: readonly RedisProcess[],
  command: string,
  action: () => Promise<unknown>,
): Promise<number[]> {
  const count = () => Promise.all(servers.map((server) => cmdstat(server, command)));
  const before = await count();
  await action();
  const after = await count();
  return after.map((runs, i) => runs - before[i]);
}

/** Clients that read these keys all the time, each pipelining a few; `replies` has how often each reply came. */
export class Readers {
  readonly replies = new Map<string, number>();
  readonly #wires: Wire[];
  readonly #loops: Promise<void>[];
  #stopped = false;

  constructor(port: number, keys: readonly string[], clients = 4) {
    this.#wires = Array.from({ length: clients }, () => new Wire(port, 15_000));
    this.#loops = this.#wires.map((wire) => this.#loop(wire, keys));
    // `stop` tells.
    for (const loop of this.#loops) loop.catch(() => {});
  }

  get count(): number {
    return [...this.replies.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Resolves after that many more replies. */
  async more(count: number, timeout = 10_000): Promise<void> {
    const from = this.count;
    await waitFor(() => this.count >= from + count, timeout);
  }

  /** Rejects if a client got no reply at all. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    for (const wire of this.#wires) wire.close();
  }

  async #loop(wire: Wire, keys: readonly string[]): Promise<void> {
    while (!this.#stopped) {
      wire.sendAll(keys.map((key) => ['GET', key]));
      for (const reply of await wire.replies(keys.length)) {
        const text = reply.toString('latin1');
        this.replies.set(text, (this.replies.get(text) ?? 0) + 1);
      }
    }
  }
}
