// The checker finds what it is made for: each guard of heatsink that is taken away is missed within seconds, by a
// load in which nothing is wrong while the guard is there.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PlantedInOne } from './consistency/planted.ts';
import { runScene, SCENES } from './consistency/planted-runs.ts';
import { describeReport } from './consistency/report.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';

const SEED = Number(process.env.CHECKER_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** How often each is played. */
const ROUNDS = Number(process.env.CHECKER_ROUNDS ?? 1);

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startRedis({ args: ['--enable-debug-command', 'yes'] });
  // A key that has expired is noticed when somebody asks for it.
  await redis.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0');
});

afterAll(() => redis.stop());

beforeEach(async () => {
  await redis.call('FLUSHALL');
});

describe.each(Object.keys(SCENES) as PlantedInOne[])('the %s', (guard) => {
  for (let round = 0; round < ROUNDS; round++) {
    it.each([
      ['is missed when it is off', true],
      ['is enough when it is on', false],
    ])('%s', async (_, planted) => {
      const report = await runScene(redis, guard, { planted, seed: SEED + round });
      console.log(describeReport(report));
      expect([...report.errors]).toEqual([]);
      if (planted) expect(report.violations, `seed ${report.seed}`).toBeGreaterThan(0);
      else expect(report.evidence, `seed ${report.seed}`).toEqual([]);
    });
  }
});
