// Keys that go because rows change: the invalidator inside heatsink, with a real PostgreSQL and a real Redis.

import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parseTemplate } from '../src/config/key-template.ts';
import { loadConfig } from '../src/config/load.ts';
import { startHeatsink } from '../src/heatsink.ts';
import { fillFromPayload } from '../src/invalidator/fill.ts';
import { createAuthority } from './support/certificates.ts';
import { temporaryDir } from './support/children.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { installTrigger, type PostgresProcess, startPostgres } from './support/postgres.ts';
import { type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';

const open: (() => unknown)[] = [];
const directory = temporaryDir('invalidator');
const HOT = { 'hot-threshold': '2', 'hot-window': '10000' };

let database: PostgresProcess;
let upstream: RedisProcess;

beforeAll(async () => {
  [database, upstream] = await Promise.all([startPostgres(), startRedis()]);
  await database.query(`CREATE TABLE products (
    id bigint PRIMARY KEY, store_id int, price int, tags text[], updated_at timestamptz DEFAULT now())`);
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
  await Promise.all([database.stop(), upstream.stop()]);
  rmSync(directory, { recursive: true });
});

let files = 0;
interface Given {
  config?: object;
  flags?: Record<string, string>;
  url?: string;
}

/** heatsink with an invalidator that listens; each has a channel of its own. */
async function start(invalidator: object, { config = {}, flags = {}, url }: Given = {}) {
  const channel = `channel_${++files}`;
  const file = join(directory, `${files}.yaml`);
  const section = { postgres: database.url, channel, keepalive: 200, margin: 5000, ...invalidator };
  writeFileSync(file, stringify({ ...config, invalidator: section }));
  const proxy = await startProxy({
    upstream: url ?? upstream.url,
    flags: { ...HOT, ...flags },
    file,
  });
  open.push(() => proxy.close());
  await waitFor(() => gauge(proxy, 'heatsink_invalidator_connected'));
  const redis = new Redis({ port: proxy.port, lazyConnect: true });
  open.push(() => redis.disconnect());
  const notify = (payload: string) => database.query('SELECT pg_notify($1, $2)', [channel, payload]);
  return { proxy, redis, channel, notify };
}

async function gauge(proxy: RunningProxy, name: string, labels = {}): Promise<number> {
  return (await proxy.metrics()).sum(name, labels);
}

const gone = (redis: { exists(key: string): Promise<number> }, key: string) =>
  waitFor(async () => (await redis.exists(key)) === 0);

/** Ends the connections of all invalidators as an administrator does. */
const terminate = () =>
  database.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'heatsink invalidator'",
  );

describe('keys are filled from a payload', () => {
  const fill = (payload: string, ...templates: string[]) =>
    fillFromPayload(templates.map(parseTemplate), payload);

  it.each<[payload: string, template: string, keys: string[]]>([
    ['{"id": 7}', 'product:{id}', ['product:7']],
    ['{"id": 7, "store": {"id": "a b"}}', '{store.id}/{id}/{id}', ['a b/7/7']],
    ['{"id": 9007199254740993}', 'product:{id}', ['product:9007199254740993']],
    ['{"price": 1.50, "sold": true}', '{price}:{sold}', ['1.50:true']],
    ['{"id": [1, "2"], "shop": [7, 8]}', '{id}@{shop}', ['1@7', '1@8', '2@7', '2@8']],
    ['{"lines": [{"id": 1}, {"id": 2}]}', 'product:{lines.id}', ['product:1', 'product:2']],
    ['[{"id": 1}, {"id": 2}]', 'product:{id}', ['product:1', 'product:2']],
    ['{"id": 7}', 'cart:{{{id}}}:items', ['cart:{7}:items']],
    ['{"id": null}', 'product:{id}', []],
    ['{"id": []}', 'product:{id}', []],
    ['42', 'product:{payload}', ['product:42']],
    ['any text', 'product:{payload}', ['product:any text']],
    ['', 'all:products', ['all:products']],
  ])('%s fills %s', (payload, template, keys) => {
    expect(fill(payload, template)).toEqual({ keys, misfit: null });
  });

  it.each([
    ['any text', 'product:{id}'],
    ['{"store": 7}', 'product:{id}'],
    ['{"id": {"a": 1}}', 'product:{id}'],
    ['{"id": 7}', 'product:{id.x}'],
    ['{"id": "toString"}', 'product:{toString}'],
  ])('%s does not fit %s', (payload, template) => {
    const misfit = expect.stringMatching(/^it has no \{\S+\} that is a text or a number$/);
    expect(fill(payload, template)).toEqual({ keys: [], misfit });
  });

  it('fills the templates that it fits even where another one does not', () => {
    expect(fill('{"id": 7}', 'a:{x}', 'b:{id}')).toMatchObject({ keys: ['b:7'], misfit: expect.any(String) });
  });
});

