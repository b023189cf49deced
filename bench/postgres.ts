// How long readers still get the old price after a row was changed in PostgreSQL, with heatsink's invalidator between.
// `npm run bench:postgres`

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { stringify } from 'yaml';
import { temporaryDir } from '../test/support/children.ts';
import { type ProxyProcess, spawnProxy } from '../test/support/heatsink-process.ts';
import { installTrigger, type PostgresProcess, startPostgres } from '../test/support/postgres.ts';
import { startRedis, waitFor } from '../test/support/redis.ts';
import { progress } from './progress.ts';
import { runBench, type Stage } from './stage.ts';
import { percentile } from './statistics.ts';
import { short, table, whole } from './table.ts';

const CHANNEL = 'price_changes';
const KEY = 'price:1';
/** Milliseconds between two updates, at random, and after which a price that is still old stays so. */
const PAUSE = { least: 5, most: 15 } as const;
const STUCK = 1000;

/** When each price was first seen after its COMMIT had returned, in milliseconds from then. */
class Seen {
  readonly #committed: number[] = [];
  readonly told: number[] = [];
  readonly gone: number[] = [];
  readonly rebuilt: number[] = [];

  committed(price: number): void {
    this.#committed[price] = performance.now();
  }

  /** Notes that so much of it is known; before COMMIT has returned, that took no time at all. */
  note(what: 'told' | 'gone' | 'rebuilt', price: number): void {
    const after = this.#committed[price];
    this[what][price] ??= after === undefined ? 0 : performance.now() - after;
  }
}

async function start(stage: Stage): Promise<{ proxy: ProxyProcess; database: PostgresProcess }> {
  const folder = temporaryDir('bench');
  stage.keep({ stop: () => rmSync(folder, { recursive: true }) });
  const redis = stage.keep(await startRedis());
  const database = stage.keep(await startPostgres());
  await database.query(
    'CREATE TABLE products (id int PRIMARY KEY, price int); INSERT INTO products VALUES (1, 0)',
  );
  await installTrigger(database, { table: 'products', channel: CHANNEL, columns: 'id' });
  const file = join(folder, 'heatsink.yaml');
  const invalidator = { postgres: database.url, channel: CHANNEL, delete: 'price:{id}' };
  writeFileSync(file, stringify({ workers: 1, invalidator }));
  const proxy = stage.keep(await spawnProxy({ upstream: redis.url, file }));
  await waitFor(async () => (await proxy.metrics()).sum('heatsink_invalidator_connected') === 1);
  return { proxy, database };
}

async function connect(stage: Stage, { url }: PostgresProcess): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  stage.keep({ stop: () => client.end() });
  return client;
}

/** What an application does: reads the cache, and on a miss the row, which it then caches. */
async function read(redis: Redis, database: pg.Client, current: () => number, seen: Seen): Promise<number> {
  const asked = current();
  const kept = await redis.get(KEY);
  if (kept !== null) {
    if (Number(kept) < asked) return Number(kept);
    seen.note('gone', asked);
    seen.note('rebuilt', asked);
    return Number(kept);
  }
  seen.note('gone', asked);
  const { rows } = await database.query<{ price: number }>('SELECT price FROM products WHERE id = 1');
  await redis.set(KEY, rows[0].price);
  return rows[0].price;
}

await runBench({
  name: 'postgres',
  title: 'From COMMIT to invalidation',
  options: {
    updates: [500, 'updates of the row'],
    readers: [8, 'clients that read its price without a pause'],
  },
  async run({ updates, readers }, stage) {
    const { proxy, database } = await start(stage);
    const seen = new Seen();
    let price = 0;
    let reads = 0;
    let ended = false;
    const listener = await connect(stage, database);
    listener.on('notification', () => seen.note('told', price));
    await listener.query(`LISTEN ${CHANNEL}`);
    const all = Array.from({ length: readers }, async () => {
      const redis = new Redis(proxy.port);
      const rows = await connect(stage, database);
      for (; !ended; reads++) await read(redis, rows, () => price, seen);
      redis.disconnect();
    });
    await sleep(STUCK);
    const writer = await connect(stage, database);
    let stuck = 0;
    for (let i = 1; i <= updates; i++) {
      price = i;
      await writer.query('UPDATE products SET price = $1 WHERE id = 1', [i]);
      seen.committed(i);
      const rebuilt = waitFor(() => seen.rebuilt[i] !== undefined, STUCK, 1);
      await rebuilt.catch(() => {
        stuck++;
      });
      await sleep(PAUSE.least + Math.random() * (PAUSE.most - PAUSE.least));
      if (i % Math.ceil(updates / 10) === 0) progress(i / updates, `update ${i} of ${updates}`);
    }
    ended = true;
    await Promise.all(all);
    const hits = (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
    const row = (name: string, times: readonly number[]) => {
      const sorted = times
        .slice(1)
        .filter((time) => time !== undefined)
        .sort((a, b) => a - b);
      return [name, whole(sorted.length), short(percentile(sorted, 0.5)), short(percentile(sorted, 0.99))];
    };
    return [
      `One row is updated ${whole(updates)} times, its trigger tells heatsink, and ${readers} clients read the price through ` +
        `heatsink as fast as they can, ${whole(reads)} times, ${whole((hits / reads) * 100)} % of them from the tier. Who gets no ` +
        'price reads the row and caches it. In milliseconds after COMMIT had returned to the writer:',
      table(
        ['first that', 'updates', 'p50', 'p99'],
        [
          row('a client that listens to PostgreSQL is told', seen.told),
          row('a reader through heatsink does not get the old price', seen.gone),
          row('a reader through heatsink gets the new price', seen.rebuilt),
        ],
      ),
      `Updates after which the old price stayed for ${STUCK} ms, as a reader had read the row before COMMIT and cached it ` +
        `after the delete: ${whole(stuck)}.`,
    ];
  },
});
