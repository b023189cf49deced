// Follows the master that sentinels name: all of them are asked every second and whenever one of them tells of a
// switch, and who has seen the latest failover is believed, once the node itself says that it is the master.

import { setTimeout as sleep } from 'node:timers/promises';
import { C } from '../counters.ts';
import { type Address, Control, type ControlLink } from './control.ts';
import { type Discovery, type DiscoveryOptions, scheduled } from './discover.ts';
import { Sentinel, type SentinelAnswer } from './sentinel.ts';

export interface SentinelDiscoveryOptions extends DiscoveryOptions {
  /** Those to begin with, at least one. */
  readonly sentinels: readonly Address[];
  /** What they call the master. */
  readonly master: string;
  /** To the sentinels, and to the nodes. */
  readonly sentinelLink: ControlLink;
  readonly nodeLink: ControlLink;
  /** Another node is the master now. */
  readonly switched: (master: Address) => void;
}

/** The longest time between two reads, in milliseconds: a switch is seen even when nobody tells of it. */
const POLL = 1000;
/** How long an answer from before the last failover counts as one that is late, in milliseconds. */
const LAG = 10_000;
/** How long the other sentinels may take once one has answered, in milliseconds. */
const PATIENCE = 300;

/** For a master behind sentinels. When no sentinel answers, the known master stays. */
export function discoverSentinel(options: SentinelDiscoveryOptions): Discovery {
  const { control, topology, counters, master, sentinelLink, nodeLink } = options;
  const sentinels = new Map<string, Sentinel>();
  let current: SentinelAnswer | null = null;
  /** `performance.now()` of the last answer that was not from before the last failover. */
  let upToDateAt = 0;
  let closed = false;

  /** Meets sentinels that are new, and forgets those that nobody names any more. */
  function know(named: readonly Address[]): void {
    const addresses = new Map([...options.sentinels, ...named].map((address) => [nameOf(address), address]));
    for (const [name, address] of addresses) {
      if (!sentinels.has(name))
        sentinels.set(
          name,
          new Sentinel(address, master, sentinelLink, topology.replicas !== null, () =>
            discovery.refreshSoon(),
          ),
        );
    }
    for (const [name, sentinel] of sentinels) {
      if (addresses.has(name)) continue;
      sentinel.close();
      sentinels.delete(name);
    }
  }

  async function askAll(): Promise<SentinelAnswer[]> {
    const answers: SentinelAnswer[] = [];
    const asked = Array.from(sentinels.values(), async (sentinel) => {
      answers.push(await sentinel.ask());
    });
    const first = Promise.any(asked);
    const patience = first.then(() => sleep(PATIENCE, undefined, { ref: false }));
    try {
      await Promise.race([Promise.allSettled(asked), patience]);
      await first;
    } catch (error) {
      const reasons = (error as AggregateError).errors.map((reason: Error) => reason.message);
      throw new Error(`no sentinel answers: ${reasons.join(', ')}`, { cause: error });
    }
    return answers;
  }

  async function read(): Promise<void> {
    counters[C.topologyRefreshes]++;
    const answers = await askAll();
    if (closed) return;
    know(answers.flatMap((answer) => answer.sentinels));
    const before = current;
    const best = latest(answers, before);
    const isNew = before === null || !same(best, before);
    if (isNew && before !== null && best.epoch < before.epoch) {
      // Not all sentinels have heard of the last failover yet; for good this is so only if they were set up anew.
      const late = performance.now() - upToDateAt < LAG;
      if (late && (await isMaster(before).catch(() => false))) return;
    }
    upToDateAt = performance.now();
    if (!(await isMaster(best))) {
      if (isNew) discovery.refreshSoon();
      throw new Error(`${nameOf(best)}, which the sentinels call the master, says that it is a replica`);
    }
    if (closed) return;
    current = best;
    if (isNew) {
      topology.setOnly(best.host, best.port);
      control.know([best]);
      if (before !== null) options.switched(best);
    }
    if (topology.replicas === null) return;
    // One that was started a moment ago does not know all of them yet.
    const named = answers.filter((answer) => same(answer, best)).flatMap(({ replicas }) => replicas);
    topology.replicas.set(new Map([[topology.nodes[0], named]]));
  }

  /** Asks a node that may not be the one that the control plane talks to. */
  async function isMaster(node: Address): Promise<boolean> {
    if (current !== null && same(node, current)) return saysMaster(control);
    const probe = new Control({ ...nodeLink, seeds: [node] });
    try {
      return await saysMaster(probe);
    } finally {
      probe.close();
    }
  }

  const discovery = scheduled(read, { ...options, interval: Math.min(options.interval, POLL) });
  know([]);
  return {
    ...discovery,
    close() {
      closed = true;
      discovery.close();
      for (const sentinel of sentinels.values()) sentinel.close();
    },
  };
}

/** The address of the latest failover that they know of; the known one when they disagree about it. */
function latest(answers: readonly SentinelAnswer[], current: SentinelAnswer | null): SentinelAnswer {
  const epoch = Math.max(...answers.map((answer) => answer.epoch));
  const newest = answers.filter((answer) => answer.epoch === epoch);
  return newest.find((answer) => current !== null && same(answer, current)) ?? newest[0];
}

/** https://redis.io/docs/latest/commands/role/; who may not ask has to believe the sentinels. */
async function saysMaster(server: Control): Promise<boolean> {
  try {
    const role = await server.call('ROLE');
    return Array.isArray(role) && role[0] === 'master';
  } catch (error) {
    if ((error as Error).message.startsWith('NOPERM')) return true;
    throw error;
  }
}

function same(one: Address, other: Address): boolean {
  return one.host === other.host && one.port === other.port;
}

function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
