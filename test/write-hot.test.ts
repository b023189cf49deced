// Keys that are read often and written so often that nothing kept of them would be served before it ends.

import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningProxy, spawnProxy } from './support/heatsink-process.ts';
import { startRedis, waitFor } from './support/redis.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(
  flags: Record<string, string>,
): Promise<{ proxy: RunningProxy; client: Redis; other: Redis }> {
  const redis = await startRedis();
  open.push(() => redis.stop());
  const proxy = await spawnProxy({ upstream: redis.url, flags: { 'hot-threshold': '20', ...flags } });
  open.push(() => proxy.close());
  const clients = [new Redis(proxy.port), new Redis(redis.port)];
  open.push(() => {
    for (const client of clients) client.disconnect();
  });
  return { proxy, client: clients[0], other: clients[1] };
}

interface HotKey {
  readonly key: string;
  readonly state: string;
}

const stateOf = async (proxy: RunningProxy, key: string) => {
  const { keys } = (await proxy.admin('/hotkeys')).body as { keys: HotKey[] };
  return keys.find((hot) => hot.key === key)?.state;
};
const filled = async (proxy: RunningProxy) =>
  (await proxy.metrics()).sum('heatsink_upstream_requests_total', { purpose: 'fill' });

describe.each([
  ['through heatsink', 1],
  ['through heatsink', 2],
  ['behind its back', 1],
])('a hot key that is written %s for each read or two (%i workers)', (how, workers) => {
  it('is not kept while that lasts, says why, and comes back', async () => {
    const { proxy, client, other } = await start({ workers: `${workers}` });
    const writer = how === 'behind its back' ? other : client;
    const round = async (i: number) => {
      await writer.set('k', `${i}`);
      await Promise.all([client.get('k'), client.get('k')]);
      await client.get('k');
    };
    let i = 0;
    await waitFor(async () => {
      for (let n = 0; n < 20; n++) await round(i++);
      return (await stateOf(proxy, 'k')) === 'write-hot';
    }, 10_000);
    await waitFor(async () => {
      for (let n = 0; n < 20; n++) await round(i++);
      return (await proxy.metrics()).sum('heatsink_write_hot_keys') === 1;
    }, 10_000);
    const before = await filled(proxy);
    const until = performance.now() + 500;
    let rounds = 0;
    for (; performance.now() < until; rounds++) await round(i++);
    expect((await filled(proxy)) - before).toBeLessThan(rounds / 4);
    await waitFor(async () => {
      for (let n = 0; n < 20; n++) await client.get('k');
      return (await stateOf(proxy, 'k')) === 'tier';
    }, 10_000);
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_write_hot_keys') === 0);
  });
});

it('is kept all the same where the guard is off', async () => {
  const { proxy, client } = await start({ workers: '1', 'tier-min-hits': '0' });
  for (let i = 0; i < 300; i++) {
    await client.set('k', `${i}`);
    await client.get('k');
    await client.get('k');
  }
  expect(await filled(proxy)).toBeGreaterThan(200);
  expect((await proxy.metrics()).sum('heatsink_write_hot_keys')).toBe(0);
});

it('keeps a key that is written now and then', async () => {
  const { proxy, client } = await start({ workers: '1' });
  for (let i = 0; i < 200; i++) {
    await client.set('k', `${i}`);
    for (let n = 0; n < 10; n++) expect(await client.get('k')).toBe(`${i}`);
  }
  expect(await filled(proxy)).toBeGreaterThan(150);
  expect(await stateOf(proxy, 'k')).toBe('tier');
});
