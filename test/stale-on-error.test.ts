// tier.staleOnError: the last value of a hot key while its node is away, for a while, and never an older one than was
// known.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function redis(port?: number): Promise<RedisProcess> {
  const server = await startRedis(port === undefined ? {} : { port });
  open.push(() => server.stop());
  return server;
}

async function proxyFor(upstream: string, flags: Record<string, string> = {}): Promise<RunningProxy> {
  const proxy = await startProxy({
    upstream,
    flags: { 'hot-threshold': '1', 'tier-stale-on-error': '60000', ...flags },
  });
  open.push(() => proxy.close());
  return proxy;
}

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port);
  open.push(() => wire.close());
  return wire;
}

const FAILED = /^-ERR heatsink: .*(cannot reach|broke before the reply)/;
const served = async (proxy: RunningProxy) =>
  (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'stale_on_error' });
const hits = async (proxy: RunningProxy) =>
  (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });

/** Reads until the read is answered from the tier. */
async function heat(proxy: RunningProxy, client: Wire, ...read: string[]): Promise<void> {
  const before = await hits(proxy);
  await waitFor(async () => {
    await client.say(...read);
    return (await hits(proxy)) > before;
  });
}

/** Kills the server, and waits until heatsink knows. */
async function killed(server: RedisProcess, proxy: RunningProxy, client: Wire): Promise<void> {
  await server.stop();
  await waitFor(async () => FAILED.test(await client.say('GET', 'cold')));
  expect((await proxy.metrics()).sum('heatsink_upstream_circuit_open')).toBe(1);
}

