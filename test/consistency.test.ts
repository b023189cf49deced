// Clients that write and read the same keys through one heatsink, under faults too: what they saw of each key is
// linearizable, operation by operation.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runFailover } from './consistency/failover.ts';
import { cutTracking, moveSlots, runShared } from './consistency/modes.ts';
import { expectClean, optionsOf, TIMEOUT, WORKERS } from './consistency/run-options.ts';
import { temporaryDir } from './support/children.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis } from './support/redis.ts';

/** The slots of the others are served while nobody serves those of the dead one. */
const FAILOVER = ['--cluster-node-timeout', '500', '--cluster-require-full-coverage', 'no'];
/** What a client may be told that asks for the keys of a dead master: heatsink's words, and Redis's own. */
const VICTIM_ERRORS =
  /^ERR heatsink: (the connection to .* broke before the reply|cannot reach )|^EXECABORT |^CLUSTERDOWN |^ERR WAIT /;

/** All find keys missing all the time, and nobody waits for long. */
const LEASES = "rules: [{ match: '*', lease: on }]\nlease: { wait: 20, hold: 5 }\n";

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

function leases(): string {
  const file = join(temporaryDir('leases'), 'heatsink.yaml');
  writeFileSync(file, LEASES);
  return file;
}

describe.each(WORKERS)('with %i worker(s) every key is linearizable', (workers) => {
  it(
    'in front of one server',
    async () => {
      expectClean(await runShared(single.url, optionsOf('standalone', workers)));
    },
    TIMEOUT,
  );

  it(
    'where reads of missing keys wait for whoever rebuilds them',
    async () => {
      const options = { ...optionsOf('leases', workers), file: leases() };
      expectClean(await runShared(single.url, options, cutTracking([single])));
    },
    TIMEOUT,
  );

  it(
    'in front of a cluster',
    async () => {
      expectClean(await runShared(cluster.url, optionsOf('cluster', workers)));
    },
    TIMEOUT,
  );

  it(
    'while the tracked connections are cut every second',
    async () => {
      const options = optionsOf('tracking cut', workers);
      expectClean(await runShared(single.url, options, cutTracking([single])));
    },
    TIMEOUT,
  );

  it(
    'while its slot moves',
    async () => {
      expectClean(await runShared(cluster.url, optionsOf('resharding', workers), moveSlots(cluster)));
    },
    TIMEOUT,
  );

  it(
    'when a master is killed, but for what its replica had not heard of',
    async () => {
      const doomed = await startCluster({ masters: 3, replicas: 1, args: FAILOVER });
      open.push(() => doomed.stop());
      const report = await runFailover(doomed, optionsOf('master killed', workers));
      expectClean(report);
      for (const error of report.victimErrors.keys()) expect(error).toMatch(VICTIM_ERRORS);
      expect(report.lost).toBeGreaterThan(0);
      await doomed.stop();
    },
    TIMEOUT,
  );
});
