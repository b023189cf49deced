// Negative caching: that keys do not exist is kept though they are not hot, by rule and within a bound.

import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { configFile } from './support/config-file.ts';
import { type RunningProxy, spawnProxy } from './support/heatsink-process.ts';
import { type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { beginSlotMove } from './support/slot-move.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Scene {
  readonly proxy: RunningProxy;
  readonly client: Redis;
}

async function start(upstream: string, flags: Record<string, string> = {}): Promise<Scene> {
  const file = configFile('rules: [{ match: "no:*", negative: on }]');
  open.push(() => file.remove());
  const proxy = await spawnProxy({ upstream, file: file.path, flags: { workers: '1', ...flags } });
  open.push(() => proxy.close());
  const client = new Redis(proxy.port);
  open.push(() => client.disconnect());
  return { proxy, client };
}

async function single(flags?: Record<string, string>): Promise<Scene & { redis: RedisProcess }> {
  const redis = await startRedis();
  open.push(() => redis.stop());
  return { redis, ...(await start(redis.url, flags)) };
}

const calls = async (redis: RedisProcess, name: string) =>
  Number(
    new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(`${await redis.call('INFO', 'commandstats')}`)?.[1] ?? 0,
  );
const negatives = async (proxy: RunningProxy) => (await proxy.metrics()).sum('heatsink_negatives');

/** Asks until the answer comes from the tier. */
async function keep({ proxy, client }: Scene, key: string, command = 'get'): Promise<void> {
  const hits = async () => (await proxy.metrics()).sum('heatsink_negative_hits_total');
  const before = await hits();
  await waitFor(async () => {
    await client.call(command, key);
    return (await hits()) > before;
  });
}

describe('a key of the rule that does not exist', () => {
  it('is asked for twice, and then answered without its shard', async () => {
    const scene = await single();
    const { redis, client, proxy } = scene;
    for (let i = 0; i < 20; i++) expect(await client.get('no:such')).toBe(null);
    expect(await calls(redis, 'get')).toBe(2);
    expect(await negatives(proxy)).toBe(1);
    for (let i = 0; i < 20; i++) expect(await client.hgetall('no:hash')).toEqual({});
    expect(await calls(redis, 'hgetall')).toBe(2);
    for (let i = 0; i < 20; i++) expect(await client.scard('no:set')).toBe(0);
    expect(await calls(redis, 'scard')).toBe(2);
  });

  it('is asked for each time without the rule', async () => {
    const { redis, client } = await single();
    for (let i = 0; i < 20; i++) await client.get('such');
    expect(await calls(redis, 'get')).toBe(20);
  });

  it('is not mixed up with one that is there, and has nothing in it', async () => {
    const { redis, client, proxy } = await single();
    await client.set('no:empty', '');
    for (let i = 0; i < 5; i++) expect(await client.get('no:empty')).toBe('');
    await client.hset('no:half', 'f', 'v');
    for (let i = 0; i < 5; i++) expect(await client.hget('no:half', 'other')).toBe(null);
    expect(await negatives(proxy)).toBe(0);
    expect(await calls(redis, 'hget')).toBe(5);
  });

  it.each<[string, (client: Redis, key: string) => Promise<unknown>]>([
    ['SET', (client, key) => client.set(key, 'new')],
    ['a transaction', (client, key) => client.multi().set(key, 'new').exec()],
    ['a script', (client, key) => client.eval("return redis.call('SET', KEYS[1], 'new')", 1, key)],
    ['RENAME', (client, key) => client.set('from', 'new').then(() => client.rename('from', key))],
    ['COPY', (client, key) => client.set('from', 'new').then(() => client.copy('from', key))],
  ])('is there at once after %s', async (_, write) => {
    const scene = await single();
    for (let i = 0; i < 20; i++) {
      const key = `no:${i}`;
      await scene.client.get(key);
      await scene.client.get(key);
      await write(scene.client, key);
      expect(await scene.client.get(key)).toBe('new');
    }
  });

  it('is there soon when somebody else writes it, and never gone again', async () => {
    const scene = await single({ workers: '2' });
    const { redis, client, proxy } = scene;
    const other = new Redis(proxy.port);
    open.push(() => other.disconnect());
    for (let i = 0; i < 50; i++) {
      const key = `no:${i}`;
      for (const reader of [client, other, client, other]) await reader.get(key);
      await redis.call('SET', key, 'new');
      let seen = false;
      for (let round = 0; round < 20; round++) {
        // Another command than the one that is kept may see it first.
        const [many, one] = await Promise.all([other.mget(key, 'x'), client.get(key)]);
        const later = await client.get(key);
        if (seen) expect([many[0], one, later]).toEqual(['new', 'new', 'new']);
        if (many[0] === 'new' || one === 'new') expect(later).toBe('new');
        seen ||= later === 'new';
      }
      await waitFor(async () => (await client.get(key)) === 'new');
    }
  });

  it('is read again after FLUSHALL', async () => {
    const scene = await single();
    await keep(scene, 'no:flushed');
    await scene.client.flushall();
    const before = await calls(scene.redis, 'get');
    await scene.client.get('no:flushed');
    expect(await calls(scene.redis, 'get')).toBe(before + 1);
  });
});

it('keeps no more than it may, and never at the cost of hot keys', async () => {
  const flags = {
    'tier-max-negatives': '100',
    'hot-threshold': '10',
    'tier-max-bytes': '65536',
    'tier-ttl': '60000',
  };
  const scene = await single(flags);
  const { redis, client, proxy } = scene;
  await client.set('hot', 'x'.repeat(20_000));
  for (let i = 0; i < 100; i++) await client.get('hot');
  await waitFor(async () => (await proxy.metrics()).sum('heatsink_tier_entries') === 1);
  const hot = setInterval(() => void client.get('hot'), 5);
  open.push(() => clearInterval(hot));
  const gets = await calls(redis, 'get');
  for (let i = 0; i < 1000; i++) for (let round = 0; round < 3; round++) await client.strlen(`no:${i}`);
  expect(await negatives(proxy)).toBeLessThanOrEqual(100);
  expect(await negatives(proxy)).toBeGreaterThan(50);
  expect((await proxy.metrics()).sum('heatsink_tier_bytes')).toBeLessThanOrEqual(65_536);
  expect(await calls(redis, 'get')).toBe(gets);
  await client.config('SET', 'heatsink.tier.maxNegatives', '10');
  await keep(scene, 'no:last');
  await waitFor(async () => (await negatives(proxy)) <= 10);
});

it('is not believed of a slot that has moved', async () => {
  const cluster = await startCluster();
  open.push(() => cluster.stop());
  const scene = await start(cluster.url, { 'tier-max-staleness': '300' });
  const key = 'no:{moving}';
  for (let i = 0; i < 5; i++) await scene.client.get(key);
  const move = await beginSlotMove(cluster, key);
  await move.migrate();
  await move.finish();
  await move.target.call('SET', key, 'new');
  await waitFor(async () => (await scene.client.get(key)) === 'new', 2000);
  for (let i = 0; i < 20; i++) expect(await scene.client.get(key)).toBe('new');
});