describe('reads of a hot key whose node is killed', () => {
  it('fail unless told otherwise', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url, { 'tier-stale-on-error': '0' });
    const client = wireTo(proxy);
    await client.say('SET', 'k', 'v');
    await heat(proxy, client, 'GET', 'k');
    await killed(upstream, proxy, client);
    expect(await client.say('GET', 'k')).toMatch(FAILED);
    expect(await served(proxy)).toBe(0);
  });

  it('are answered with the last value for all clients at once, and with the new one once the node is back', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url);
    const clients = Array.from({ length: 50 }, () => wireTo(proxy));
    await clients[0].say('HSET', 'h', 'f', 'v');
    await heat(proxy, clients[0], 'HGET', 'h', 'f');
    await killed(upstream, proxy, clients[0]);
    const before = await served(proxy);
    for (const client of clients)
      client.sendAll([
        ['HGET', 'h', 'f'],
        ['GET', 'cold'],
        ['HGET', 'h', 'f'],
        ['HGET', 'h', 'other'],
      ]);
    for (const client of clients) {
      const replies = (await client.replies(4)).map((reply) => reply.toString().trim());
      expect([replies[0], replies[2]]).toEqual(['$1\r\nv', '$1\r\nv']);
      expect(replies[1]).toMatch(FAILED);
      expect(replies[3]).toMatch(FAILED);
    }
    expect((await served(proxy)) - before).toBe(100);
    const again = await redis(upstream.port);
    await again.call('HSET', 'h', 'f', 'new');
    await waitFor(async () => (await clients[0].say('HGET', 'h', 'f')) === '$3\r\nnew');
    for (const client of clients) expect(await client.say('HGET', 'h', 'f')).toBe('$3\r\nnew');
  });

  it('are answered no longer than the configured age, which may be changed while heatsink runs', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url, { 'tier-stale-on-error': '1000' });
    const client = wireTo(proxy);
    await client.say('SET', 'k', 'v');
    await heat(proxy, client, 'GET', 'k');
    await upstream.stop();
    expect(await client.say('GET', 'k')).toBe('$1\r\nv');
    await waitFor(async () => FAILED.test(await client.say('GET', 'k')));
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_tier_entries') === 0);
    expect(await client.say('CONFIG', 'GET', 'heatsink.tier.staleOnError')).toContain('1000');
    expect(await client.say('CONFIG', 'SET', 'heatsink.tier.staleOnError', '0')).toBe('+OK');
  });

  it('are not answered past the expiry of the key', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url);
    const client = wireTo(proxy);
    await client.say('SET', 'k', 'v', 'PX', '1500');
    await heat(proxy, client, 'GET', 'k');
    await upstream.stop();
    expect(await client.say('GET', 'k')).toBe('$1\r\nv');
    await sleep(1500);
    expect(await client.say('GET', 'k')).toMatch(FAILED);
  });

  it('are not answered with what a write may have changed, not even one that failed', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url);
    const [client, other] = [wireTo(proxy), wireTo(proxy)];
    await client.say('MSET', 'k', 'v', 'flushed', 'v');
    await heat(proxy, client, 'GET', 'k');
    await heat(proxy, client, 'GET', 'flushed');
    await killed(upstream, proxy, client);
    expect(await client.say('GET', 'k')).toBe('$1\r\nv');
    expect(await other.say('SET', 'k', 'w')).toMatch(FAILED);
    expect(await client.say('GET', 'k')).toMatch(FAILED);
    expect(await client.say('GET', 'flushed')).toBe('$1\r\nv');
    expect(await other.say('FLUSHALL')).toMatch(FAILED);
    expect(await client.say('GET', 'flushed')).toMatch(FAILED);
  });

  it('are not answered with less than what somebody has read since', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url);
    const client = wireTo(proxy);
    for (let round = 0; round < 5; round++) {
      await upstream.call('SET', 'k', `old${round}`);
      await heat(proxy, client, 'GET', 'k');
      await upstream.call('CLIENT', 'KILL', 'TYPE', 'normal');
      await upstream.call('SET', 'k', `new${round}`);
      await waitFor(async () => (await client.say('GET', 'k')).includes(`new${round}`));
    }
    await upstream.stop();
    const reply = await client.say('GET', 'k');
    if (!reply.includes('new4')) expect(reply).toMatch(FAILED);
  });

  it('are not answered for who asks in another database or caches by itself', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url);
    const [client, elsewhere, caching] = [wireTo(proxy), wireTo(proxy), wireTo(proxy)];
    await client.say('SET', 'k', 'v');
    await elsewhere.say('SELECT', '1');
    await caching.ask('HELLO', '3');
    await caching.ask('CLIENT', 'TRACKING', 'ON', 'BCAST');
    await heat(proxy, client, 'GET', 'k');
    await killed(upstream, proxy, client);
    expect(await client.say('GET', 'k')).toBe('$1\r\nv');
    expect(await elsewhere.say('GET', 'k')).toMatch(FAILED);
    await waitFor(() => caching.closed);
    const third = wireTo(proxy);
    await third.ask('HELLO', '3');
    expect(await third.say('GET', 'k')).toMatch(FAILED);
  });
});

describe('one master of a cluster that is killed', () => {
  it('has its hot keys answered, and the other masters serve theirs', async () => {
    const cluster = await startCluster();
    open.push(() => cluster.stop());
    const proxy = await proxyFor(cluster.url);
    const client = wireTo(proxy);
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    await client.say('MSET', ...keys.flatMap((key) => [key, key]));
    for (const key of keys) await heat(proxy, client, 'GET', key);
    const dead = await cluster.slotOwner('a');
    const lost = await Promise.all(keys.map(async (key) => (await cluster.slotOwner(key)) === dead));
    await dead.stop();
    await waitFor(async () => {
      expect(await client.say('GET', 'a')).toBe('$1\r\na');
      return (await served(proxy)) > 0;
    });
    for (const [i, key] of keys.entries()) {
      expect(await client.say('GET', key)).toBe(`$1\r\n${key}`);
      if (lost[i]) expect(await client.say('SET', key, 'x')).toMatch(/^-(ERR heatsink|CLUSTERDOWN)/);
    }
  });
});