describe('a notification', () => {
  it('deletes keys, so that readers of a hot key get the value that is rebuilt', async () => {
    const { proxy, redis, channel } = await start({ delete: ['price:{id}', 'store:{store_id}:prices'] });
    await installTrigger(database, { table: 'products', channel, columns: 'id,store_id' });
    await database.query('INSERT INTO products VALUES (1, 7, 100)');
    const read = async () => {
      const kept = await redis.get('price:1');
      if (kept !== null) return kept;
      const [{ price }] = await database.query('SELECT price FROM products WHERE id = 1');
      await redis.set('price:1', `${price}`);
      return `${price}`;
    };
    const hits = () => gauge(proxy, 'heatsink_requests_total', { outcome: 'tier_hit' });
    for (const price of [100, 90, 80]) {
      await waitFor(async () => (await read()) === `${price}`);
      const before = await hits();
      await waitFor(async () => (await read()) === `${price}` && (await hits()) > before);
      await redis.set('store:7:prices', 'all');
      await database.query('UPDATE products SET price = price - 10 WHERE id = 1');
      await gone(redis, 'store:7:prices');
    }
    await waitFor(async () => (await read()) === '70');
    expect(await gauge(proxy, 'heatsink_invalidator_deletes_total')).toBeGreaterThan(5);
  });

  it('may be text, and one that does not fit is counted and keeps nothing from being deleted', async () => {
    const { proxy, redis, notify } = await start({ delete: 'text:{payload},json:{id}' });
    await redis.mset('text:a', 1, 'json:5', 1);
    await notify('a');
    await gone(redis, 'text:a');
    await notify('{"id": 5}');
    await gone(redis, 'json:5');
    const counted = (result: string) => gauge(proxy, 'heatsink_invalidator_notifications_total', { result });
    expect(await counted('not_fitting')).toBe(1);
    expect(await counted('applied')).toBe(1);
  });

  it('is heard once by two workers, of whom either may crash', async () => {
    const channel = 'crashes';
    const flags = { upstream: upstream.url, listen: '127.0.0.1:0', admin: 'off', workers: '2' };
    const section = {
      'invalidator-postgres': database.url,
      'invalidator-channel': channel,
      'invalidator-delete': 'crash:{payload}',
    };
    const log = pino({ level: 'silent' });
    const heatsink = await startHeatsink(loadConfig({ flags: { ...flags, ...section }, env: {} }), { log });
    open.push(() => heatsink.close());
    const listeners = () =>
      database.query('SELECT 1 FROM pg_stat_activity WHERE query = \'LISTEN "crashes"\'');
    await waitFor(async () => (await listeners()).length === 1);
    for (const worker of [0, 1]) {
      await upstream.call('SET', 'crash:1', 'x');
      heatsink.crashWorker(worker);
      await database.query("NOTIFY crashes, '1'");
      await gone(upstream.client, 'crash:1');
    }
    expect(await listeners()).toHaveLength(1);
  });

  it('reaches all nodes of a cluster, with two workers', async () => {
    const cluster = await startCluster();
    open.push(() => cluster.stop());
    const flags = { workers: '2' };
    const { redis, notify, proxy } = await start({ delete: 'k:{id}' }, { flags, url: cluster.url });
    const ids = Array.from({ length: 2000 }, (_, i) => i);
    await Promise.all(ids.map((id) => redis.set(`k:${id}`, 'x')));
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => notify(JSON.stringify({ id: ids.slice(i * 100, i * 100 + 100) }))),
    );
    await waitFor(async () => (await redis.call('DBSIZE')) === 0);
    expect(await gauge(proxy, 'heatsink_invalidator_deletes_total')).toBe(2000);
    expect(await gauge(proxy, 'heatsink_invalidator_connects_total')).toBe(1);
  });

  it('deletes where clients need a certificate and a password, and hardly any may come', async () => {
    const authority = createAuthority();
    open.push(() => authority.remove());
    const password = `#${createHash('sha256').update('secret').digest('hex')}`;
    const config = {
      users: [{ name: 'shop', password, keys: 'nothing:*' }],
      tls: { ...authority.issue('server'), ca: authority.ca },
      client: { maxClients: 1 },
    };
    const { notify } = await start({ delete: 'locked:{payload}' }, { config });
    await upstream.call('SET', 'locked:1', 'x');
    await notify('1');
    await gone(upstream.client, 'locked:1');
  });

  it('deletes where the upstream checks who comes in', async () => {
    const guarded = await startRedis({ args: ['--requirepass', 'secret'] });
    open.push(() => guarded.stop());
    guarded.client.options.password = 'secret';
    await guarded.call('SET', 'locked:1', 'x');
    const url = guarded.url.replace('://', '://:secret@');
    const { notify } = await start({ delete: 'locked:{payload}' }, { flags: { auth: 'upstream' }, url });
    await notify('1');
    await gone(guarded.client, 'locked:1');
  });
});

