// A drain that is killed with SIGKILL at random moments while increments go on. `npm run bench:drain` does it more often.

import { expect, it } from 'vitest';
import { type CounterDatabase, crashRun, makeCrashTable } from './support/drain-crashes.ts';
import { startMariadb } from './support/mariadb.ts';
import { startPostgres } from './support/postgres.ts';
import { startRedis } from './support/redis.ts';

const RUNS = 5;

it.each<[string, () => Promise<CounterDatabase & { stop(): Promise<void> }>]>([
  ['PostgreSQL', startPostgres],
  ['MariaDB', startMariadb],
])('%s has every acknowledged increment once after each of five kills', async (_, start) => {
  const [redis, db] = await Promise.all([startRedis(), start()]);
  await makeCrashTable(db);
  for (let run = 0; run < RUNS; run++) {
    const { wrong, acknowledged } = await crashRun(redis.url, db, 1);
    expect(wrong).toBe(0);
    expect(acknowledged).toBeGreaterThan(0);
  }
  await Promise.all([redis.stop(), db.stop()]);
});
