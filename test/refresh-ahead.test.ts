// Refresh ahead: what is kept of a hot key is read again before its time is up, by nobody's read.

import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import type { Entry } from '../src/cache/tier.ts';
import { dueAt } from '../src/proxy/reads/refreshes.ts';
import { configFile } from './support/config-file.ts';
import { type ProxyProcess, spawnProxy } from './support/heatsink-process.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const TTL = 400;

async function start(workers: number): Promise<{ redis: RedisProcess; proxy: ProxyProcess; client: Redis }> {
  const redis = await startRedis();
  open.push(() => redis.stop());
  const file = configFile('rules: [{ match: "ahead:*", refreshAhead: on }]');
  open.push(() => file.remove());
  const flags = {
    workers: `${workers}`,
    'hot-threshold': '20',
    'tier-ttl': `${TTL}`,
    'tier-verify-share': '0',
  };
  const proxy = await spawnProxy({ upstream: redis.url, file: file.path, flags });
  open.push(() => proxy.close());
  const client = new Redis(proxy.port);
  open.push(() => client.disconnect());
  return { redis, proxy, client };
}

/** Has the keys read all the time; returns what stops that. */
function reading(port: number, ...keys: string[]): () => void {
  const clients = Array.from({ length: 4 }, () => new Redis(port));
  const timer = setInterval(() => {
    // Those under way when it stops get no answer.
    for (const client of clients) for (const key of keys) client.get(key).catch(() => {});
  }, 5);
  const stop = () => {
    clearInterval(timer);
    for (const client of clients) client.disconnect();
  };
  open.push(stop);
  return stop;
}

const commandCalls = async (redis: RedisProcess, name: string) =>
  Number(
    new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(`${await redis.call('INFO', 'commandstats')}`)?.[1] ?? 0,
  );

describe.each([1, 2])('with %i worker(s)', (workers) => {
  it('a hot key is read again by itself, and its readers are served all the time', async () => {
    const { redis, proxy, client } = await start(workers);
    await client.set('ahead:k', 'v');
    reading(proxy.port, 'ahead:k');
    const metrics = async () => {
      const page = await proxy.metrics();
      const requests = (outcome: string) => page.sum('heatsink_requests_total', { outcome });
      return {
        hits: requests('tier_hit'),
        shared: requests('coalesced'),
        refreshed: page.sum('heatsink_tier_refreshes_total'),
        kept: page.sum('heatsink_tier_fills_total', { result: 'kept' }),
      };
    };
    await waitFor(async () => (await metrics()).refreshed > workers, 10_000);
    const before = await metrics();
    const reads = await commandCalls(redis, 'get');
    await waitFor(async () => (await metrics()).refreshed >= before.refreshed + 6 * workers, 10_000);
    const after = await metrics();
    expect(after.hits - before.hits).toBeGreaterThan(200);
    // A thread that gets no time for longer than the lead is the only reason for another read.
    const refreshed = after.refreshed - before.refreshed;
    expect((await commandCalls(redis, 'get')) - reads).toBeLessThanOrEqual(refreshed * 1.5);
    expect(after.kept - before.kept).toBeGreaterThanOrEqual(refreshed - workers);
  });

  it('a key that expires is found missing, or new, by nobody’s read', async () => {
    const { redis, proxy, client } = await start(workers);
    await client.set('ahead:e', 'first', 'PX', 900);
    const stop = reading(proxy.port, 'ahead:e');
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_tier_refreshes_total') >= 1, 10_000);
    await waitFor(async () => (await client.get('ahead:e')) === null, 5000);
    await redis.call('SET', 'ahead:e', 'second');
    await waitFor(async () => (await client.get('ahead:e')) === 'second', 2000);
    stop();
  });

  it('keys without the rule, and those that have cooled, are left alone', async () => {
    const { redis, proxy, client } = await start(workers);
    await client.mset('plain', 'v', 'ahead:cool', 'v');
    const stop = reading(proxy.port, 'plain');
    await waitFor(
      async () => (await proxy.metrics()).sum('heatsink_tier_fills_total', { result: 'kept' }) > 3,
      10_000,
    );
    expect((await proxy.metrics()).sum('heatsink_tier_refreshes_total')).toBe(0);
    stop();
    const stopSecond = reading(proxy.port, 'ahead:cool');
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_tier_refreshes_total') > 0, 10_000);
    stopSecond();
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_hot_keys') === 0, 10_000);
    const reads = await commandCalls(redis, 'get');
    await new Promise((resolve) => setTimeout(resolve, TTL * 2));
    expect(await commandCalls(redis, 'get')).toBe(reads);
  });
});

describe('the moment', () => {
  const entry = (deadline: number, expiresAt = Number.POSITIVE_INFINITY) =>
    ({ deadline, expiresAt }) as Entry;

  it('is earlier for slow fills and for large draws, and never in the first half of a life', () => {
    expect(dueAt(entry(1000), 0, 1, 0)).toBe(990);
    expect(dueAt(entry(1000), 0, 100, 0)).toBe(900);
    expect(dueAt(entry(1000), 0, 1, 0.9)).toBeCloseTo(990 - 23, 0);
    expect(dueAt(entry(1000), 0, 100, 0.9999)).toBe(500);
  });

  it('is when the key has expired, where that ends the entry', () => {
    expect(dueAt(entry(1000, 1000), 0, 1, 0.5)).toBe(1001);
  });
});
