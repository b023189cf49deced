// One scenario for all: the clients that people use, each over a standalone server, a Redis Cluster and Sentinel.
// Clients in cluster mode are pointed at heatsink's one address.

import { afterAll, afterEach, beforeAll, describe, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { freePort, startCluster, startRedis } from './support/redis.ts';
import { SCENARIO, type Step } from './support/scenario.ts';
import type { ScenarioClient, ScenarioKind } from './support/scenario-client.ts';
import { IOREDIS } from './support/scenario-ioredis.ts';
import { NODE_REDIS } from './support/scenario-node-redis.ts';
import { REDIS_CLI } from './support/scenario-redis-cli.ts';
import { startWatched } from './support/sentinel.ts';

const KINDS: readonly ScenarioKind[] = [...IOREDIS, ...NODE_REDIS, ...REDIS_CLI];

const UPSTREAMS = [
  { name: 'a standalone server', cluster: false, start: () => startRedis() },
  { name: 'a cluster', cluster: true, start: () => startCluster({ masters: 3 }) },
  { name: 'Sentinel', cluster: false, start: () => startWatched() },
];

for (const upstream of UPSTREAMS) describe(`over ${upstream.name}`, () => over(upstream));

function over({ cluster, start }: (typeof UPSTREAMS)[number]): void {
  const open: (() => unknown)[] = [];
  let port: number;
  let proxy: RunningProxy;
  let launch: () => Promise<RunningProxy>;

  beforeAll(async () => {
    const upstream = await start();
    open.push(() => upstream.stop());
    port = await freePort();
    const flags = { listen: `127.0.0.1:${port}`, 'shutdown-timeout': '100', 'hot-threshold': '5' };
    launch = () => startProxy({ upstream: upstream.url, flags });
    proxy = await launch();
    open.push(() => proxy.close());
  });

  afterAll(async () => {
    for (const close of open.reverse()) await close();
  });

  async function restart(): Promise<void> {
    await proxy.close();
    proxy = await launch();
  }

  const kinds = KINDS.filter(({ clusterMode }) => cluster || !clusterMode);
  for (const kind of kinds) {
    const steps = SCENARIO.filter((step) => applies(step, kind, cluster));
    describe(kind.name, () => perform(steps, () => kind.open(port), restart));
  }
}

function perform(
  steps: readonly Step[],
  begin: () => Promise<ScenarioClient>,
  restart: () => Promise<void>,
): void {
  const others: ScenarioClient[] = [];
  let client: ScenarioClient;

  beforeAll(async () => {
    client = await begin();
    await client.call('FLUSHALL');
  });

  afterEach(async () => {
    for (const other of others.splice(0)) await other.close();
  });

  afterAll(() => client?.close());

  async function another(): Promise<ScenarioClient> {
    const other = await client.another();
    others.push(other);
    return other;
  }

  for (const { name, run } of steps) it(name, () => run({ client, another, restart }));
}

function applies({ needs }: Step, kind: ScenarioKind, cluster: boolean): boolean {
  if (needs === undefined) return true;
  if (needs === 'cache') return kind.name.includes('cache');
  if (needs === 'select' && cluster) return false;
  return !kind.lacks?.includes(needs);
}
