// --observe: heatsink finds out what it would have saved, and changes nothing.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, spawnProxy, startProxy } from './support/heatsink.ts';
import { cmdstat, type RedisProcess, startRedis, waitFor } from './support/redis.ts';

const open: (() => unknown)[] = [];
let redis: RedisProcess;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  for (const close of open.splice(0).reverse()) await close();
  await redis.stop();
});

const RULES = `rules: [{ match: "*", jitter: 0.1, combine: on, lease: on, negative: on, refreshAhead: on, fanOut: on }]\n`;

async function observer(flags: Record<string, string> = {}): Promise<{ proxy: RunningProxy; client: Redis }> {
  const file = join(mkdtempSync(join(tmpdir(), 'heatsink-observe-')), 'heatsink.yaml');
  writeFileSync(file, RULES);
  const all = { observe: 'on', 'hot-threshold': '20', 'hot-window': '5000', ...flags };
  const proxy = await startProxy({ upstream: redis.url, flags: all, file });
  open.push(() => proxy.close());
  const client = new Redis({ port: proxy.port, enableReadyCheck: false });
  open.push(() => client.disconnect());
  return { proxy, client };
}

async function observed(proxy: RunningProxy, outcome: string): Promise<number> {
  return (await proxy.metrics()).sum('heatsink_observed_requests_total', { outcome });
}

const oneByOne = async (client: Redis, key: string, times: number) => {
  for (let i = 0; i < times; i++) await client.get(key);
};

describe.each(['1', '2'])('with %s worker(s)', (workers) => {
  it('every read goes upstream, and those that the tier would have served are counted', async () => {
    const { proxy, client } = await observer({ workers });
    await client.set('k', 'v');
    const before = await cmdstat(redis, 'get');
    await oneByOne(client, 'k', 300);
    expect((await cmdstat(redis, 'get')) - before).toBe(300);
    const metrics = await proxy.metrics();
    expect(metrics.sum('heatsink_requests_total', { outcome: 'tier_hit' })).toBe(0);
    // The key is hot after 100 reads, and the first one then fills.
    const hits = await observed(proxy, 'tier_hit');
    expect(hits).toBeGreaterThan(150);
    expect(hits).toBeLessThan(300);
    expect(metrics.sum('heatsink_tier_bytes')).toBeGreaterThan(0);
    expect((await proxy.admin('/state')).body).toMatchObject({ mode: 'observe' });
  });
});

it('a change that nobody told of is no hit, and neither is a read behind a write', async () => {
  const { proxy, client } = await observer();
  await client.set('w', '0');
  await oneByOne(client, 'w', 150);
  const before = await observed(proxy, 'tier_hit');
  for (let i = 0; i < 20; i++) {
    if (i % 2 === 0) await redis.call('SET', 'w', `past heatsink ${i}`);
    else await client.set('w', `${i}`);
    await client.get('w');
  }
  expect(await observed(proxy, 'tier_hit')).toBe(before);
});

it('reads that would have shared one are counted, and each is sent', async () => {
  const { proxy, client } = await observer({ 'hot-threshold': '1000000' });
  await client.set('s', 'v');
  const others = Array.from({ length: 20 }, () => new Redis({ port: proxy.port, enableReadyCheck: false }));
  open.push(() => {
    for (const other of others) other.disconnect();
  });
  await Promise.all(others.map((other) => other.ping()));
  const before = await cmdstat(redis, 'get');
  await waitFor(async () => {
    await Promise.all(others.map((other) => other.get('s')));
    return (await observed(proxy, 'coalesced')) > 0;
  });
  expect(((await cmdstat(redis, 'get')) - before) % 20).toBe(0);
});

it('no rule has an effect', async () => {
  const { client } = await observer();
  const replies = await Promise.all(Array.from({ length: 50 }, () => client.incr('n')));
  expect(replies).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  const before = await cmdstat(redis, 'incrby');
  expect(before).toBe(0);
  await Promise.all(Array.from({ length: 20 }, (_, i) => client.set(`t${i}`, 'v', 'EX', 1000)));
  for (let i = 0; i < 20; i++) expect(await redis.call('TTL', `t${i}`)).toBeGreaterThanOrEqual(999);
  expect(await client.config('GET', 'heatsink.rules')).toEqual(
    expect.arrayContaining([expect.stringContaining('jitter')]),
  );
});

it('the log says that nothing is served', async () => {
  const proxy = await spawnProxy({
    upstream: redis.url,
    flags: { observe: 'on', 'log-level': 'info', workers: '1' },
  });
  open.push(() => proxy.close());
  await waitFor(() => proxy.output().includes('only observing'));
});
