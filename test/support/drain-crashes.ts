// A drain that is killed at random moments while increments go on, and whether every increment that was acknowledged
// is in the table in the end, once.

import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { spawnCli } from './heatsink-process.ts';

/** A database with a table for counters. */
export interface CounterDatabase {
  readonly url: string;
  query(sql: string): Promise<unknown[]>;
}

export interface CrashRun {
  /** Increments that Redis acknowledged. */
  readonly acknowledged: number;
  /** Counters whose total in the table is not the sum of what was acknowledged. */
  readonly wrong: number;
  /** What the kills left: hashes aside that were not applied yet, and applied ones that were not removed yet. */
  readonly unapplied: number;
  readonly unremoved: number;
}

/** Many hashes, so that a drain is busy most of the time. */
const DAYS = Array.from({ length: 30 }, (_, i) => `2026-11-${String(i + 1).padStart(2, '0')}`);
const PRODUCTS = 30;
const PIPELINE = 50;
const TABLE = 'crash_views';
const JOB = ['--from', 'crash:{day}', '--table', TABLE, '--key-column', 'product_id', '--column', 'views'];

/** Makes the table, once for each database. */
export async function makeCrashTable(db: CounterDatabase): Promise<void> {
  await db.query(
    `CREATE TABLE ${TABLE} (day date NOT NULL, product_id bigint NOT NULL, views bigint NOT NULL, PRIMARY KEY (day, product_id))`,
  );
}

/** One run from an empty table, with that many kills. */
export async function crashRun(redisUrl: string, db: CounterDatabase, kills: number): Promise<CrashRun> {
  await db.query(`DELETE FROM ${TABLE}`);
  const args = ['drain', '--redis', redisUrl, '--to', db.url, ...JOB];
  const redis = new Redis(redisUrl);
  const writer = startWriter(redis);
  let unapplied = 0;
  let unremoved = 0;
  for (let kill = 0; kill < kills; kill++) {
    const drain = await spawnCli([...args, '--every', '100ms'], {
      ready: (output) => output.includes('draining'),
    });
    await sleep(Math.random() * 600);
    await drain.stop('SIGKILL');
    const left = await leftAside(redis);
    const noted = await notedAmong(db, left);
    unremoved += noted;
    unapplied += left.length - noted;
  }
  const expected = await writer.stop();
  const last = await spawnCli([...args, '--once'], { ready: () => false }).catch((error) => String(error));
  const ended = String(last).includes('ended at once (0)');
  if (!ended) throw new Error(`the last round did not succeed: ${last}`);
  const left = await leftAside(redis);
  if (left.length > 0) throw new Error(`left aside: ${left}`);
  redis.disconnect();
  const totals = await totalsOf(db);
  const names = new Set([...expected.keys(), ...totals.keys()]);
  return {
    acknowledged: [...expected.values()].reduce((sum, n) => sum + n, 0),
    wrong: [...names].filter((name) => expected.get(name) !== totals.get(name)).length,
    unapplied,
    unremoved,
  };
}

/** Increments random counters until it is stopped; every one that it sent was acknowledged then. */
function startWriter(redis: Redis): { stop(): Promise<Map<string, number>> } {
  const counts = new Map<string, number>();
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      const sent = Array.from({ length: PIPELINE }, () => {
        const day = DAYS[Math.floor(Math.random() * DAYS.length)];
        const product = 1 + Math.floor(Math.random() * PRODUCTS);
        return { day, product, by: 1 + Math.floor(Math.random() * 3) };
      });
      const replies = sent.map(({ day, product, by }) => redis.hincrby(`crash:${day}`, `${product}`, by));
      await Promise.all(replies);
      for (const { day, product, by } of sent) {
        counts.set(`${day} ${product}`, (counts.get(`${day} ${product}`) ?? 0) + by);
      }
      await sleep(1);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await running;
      return counts;
    },
  };
}

function leftAside(redis: Redis): Promise<string[]> {
  return redis.keys('heatsink:drain:*');
}

async function notedAmong(db: CounterDatabase, names: readonly string[]): Promise<number> {
  // The server may still be busy with the last words of the drain that was killed.
  await sleep(50);
  const batches = (await db.query('SELECT batch FROM heatsink_drain_batches').catch(() => [])) as {
    batch: string;
  }[];
  return names.filter((name) => batches.some(({ batch }) => name.includes(batch))).length;
}

async function totalsOf(db: CounterDatabase): Promise<Map<string, number>> {
  const sql = `SELECT CAST(day AS varchar(10)) AS day, product_id, views FROM ${TABLE}`;
  const rows = (await db.query(sql)) as { day: string; product_id: unknown; views: unknown }[];
  return new Map(rows.map(({ day, product_id, views }) => [`${day} ${product_id}`, Number(views)]));
}
