// Writers that heatsink learns of from the server only, straight at Redis or on another heatsink: reads never go back
// in time, and see every write soon.

import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest';
import { cutTracking, runApart, runTwoHeatsinks } from './consistency/modes.ts';
import { expectClean, optionsOf, TIMEOUT, WORKERS } from './consistency/run-options.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis } from './support/redis.ts';

const open: (() => unknown)[] = [];
let single: RedisProcess;
let cluster: Cluster;

beforeAll(async () => {
  [single, cluster] = await Promise.all([startRedis(), startCluster({ masters: 3 })]);
  open.push(() => Promise.all([single.stop(), cluster.stop()]));
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

beforeEach(async () => {
  await Promise.all([single, ...cluster.nodes].map((node) => node.call('FLUSHALL')));
});

describe.each(WORKERS)('with %i worker(s) reads follow', (workers) => {
  it(
    'writers straight at the server',
    async () => {
      const options = optionsOf('written past heatsink', workers);
      expectClean(await runApart(single.url, options, () => single.port));
    },
    TIMEOUT,
  );

  it(
    'writers straight at the masters of a cluster',
    async () => {
      const options = optionsOf('written past heatsink, cluster', workers);
      expectClean(
        await runApart(cluster.url, options, async ({ key }) => (await cluster.slotOwner(key)).port),
      );
    },
    TIMEOUT,
  );

  it(
    'writers straight at the server while the tracked connections are cut every second',
    async () => {
      const options = optionsOf('written past heatsink, tracking cut', workers);
      expectClean(await runApart(single.url, options, () => single.port, cutTracking([single])));
    },
    TIMEOUT,
  );

  it(
    'writers on another heatsink',
    async () => {
      expectClean(await runTwoHeatsinks(single.url, optionsOf('two heatsinks', workers)));
    },
    TIMEOUT,
  );

  it(
    'writers on another heatsink in front of a cluster',
    async () => {
      expectClean(await runTwoHeatsinks(cluster.url, optionsOf('two heatsinks, cluster', workers)));
    },
    TIMEOUT,
  );
});
