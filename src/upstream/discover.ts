// Reads the upstream's topology: once at the start, on a timer, and whenever a node said MOVED.

import { C, type Counters } from '../counters.ts';
import type { Address, Control } from './control.ts';
import { parseReplication } from './replication.ts';
import type { SlotRange, Topology } from './topology.ts';

/** Between two refreshes that MOVED asks for, in milliseconds: a resharding says MOVED many times. */
const REFRESH_GAP = 100;

export interface Discovery {
  /** Reads the topology now; rejects when no server answers. */
  refresh(): Promise<void>;
  /** Reads it soon, however often that is asked for. */
  refreshSoon(): void;
  close(): void;
}

export interface DiscoveryOptions {
  readonly control: Control;
  readonly topology: Topology;
  /** Milliseconds between refreshes. */
  readonly interval: number;
  readonly counters: Counters;
  readonly failed: (error: Error) => void;
}

/** Calls `read` by a timer and on demand, never twice at once, and tells of a failure when it is a new one. */
export function scheduled(
  read: () => Promise<void>,
  { interval, failed }: Pick<DiscoveryOptions, 'interval' | 'failed'>,
): Discovery {
  let running: Promise<void> | null = null;
  let soon: NodeJS.Timeout | null = null;
  let lastFailure = '';

  function refresh(): Promise<void> {
    running ??= read().finally(() => {
      running = null;
    });
    return running;
  }

  const refreshed = () =>
    refresh().then(
      () => {
        lastFailure = '';
      },
      (error: Error) => {
        if (error.message !== lastFailure) failed(error);
        lastFailure = error.message;
      },
    );

  const timer = setInterval(refreshed, interval).unref();
  return {
    refresh,
    refreshSoon() {
      soon ??= setTimeout(() => {
        soon = null;
        // One that is under way may have read what is outdated.
        if (running === null) refreshed();
        else running.catch(() => {}).then(refreshed);
      }, REFRESH_GAP).unref();
    },
    close() {
      clearInterval(timer);
      if (soon !== null) clearTimeout(soon);
    },
  };
}

/** For a cluster, by CLUSTER SLOTS: https://redis.io/docs/latest/commands/cluster-slots/ */
export function discoverCluster(options: DiscoveryOptions): Discovery {
  const { control, topology, counters } = options;
  return scheduled(async () => {
    counters[C.topologyRefreshes]++;
    const ranges = parseSlots(await control.call('CLUSTER', 'SLOTS'), control.address.host);
    if (ranges.length === 0) throw new Error('CLUSTER SLOTS names no slot: is the cluster formed?');
    topology.setRanges(ranges);
    control.know(topology.nodes);
  }, options);
}

/** A standalone server never moves. Those that follow it come and go: it knows who does now, where a rule asks. */
export function discoverStandalone(options: DiscoveryOptions): Discovery {
  const { control, topology } = options;
  if (topology.replicas !== null) return scheduled(readStandalone, options);
  return {
    refresh: readStandalone,
    refreshSoon() {},
    close() {},
  };

  async function readStandalone(): Promise<void> {
    await control.call('PING');
    if (topology.nodes.length === 0) topology.setOnly(control.address.host, control.address.port);
    if (topology.replicas === null) return;
    const { replicas } = parseReplication(String(await control.call('INFO', 'replication')));
    topology.replicas.set(new Map([[topology.nodes[0], replicas]]));
  }
}

/** Rows of [first, last, [host, port, id, ...] of the primary, replicas ...]; an empty host means the asked one. */
function parseSlots(reply: unknown, askedHost: string): SlotRange[] {
  if (!Array.isArray(reply)) throw new Error(`CLUSTER SLOTS answered ${JSON.stringify(reply)}`);
  const address = ([host, port]: [string | null, number]): Address => ({ host: host || askedHost, port });
  return reply.map(([first, last, primary, ...replicas]: [number, number, ...[string | null, number][]]) => ({
    first,
    last,
    ...address(primary),
    // Without a name that anybody told it, a node calls itself `?`.
    replicas: replicas.map(address).filter(({ host }) => host !== '?'),
  }));
}
