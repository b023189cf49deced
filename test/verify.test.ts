// Hits that are compared with the server: what they show of heatsink's promise while it serves.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Invalidation } from '../src/proxy/reads/invalidation.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

let redis: RedisProcess;
let proxy: RunningProxy;
let client: Wire;

beforeEach(async () => {
  redis = await startRedis();
  const flags = {
    workers: '1',
    'hot-threshold': '1',
    'tier-verify-share': '1',
    'tier-max-staleness': '200',
    'tier-min-hits': '0',
  };
  proxy = await startProxy({ upstream: redis.url, flags });
  client = new Wire(proxy.port);
  await client.say('SET', 'k', 'old');
  await waitFor(async () => {
    await client.say('GET', 'k');
    return (await verified('same')) > 0;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  client.close();
  await proxy.close();
  await redis.stop();
});

async function verified(result: string): Promise<number> {
  return (await proxy.metrics()).sum('heatsink_tier_verified_total', { result });
}

it('are the same as long as nobody breaks the promise, whoever writes', async () => {
  for (let i = 0; i < 300; i++) {
    await redis.call('SET', 'k', `${i}`);
    await client.say('GET', 'k');
    await client.say('GET', 'k');
  }
  expect(await verified('same')).toBeGreaterThan(100);
  expect(await verified('mismatch')).toBe(0);
});

it('find an entry that the server has not ended, and end it', async () => {
  vi.spyOn(Invalidation.prototype, 'keyChanged').mockImplementation(() => {});
  await redis.call('SET', 'k', 'new');
  expect(await client.say('GET', 'k')).toBe('$3\r\nold');
  await waitFor(async () => (await verified('mismatch')) === 1);
  await sleep(10);
  expect(await client.say('GET', 'k')).toBe('$3\r\nnew');
});
