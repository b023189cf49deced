// The same load on keys that have copies on the other masters, which answer in place of the tier.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runFailover } from './consistency/failover.ts';
import { cutTracking, moveSlots, runApart, runShared } from './consistency/modes.ts';
import { describeReport } from './consistency/report.ts';
import { expectClean, optionsOf, TIMEOUT, WORKERS } from './consistency/run-options.ts';
import { type Cluster, startCluster } from './support/redis.ts';

const FAN_OUT = { flags: { 'fan-out': 'on' }, calm: true };

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ masters: 3 });
});

afterAll(() => cluster.stop());

beforeEach(async () => {
  await Promise.all(cluster.nodes.map((node) => node.call('FLUSHALL')));
});

describe.each(WORKERS)('with %i worker(s) and copies of every key', (workers) => {
  const named = (name: string) => optionsOf(`copies, ${name}`, workers, FAN_OUT);

  it(
    'every key is linearizable',
    async () => {
      expectClean(await runShared(cluster.url, named('cluster')), 'copyShare');
    },
    TIMEOUT,
  );

  it(
    'every key is linearizable while its slot moves',
    async () => {
      expectClean(await runShared(cluster.url, named('resharding'), moveSlots(cluster)), 'copyShare');
    },
    TIMEOUT,
  );

  it(
    'every key is linearizable while the tracked connections are cut every second',
    async () => {
      const cut = cutTracking(cluster.nodes);
      expectClean(await runShared(cluster.url, named('tracking cut'), cut), 'copyShare');
    },
    TIMEOUT,
  );

  it(
    'reads follow writers straight at the masters',
    async () => {
      const writerAt = async ({ key }: { key: string }) => (await cluster.slotOwner(key)).port;
      expectClean(await runApart(cluster.url, named('written past heatsink'), writerAt), 'copyShare');
    },
    TIMEOUT,
  );
});

it(
  'every key with copies is linearizable when a master is killed, but for what its replica had not heard of',
  async () => {
    const args = ['--cluster-node-timeout', '500', '--cluster-require-full-coverage', 'no'];
    const doomed = await startCluster({ masters: 3, replicas: 1, args });
    try {
      const report = await runFailover(doomed, optionsOf('copies, master killed', 2, FAN_OUT));
      expectClean(report, 'copyShare');
      expect(report.lost).toBeGreaterThan(0);
    } finally {
      await doomed.stop();
    }
  },
  TIMEOUT,
);

it(
  'a copy that is believed whatever was written since is noticed',
  async () => {
    const bug = 'version check on copies' as const;
    const report = await runShared(cluster.url, optionsOf(`without the ${bug}`, 1, { ...FAN_OUT, bug }));
    console.log(describeReport(report));
    expect([...report.errors]).toEqual([]);
    expect(report.violations, `seed ${report.seed}`).toBeGreaterThan(0);
  },
  TIMEOUT,
);
