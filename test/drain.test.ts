// heatsink drain against real databases: what is counted in Redis is in the table, once, whatever dies when.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jobList } from '../src/config/drain-types.ts';
import { ConfigError } from '../src/config/load.ts';
import { nameAside } from '../src/drain/aside.ts';
import { connectDatabase } from '../src/drain/connect-database.ts';
import { type DrainPlan, runDryRun } from '../src/drain/drain.ts';
import { makeTables, openSink } from '../src/drain/sink.ts';
import { drainOnce, redisAt } from './support/drain.ts';
import type { CounterDatabase } from './support/drain-crashes.ts';
import { startMariadb } from './support/mariadb.ts';
import { startPostgres } from './support/postgres.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';

interface TestDatabase extends CounterDatabase {
  kill(signal?: NodeJS.Signals): void;
  stop(): Promise<void>;
}

const TABLE = `CREATE TABLE product_views (day date NOT NULL, product_id bigint NOT NULL, views bigint,
  sales numeric(20,4), PRIMARY KEY (day, product_id))`;
const VIEWS = { from: 'views:{day}', table: 'product_views', keyColumn: 'product_id', column: 'views' };
const TODAY = '2026-11-23';

const databases: [string, DrainPlan['to']['dialect'], () => Promise<TestDatabase>][] = [
  ['PostgreSQL', 'postgres', startPostgres],
  ['MariaDB', 'mysql', startMariadb],
];

let redis: RedisProcess;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

