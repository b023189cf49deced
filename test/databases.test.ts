// Hot keys in every database of a standalone server, each in its own, over tracked connections of their own.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
let upstream: RedisProcess;
let proxy: RunningProxy;

beforeAll(async () => {
  upstream = await startRedis();
  open.push(() => upstream.stop());
  const flags = { 'hot-threshold': '2', 'hot-window': '10000' };
  proxy = await startProxy({ upstream: upstream.url, flags });
  open.push(() => proxy.close());
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function inDatabase(db: number, protocol: 2 | 3 = 2): Promise<Wire> {
  const wire = await Wire.open(proxy.port, protocol);
  open.push(() => wire.close());
  await wire.say('SELECT', db);
  return wire;
}

async function hits(): Promise<number> {
  return (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
}

/** Reads until the reply comes from the tier. */
async function heat(reader: Wire, ...command: string[]): Promise<void> {
  const before = await hits();
  await waitFor(async () => {
    for (let i = 0; i < 20; i++) await reader.ask(...command);
    return (await hits()) > before;
  });
}

async function servedFromTier(reader: Wire, ...command: string[]): Promise<boolean> {
  const before = await hits();
  await reader.ask(...command);
  return (await hits()) > before;
}

describe.each([2, 3] as const)('a hot key in another database than the first, in RESP%i', (protocol) => {
  const key = `hot:${protocol}`;

  it('is served from the tier, each database with its own value', async () => {
    const [first, fifth] = [await inDatabase(0, protocol), await inDatabase(5, protocol)];
    await first.say('SET', key, 'first');
    await fifth.say('SET', key, 'fifth');
    await heat(first, 'GET', key);
    await heat(fifth, 'GET', key);
    expect(await first.say('GET', key)).toMatch(/first$/);
    expect(await fifth.say('GET', key)).toMatch(/fifth$/);
  });

  it('is read anew once somebody else has written it, past heatsink', async () => {
    const reader = await inDatabase(5, protocol);
    await heat(reader, 'GET', key);
    const direct = new Wire(upstream.port);
    open.push(() => direct.close());
    await direct.say('SELECT', 5);
    await direct.say('SET', key, 'new');
    await waitFor(async () => (await reader.say('GET', key)).endsWith('new'), 1000);
  });

  it('is read anew after a SWAPDB and after a FLUSHDB of any database', async () => {
    const [fifth, sixth] = [await inDatabase(5, protocol), await inDatabase(6, protocol)];
    await sixth.say('SET', key, 'sixth');
    await heat(fifth, 'GET', key);
    await heat(sixth, 'GET', key);
    await sixth.say('SWAPDB', 5, 6);
    expect(await fifth.say('GET', key)).toMatch(/sixth$/);
    await heat(fifth, 'GET', key);
    await upstream.call('FLUSHALL');
    await waitFor(async () => !(await fifth.say('GET', key)).endsWith('sixth'), 1000);
    expect(await fifth.say('GET', key)).toBe(protocol === 3 ? '_' : '$-1');
  });
});

it('a lost tracked connection ends what was filled over it, and that alone', async () => {
  // The next probe finds the swaps of the tests before, and ends whatever is kept then.
  await new Promise((resolve) => setTimeout(resolve, 600));
  const [first, fifth] = [await inDatabase(0, 3), await inDatabase(5, 3)];
  await first.say('SET', 'kept', '1');
  await fifth.say('SET', 'lost', '1');
  await heat(first, 'GET', 'kept');
  await heat(fifth, 'GET', 'lost');
  const list = String(await upstream.call('CLIENT', 'LIST'));
  const tracked = list.split('\n').filter((line) => /flags=\S*t/.test(line) && / db=5 /.test(line));
  const ids = tracked.map((line) => /^id=(\d+)/.exec(line)?.[1] ?? '');
  expect(ids.length).toBeGreaterThan(0);
  for (const id of ids) await upstream.call('CLIENT', 'KILL', 'ID', id);
  await waitFor(async () => !(await servedFromTier(fifth, 'GET', 'lost')), 1000, 1);
  expect(await servedFromTier(first, 'GET', 'kept')).toBe(true);
  await heat(fifth, 'GET', 'lost');
});