describe('nothing is lost', () => {
  const SWEEP = 'SELECT id FROM products WHERE updated_at > $1';

  it('of what changes while the database is not listened to: a sweep finds it', async () => {
    const { proxy, redis, channel } = await start({ delete: 'row:{id}', sweep: SWEEP, margin: 1000 });
    const swept = () => gauge(proxy, 'heatsink_invalidator_sweeps_total', { result: 'done' });
    await waitFor(swept);
    await installTrigger(database, { table: 'products', channel, columns: 'id' });
    await database.query(`INSERT INTO products VALUES
      (10, 1, 1, NULL, '2020-01-01'), (11, 1, 1, NULL, now()), (12, 1, 1, NULL, now())`);
    for (let round = 1; round <= 3; round++) {
      await redis.mset('row:10', 'x', 'row:11', 'x', 'row:12', 'x');
      const before = await swept();
      // In one transaction, so that the end of the connection comes first, and nobody hears of the change.
      await database.query(`BEGIN; UPDATE products SET price = price + 1, updated_at = now() WHERE id IN (11, 12);
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'heatsink invalidator' AND query LIKE '%clock_timestamp%' OR query LIKE 'LISTEN%';
        SELECT pg_sleep(0.02); COMMIT`);
      await gone(redis, 'row:11');
      await gone(redis, 'row:12');
      await waitFor(async () => (await swept()) > before);
    }
    // Older than what was missed, and older than the start by more than the sweep looks back.
    expect(await redis.get('row:10')).toBe('x');
    expect(await gauge(proxy, 'heatsink_invalidator_disconnects_total')).toBeGreaterThanOrEqual(3);
  });

  it('of what a pattern names, after a connect and on demand', async () => {
    const { redis, notify } = await start({ delete: 'none:{id}', sweepDelete: 'catalog:*' });
    const fill = async () => {
      const keys = Array.from({ length: 3000 }, (_, i) => [`catalog:${i}`, 'x']).flat();
      await redis.mset(...keys, 'other:1', 'x');
    };
    const isSwept = () => waitFor(async () => (await redis.keys('catalog:*')).length === 0);
    await fill();
    await terminate();
    await isSwept();
    await fill();
    await notify('{"heatsink": "sweep"}');
    await isSwept();
    expect(await redis.get('other:1')).toBe('x');
  });

  it.each([
    [1000, 0],
    [3, 4],
  ])(
    'of deletes that fail for a while; past %i keys a sweep takes their place',
    async (maxPending, given) => {
      const redis = await startRedis();
      open.push(() => redis.stop());
      const sweep = 'SELECT generate_series(1, 5) AS payload';
      const config = { delete: 'k:{payload}', sweep, maxPending };
      const { proxy, notify } = await start(config, { url: redis.url });
      const counted = (name: string, labels = {}) =>
        gauge(proxy, `heatsink_invalidator_${name}_total`, labels);
      await waitFor(() => counted('sweeps', { result: 'done' }));
      await redis.client.mset('k:1', 'x', 'k:5', 'x', 'k:6', 'x');
      // A replica takes no writes, and one without its master keeps what it has.
      await redis.call('REPLICAOF', '127.0.0.1', '1');
      for (let i = 1; i <= 5; i++) await notify(`${i}`);
      await waitFor(() => counted('delete_failures'));
      expect(await redis.client.exists('k:1', 'k:5')).toBe(2);
      await redis.call('REPLICAOF', 'NO', 'ONE');
      await gone(redis.client, 'k:1');
      await gone(redis.client, 'k:5');
      expect(await redis.client.exists('k:6')).toBe(1);
      expect(await counted('given_up')).toBe(given);
    },
  );

  it('when the database does not answer though the connection is there', async () => {
    const own = await startPostgres();
    open.push(() => own.stop());
    const { proxy } = await start({ postgres: own.url, delete: 'k:{payload}' });
    const [{ pid }] = await own.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'heatsink invalidator'",
    );
    process.kill(pid, 'SIGSTOP');
    await waitFor(async () => (await gauge(proxy, 'heatsink_invalidator_connects_total')) > 1);
    process.kill(pid, 'SIGCONT');
    expect(await gauge(proxy, 'heatsink_invalidator_connected')).toBe(1);
  });
});