describe.each(databases)('drain to %s', (_, dialect, start) => {
  let db: TestDatabase;

  const planOf = (given: object = {}, plan: Partial<DrainPlan> = {}): DrainPlan => ({
    redis: redisAt(redis.url),
    to: { dialect, url: db.url },
    every: 100,
    maxFields: 100_000,
    keepBatches: 3_600_000,
    jobs: jobList.parse([{ ...VIEWS, ...given }]),
    ...plan,
  });
  const drain = (plan = planOf()) => drainOnce(plan);
  const views = async (column = 'views') =>
    Object.fromEntries(
      (
        (await db.query(
          `SELECT CAST(day AS varchar(10)) AS day, product_id, ${column} AS n FROM product_views ORDER BY 1, 2`,
        )) as { day: string; product_id: unknown; n: unknown }[]
      ).map(({ day, product_id, n }) => [`${day} ${product_id}`, Number(n)]),
    );
  const rejected = async () =>
    (await db.query('SELECT field, value FROM heatsink_drain_rejected ORDER BY field')) as {
      field: string;
      value: string;
    }[];
  const count = async (table: string) =>
    Number(((await db.query(`SELECT COUNT(*) AS n FROM ${table}`)) as { n: unknown }[])[0].n);
  const keys = () => redis.client.keys('*');
  const hset = (key: string | Buffer, values: Record<string, string | number>) =>
    redis.client.hset(key, values);

  beforeAll(async () => {
    db = await start();
    await db.query(TABLE);
    await drain();
  });
  afterAll(() => db.stop());
  beforeEach(async () => {
    await redis.client.flushall();
    for (const table of ['product_views', 'heatsink_drain_batches', 'heatsink_drain_rejected']) {
      await db.query(`DELETE FROM ${table}`);
    }
  });

  it('adds fields to rows, parts of the key to their columns, and leaves nothing in Redis', async () => {
    // A total that is NULL is one of 0.
    await db.query(`INSERT INTO product_views (day, product_id) VALUES ('${TODAY}', 1)`);
    await hset(`views:${TODAY}`, { 1: 5, 2: 7 });
    await hset('views:2026-11-22', { 1: 1 });
    expect(await drain()).toBe(true);
    await redis.client.hincrby(`views:${TODAY}`, '2', 3);
    await redis.client.hincrby(`views:${TODAY}`, '3', -4);
    expect(await drain()).toBe(true);
    expect(await views()).toEqual({
      '2026-11-22 1': 1,
      [`${TODAY} 1`]: 5,
      [`${TODAY} 2`]: 10,
      [`${TODAY} 3`]: -4,
    });
    expect(await keys()).toEqual([]);
    expect(await count('heatsink_drain_batches')).toBe(3);
  });

  it('takes no key that does not fit, is no hash, or was put aside by others', async () => {
    await hset(`views:${TODAY}:old`, { 1: 5 });
    await redis.client.set('views:text', 'x');
    await hset('heatsink:drain:other:x', { 1: 5 });
    expect(await drain()).toBe(true);
    expect(await drain(planOf({ from: 'heatsink:*:{day}' }))).toBe(true);
    expect((await keys()).sort()).toEqual(['heatsink:drain:other:x', `views:${TODAY}:old`, 'views:text']);
    expect(await views()).toEqual({});
  });

  it('says in a dry run what it would do, and changes nothing', async () => {
    await hset(`views:${TODAY}`, { 1: 5, 2: 7, 3: 'x' });
    const aside = nameAside('product_views', Buffer.from('views:2026-11-22'), 1);
    await hset(aside.name, { 1: 1 });
    const lines: string[] = [];
    await runDryRun(planOf(), (line) => lines.push(line));
    expect(lines).toEqual([
      'product_views: views:{day} -> product_views.views',
      `  views:2026-11-22 (batch ${aside.batch}): 1 rows, sum 1`,
      `  views:${TODAY}: 2 rows, sum 12, 1 rejected, day = ${TODAY}`,
    ]);
    expect((await keys()).sort()).toEqual([aside.name.toString(), `views:${TODAY}`]);
    expect(await views()).toEqual({});
    expect(await count('heatsink_drain_batches')).toBe(0);
  });

  it('applies what a crash left between RENAME and COMMIT, once', async () => {
    const { name } = nameAside('product_views', Buffer.from(`views:${TODAY}`), 1);
    await hset(name, { 1: 5 });
    expect(await drain()).toBe(true);
    expect(await drain()).toBe(true);
    expect(await views()).toEqual({ [`${TODAY} 1`]: 5 });
    expect(await keys()).toEqual([]);
  });

  it('only removes what a crash left between COMMIT and UNLINK', async () => {
    const { name } = nameAside('product_views', Buffer.from(`views:${TODAY}`), 1);
    await hset(name, { 1: 5 });
    expect(await drain()).toBe(true);
    await hset(name, { 1: 5 });
    expect(await drain()).toBe(true);
    expect(await views()).toEqual({ [`${TODAY} 1`]: 5 });
    expect(await keys()).toEqual([]);
  });

  it('takes a hash that is too large for one transaction in several, of which a crash may leave some', async () => {
    const fields = Object.fromEntries(Array.from({ length: 950 }, (_, i) => [`${i + 1}`, i]));
    const plan = planOf({}, { maxFields: 100 });
    await hset(`views:${TODAY}`, fields);
    expect(await drain(plan)).toBe(true);
    expect(await count('heatsink_drain_batches')).toBe(10);

    // As if a drain had died after the first four parts of a batch.
    const aside = nameAside('product_views', Buffer.from(`views:${TODAY}`), 10);
    await hset(aside.name, fields);
    expect(await drain(plan)).toBe(true);
    await db.query(`DELETE FROM heatsink_drain_batches WHERE batch = '${aside.batch}' AND part >= 4`);
    await db.query('DELETE FROM product_views');
    await hset(aside.name, fields);
    expect(await drain(plan)).toBe(true);
    const totals = Object.entries(await views());
    expect(totals.length).toBeGreaterThan(400);
    expect(totals.length).toBeLessThan(750);
    for (const [id, total] of totals) expect(id).toBe(`${TODAY} ${total + 1}`);
  });

  it('lets two drains work at once', async () => {
    for (let i = 1; i <= 20; i++) {
      const day = `2026-10-${String(i).padStart(2, '0')}`;
      await hset(nameAside('product_views', Buffer.from(`views:${day}`), 1).name, { 1: i, 2: 1 });
      await hset(`views:${day}`, { 2: i, 3: 1 });
    }
    expect(await Promise.all([drain(), drain(), drain()])).toEqual([true, true, true]);
    const sum = Object.values(await views()).reduce((all, n) => all + n, 0);
    expect(sum).toBe(2 * 210 + 2 * 20);
    expect(await keys()).toEqual([]);
  });

  it('applies a batch once that two drains have read', async () => {
    const [one, other] = await Promise.all([connectDatabase(planOf().to), connectDatabase(planOf().to)]);
    await makeTables(one);
    const [job] = planOf().jobs;
    const [first, second] = await Promise.all([one, other].map((each) => openSink(each, job, ['day'])));
    const part = {
      batch: 'the-batch',
      part: 0,
      key: Buffer.from('views'),
      fixed: [TODAY],
      rows: [{ field: '1', value: '5' }],
      refused: [],
      deadline: Number.POSITIVE_INFINITY,
    };
    const outcomes = await Promise.all([first.apply(part), second.apply(part)]);
    expect(outcomes.filter((outcome) => outcome === null)).toHaveLength(1);
    expect(await views()).toEqual({ [`${TODAY} 1`]: 5 });
    // A reader that was held up for so long that the batch may be forgotten must not apply it.
    await expect(first.apply({ ...part, batch: 'late', deadline: 0 })).rejects.toThrow('too long ago');
    expect(await views()).toEqual({ [`${TODAY} 1`]: 5 });
    await Promise.all([one.close(), other.close()]);
  });

  it('keeps what cannot be added in a table, and adds the rest', async () => {
    await hset(`views:${TODAY}`, {
      1: 5,
      2: 'x',
      3: '1.5',
      4: '99999999999999999999',
      '1.5': 7,
      shoe: 8,
      5: '9223372036854775807',
    });
    await redis.client.hset(`views:${TODAY}`, Buffer.from([0xff, 0x00]), '1');
    await hset('views:someday', { 1: 1 });
    await db.query(`INSERT INTO product_views (day, product_id, views) VALUES ('${TODAY}', 5, 1)`);
    expect(await drain()).toBe(true);
    expect(await views()).toEqual({ [`${TODAY} 1`]: 5, [`${TODAY} 5`]: 1 });
    expect(await rejected()).toEqual(
      [
        { field: '1', value: '1' },
        { field: '1.5', value: '7' },
        { field: '2', value: 'x' },
        { field: '3', value: '1.5' },
        { field: '4', value: '99999999999999999999' },
        { field: '5', value: '9223372036854775807' },
        { field: 'base64:/wA=', value: '1' },
        { field: 'shoe', value: '8' },
      ].sort((a, b) => (a.field < b.field ? -1 : 1)),
    );
    expect(await keys()).toEqual([]);
  });

  it('adds fields that are one key to the column', async () => {
    await hset(`views:${TODAY}`, { 1: 5, '01': 6, '001': 7 });
    expect(await drain()).toBe(true);
    expect(await views()).toEqual({ [`${TODAY} 1`]: 18 });
    expect(await rejected()).toEqual([]);
  });

  it('adds decimals where the job says so', async () => {
    await redis.client.hincrbyfloat(`sales:${TODAY}`, '1', 10.25);
    await redis.client.hincrbyfloat(`sales:${TODAY}`, '1', 0.5);
    const job = { from: 'sales:{day}', column: 'sales', decimals: true };
    expect(await drain(planOf(job))).toBe(true);
    expect(await views('sales')).toEqual({ [`${TODAY} 1`]: 10.75 });
  });

  it('says which table is not as the job says', async () => {
    const wrong = async (given: object) => {
      const error = await drain(planOf(given)).catch((reason: Error) => reason);
      expect(error).toBeInstanceOf(ConfigError);
      return (error as Error).message;
    };
    expect(await wrong({ table: 'no_such_table' })).toMatch(
      /^drain job no_such_table, table no_such_table: /,
    );
    expect(await wrong({ column: 'vews' })).toMatch(/table product_views: .*vews/);
    expect(await wrong({ from: 'views:*' })).toMatch(/unique/);
  });

  it('leaves everything where it is while the database is away', async () => {
    await hset(`views:${TODAY}`, { 1: 5 });
    const plan = planOf();
    const away = { ...plan, to: { ...plan.to, url: plan.to.url.replace(/:\d+\//, ':1/') } };
    expect(await drain(away)).toBe(false);
    expect(await redis.client.hgetall(`views:${TODAY}`)).toEqual({ 1: '5' });
    expect(await drain(plan)).toBe(true);
    expect(await views()).toEqual({ [`${TODAY} 1`]: 5 });
  });

  it('goes on with other batches and jobs where one cannot be applied, and says that it failed', async () => {
    const stray = nameAside('product_views', Buffer.from('of another pattern'), 1);
    await hset(stray.name, { 1: 1 });
    await hset(`views:${TODAY}`, { 1: 5 });
    await hset(`more:${TODAY}`, { 1: 6 });
    const more = { ...VIEWS, name: 'more', from: 'more:{day}' };
    expect(await drain(planOf({}, { jobs: jobList.parse([VIEWS, more]) }))).toBe(false);
    expect(await views()).toEqual({ [`${TODAY} 1`]: 11 });
    expect(await keys()).toEqual([stray.name.toString()]);
  });

  it('forgets batches after their time, but none whose hash is still there', async () => {
    const aside = nameAside('product_views', Buffer.from(`views:${TODAY}`), 1);
    await hset(aside.name, { 1: 5 });
    await hset('views:2026-11-22', { 1: 5 });
    expect(await drain()).toBe(true);
    await db.query(`UPDATE heatsink_drain_batches SET applied_at = '2026-01-01 00:00:00'`);
    await hset(aside.name, { 1: 5 });
    await hset('views:2026-11-22', { 1: 5 });
    expect(await drain()).toBe(true);
    expect(await views()).toEqual({ [`${TODAY} 1`]: 5, '2026-11-22 1': 10 });
    const left = (await db.query('SELECT batch FROM heatsink_drain_batches')) as { batch: string }[];
    expect(left).toHaveLength(2);
    expect(left.map(({ batch }) => batch)).toContain(aside.batch);
    expect(await drain()).toBe(true);
    expect(await count('heatsink_drain_batches')).toBe(1);
  });
});
