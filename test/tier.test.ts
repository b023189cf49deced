// Hot keys end to end: found, filled over a tracked connection, served from memory, and never served stale.

import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ProxyOptions, type RunningProxy, spawnProxy, startProxy } from './support/heatsink.ts';
import {
  type Cluster,
  cmdstat,
  type RedisProcess,
  startCluster,
  startRedis,
  waitFor,
} from './support/redis.ts';

const run = promisify(execFile);
const open: (() => unknown)[] = [];

/** So that no key cools while a slow machine works through a test: 20 reads in 10 s. */
const STAYS_HOT = { 'hot-threshold': '2', 'hot-window': '10000' };

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

function client(proxy: RunningProxy, options: { protocol?: 2 | 3 } = {}): Redis {
  const redis = new Redis({ port: proxy.port, ...options, enableReadyCheck: false });
  open.push(() => redis.disconnect());
  return redis;
}

async function proxyFor(
  upstream: string,
  flags: ProxyOptions['flags'] = {},
  file?: string,
): Promise<RunningProxy> {
  const proxy = await startProxy({
    upstream,
    flags: { 'hot-threshold': '20', ...flags },
    ...(file ? { file } : {}),
  });
  open.push(() => proxy.close());
  return proxy;
}

async function hits(proxy: RunningProxy): Promise<number> {
  return (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
}

/** The same read many times at once. */
function ask(reader: Redis, times: number, ...command: [string, ...string[]]): Promise<unknown[]> {
  return Promise.all(Array.from({ length: times }, () => reader.call(...command)));
}

/** Reads until the reply comes from the tier. */
async function heat(proxy: RunningProxy, reader: Redis, ...command: [string, ...string[]]): Promise<void> {
  const before = await hits(proxy);
  await waitFor(async () => {
    await ask(reader, 50, ...command);
    return (await hits(proxy)) > before;
  });
}

describe('in front of a cluster of three masters', () => {
  let cluster: Cluster;
  let proxy: RunningProxy;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3 });
    open.push(() => cluster.stop());
    proxy = await spawnProxy({ upstream: cluster.url, flags: { workers: '1' } });
    open.push(() => proxy.close());
  });

  it('takes more than 99 % of the reads of a hot key off the shard that owns it', async () => {
    await run('redis-benchmark', ['-p', `${proxy.port}`, '-t', 'set', '-n', '1', '-q']);
    const owner = await cluster.slotOwner('key:__rand_int__');
    const readsBefore = await cmdstat(owner, 'get');
    const hitsBefore = await hits(proxy);
    const total = 1_000_000;
    const flags = ['-t', 'get', '-n', `${total}`, '-c', '50', '-P', '16', '-q'];
    await run('redis-benchmark', ['-p', `${proxy.port}`, ...flags]);
    expect((await hits(proxy)) - hitsBefore).toBeGreaterThan(0.99 * total);
    expect((await cmdstat(owner, 'get')) - readsBefore).toBeLessThan(0.01 * total);
  });

  it('finds a key hot that jumps from none to 5,000 reads a second before its 750th read, so within 150 ms', async () => {
    const reader = client(proxy);
    const asked = async () => {
      const metrics = await proxy.metrics();
      const outcome = (name: string) => metrics.sum('heatsink_requests_total', { outcome: name });
      return outcome('forwarded') + outcome('coalesced');
    };
    const attempts: number[] = [];
    // A machine that stalls sends the reads of 100 ms in one burst: any of three quiet moments will do.
    for (const key of ['jumping:1', 'jumping:2', 'jumping:3']) {
      await reader.set(key, 'x');
      const before = await asked();
      const began = performance.now();
      const replies: Promise<unknown>[] = [];
      while (performance.now() - began < 400) {
        const due = (performance.now() - began) * 5;
        while (replies.length < due) replies.push(reader.get(key));
        await sleep(1);
      }
      expect(new Set(await Promise.all(replies))).toEqual(new Set(['x']));
      expect(replies.length).toBeGreaterThan(1500);
      attempts.push((await asked()) - before);
    }
    expect(Math.min(...attempts), `${attempts}`).toBeLessThan(750);
  });

  it('lets at most 3 of 2,000 reads of a cold key reach a shard that stands still', async () => {
    const clients = Array.from({ length: 200 }, () => client(proxy));
    await clients[0].set('cold', 'the value');
    await Promise.all(clients.map((redis) => redis.ping()));
    const owner = await cluster.slotOwner('cold');
    const before = await cmdstat(owner, 'get');
    owner.kill('SIGSTOP');
    const replies = clients.flatMap((redis) => Array.from({ length: 10 }, () => redis.get('cold')));
    await sleep(300);
    owner.kill('SIGCONT');
    const values = await Promise.all(replies);
    expect(values).toHaveLength(2000);
    expect(new Set(values)).toEqual(new Set(['the value']));
    expect((await cmdstat(owner, 'get')) - before).toBeLessThanOrEqual(3);
  });

  it('shows no client an old value 50 ms after a write behind its back', async () => {
    const owner = await cluster.slotOwner('behind');
    const clients = Array.from({ length: 50 }, () => client(proxy));
    await owner.call('SET', 'behind', '0');
    let acknowledged = 0;
    let acknowledgedAt = 0;
    let reads = 0;
    const stale: string[] = [];
    const until = performance.now() + 3000;
    const readers = clients.map(async (redis) => {
      while (performance.now() < until) {
        const oldest = performance.now() - acknowledgedAt > 50 ? acknowledged : acknowledged - 1;
        const value = Number(await redis.get('behind'));
        reads++;
        if (value < oldest) stale.push(`read ${value} after ${oldest}`);
      }
    });
    while (performance.now() < until) {
      await owner.call('SET', 'behind', `${acknowledged + 1}`);
      acknowledged++;
      acknowledgedAt = performance.now();
      await sleep(75);
    }
    await Promise.all(readers);
    expect(stale).toEqual([]);
    expect(reads).toBeGreaterThan(1000);
  });

  it('never shows an older value than one that was written through it, on any connection', async () => {
    const clients = Array.from({ length: 20 }, () => client(proxy));
    const writer = client(proxy);
    await writer.set('counter', '0');
    let acknowledged = 0;
    const stale: string[] = [];
    const hitsBefore = await hits(proxy);
    const until = performance.now() + 3000;
    const readers = clients.map(async (redis) => {
      while (performance.now() < until) {
        const oldest = acknowledged;
        const value = Number(await redis.get('counter'));
        if (value < oldest) stale.push(`read ${value} after ${oldest}`);
      }
    });
    while (performance.now() < until) {
      acknowledged = await writer.incr('counter');
      const own = Number(await clients[acknowledged % 20].get('counter'));
      if (own < acknowledged) stale.push(`read ${own} right after ${acknowledged}`);
      await sleep(acknowledged % 10);
    }
    await Promise.all(readers);
    expect(stale).toEqual([]);
    expect((await hits(proxy)) - hitsBefore).toBeGreaterThan(100);
  });
});

describe('in front of one server', () => {
  let upstream: RedisProcess;
  beforeAll(async () => {
    upstream = await startRedis();
    open.push(() => upstream.stop());
  });

  const READS: [string, ...string[]][] = [
    ['GET', 'string'],
    ['STRLEN', 'string'],
    ['GETRANGE', 'string', '0', '2'],
    ['EXISTS', 'string'],
    ['TYPE', 'string'],
    ['HGETALL', 'hash'],
    ['HGET', 'hash', 'a'],
    ['HMGET', 'hash', 'a', 'nothing'],
    ['LRANGE', 'list', '0', '-1'],
    ['SMEMBERS', 'set'],
    ['ZREVRANGE', 'zset', '0', '-1', 'WITHSCORES'],
    ['ZSCORE', 'zset', 'a'],
    ['XRANGE', 'stream', '-', '+'],
    ['GET', 'missing'],
    ['HGETALL', 'missing'],
  ];

  for (const protocol of [2, 3] as const) {
    it(`serves any deterministic read of one key, and drops it when the key changes, in RESP${protocol}`, async () => {
      await upstream.call('FLUSHALL');
      const proxy = await proxyFor(upstream.url);
      const reader = client(proxy, { protocol });
      await reader
        .pipeline()
        .set('string', 'hello')
        .hset('hash', 'a', '1', 'b', '2')
        .rpush('list', 'x', 'y')
        .sadd('set', 'm')
        .zadd('zset', '1.5', 'a', '2', 'b')
        .xadd('stream', '1-1', 'f', 'v')
        .exec();
      const direct = new Redis({ port: upstream.port, protocol });
      open.push(() => direct.disconnect());
      for (const read of READS) {
        await heat(proxy, reader, ...read);
        expect(await reader.call(...read), read.join(' ')).toEqual(await direct.call(...read));
        await upstream.call('DEL', read[1]);
        await upstream.call('SET', read[1], 'changed');
        const now = await direct.call(...read).catch((error: Error) => error.message);
        await waitFor(async () => {
          const seen = await reader.call(...read).catch((error: Error) => error.message);
          expect(seen).toEqual(now);
          return true;
        });
        await upstream.call('DEL', read[1]);
        if (read[1] !== 'missing') await restore(read[1]);
      }
    });
  }

  async function restore(key: string): Promise<void> {
    const makers: Record<string, string[]> = {
      string: ['SET', 'string', 'hello'],
      hash: ['HSET', 'hash', 'a', '1', 'b', '2'],
      list: ['RPUSH', 'list', 'x', 'y'],
      set: ['SADD', 'set', 'm'],
      zset: ['ZADD', 'zset', '1.5', 'a', '2', 'b'],
      stream: ['XADD', 'stream', '1-1', 'f', 'v'],
    };
    const [name, ...args] = makers[key];
    await upstream.call(name, ...args);
  }

  it('does not serve a key past its time to live, though the server tells of expiry late or never', async () => {
    const proxy = await proxyFor(upstream.url);
    const reader = client(proxy);
    await upstream.call('SET', 'mortal', 'x', 'PX', '300');
    const dies = performance.now() + 300;
    await heat(proxy, reader, 'GET', 'mortal');
    while (performance.now() < dies + 20) await reader.call('GET', 'mortal');
    expect(await reader.call('GET', 'mortal')).toBeNull();
  });

  it('empties the tier on FLUSHALL, from a client or behind its back', async () => {
    const proxy = await proxyFor(upstream.url);
    const reader = client(proxy);
    for (const flusher of [reader, upstream.client]) {
      await upstream.call('SET', 'flushed', 'x');
      await heat(proxy, reader, 'GET', 'flushed');
      await flusher.flushall();
      await waitFor(async () => (await reader.call('GET', 'flushed')) === null);
      expect((await proxy.metrics()).sum('heatsink_invalidations_total', { cause: 'flush' })).toBeGreaterThan(
        0,
      );
    }
  });

  it('finds out that somebody has swapped databases behind its back, within tier.maxStaleness', async () => {
    const proxy = await proxyFor(upstream.url, { 'tier-max-staleness': '400' });
    const reader = client(proxy);
    await upstream.call('SET', 'swapped', 'here');
    await heat(proxy, reader, 'GET', 'swapped');
    await upstream.call('SWAPDB', '0', '9');
    await waitFor(async () => (await reader.call('GET', 'swapped')) === null, 1000);
    await upstream.call('SWAPDB', '0', '9');
  });

  it('serves nothing that was filled over a tracked connection that was lost', async () => {
    const proxy = await proxyFor(upstream.url);
    const reader = client(proxy);
    await upstream.call('SET', 'tracked', 'old');
    await heat(proxy, reader, 'GET', 'tracked');
    const clients = String(await upstream.call('CLIENT', 'LIST'));
    const tracked = clients.split('\n').filter((line) => / flags=\S*t/.test(line));
    expect(tracked.length).toBeGreaterThan(0);
    for (const line of tracked) await upstream.call('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(line)?.[1] ?? '');
    await upstream.call('SET', 'tracked', 'new');
    await waitFor(async () => (await reader.call('GET', 'tracked')) === 'new', 500);
    await heat(proxy, reader, 'GET', 'tracked');
    expect(await reader.call('GET', 'tracked')).toBe('new');
  });

  it('stops serving when the server has stood still longer than tier.maxStaleness', async () => {
    const proxy = await proxyFor(upstream.url, { 'tier-max-staleness': '200' });
    const reader = client(proxy);
    await upstream.call('SET', 'proven', 'x');
    await heat(proxy, reader, 'GET', 'proven');
    upstream.kill('SIGSTOP');
    try {
      await sleep(400);
      const before = await hits(proxy);
      const reply = reader.call('GET', 'proven');
      await sleep(50);
      expect(await hits(proxy)).toBe(before);
      upstream.kill('SIGCONT');
      expect(await reply).toBe('x');
    } finally {
      upstream.kill('SIGCONT');
    }
  });

  it('keeps within its bytes, and keeps no reply above the entry limit', async () => {
    const proxy = await proxyFor(upstream.url, {
      'tier-max-bytes': '65536',
      'tier-max-entry-bytes': '4000',
      ...STAYS_HOT,
    });
    const reader = client(proxy);
    const value = 'v'.repeat(3500);
    for (let i = 0; i < 60; i++) {
      await upstream.call('SET', `sized:${i}`, value);
      await heat(proxy, reader, 'GET', `sized:${i}`);
      expect((await proxy.metrics()).sum('heatsink_tier_bytes')).toBeLessThanOrEqual(65_536);
    }
    expect((await proxy.metrics()).sum('heatsink_tier_evictions_total')).toBeGreaterThan(20);
    await upstream.call('SET', 'large', 'v'.repeat(4100));
    const before = await hits(proxy);
    for (let i = 0; i < 100; i++) expect(await reader.strlen('large')).toBe(4100);
    expect(await hits(proxy)).toBeGreaterThan(before);
    const beforeLarge = await hits(proxy);
    for (let i = 0; i < 100; i++) expect((await reader.get('large'))?.length).toBe(4100);
    expect(await hits(proxy)).toBe(beforeLarge);
  });

  it('follows the rules on consistency, the first match first', async () => {
    const file = await rulesFile(`rules:
  - match: 'off:*'
    consistency: off
  - match: 'ttl:*'
    consistency: ttl
  - match: 'shared:*'
    consistency: coalesce
`);
    const proxy = await proxyFor(upstream.url, { 'tier-untracked-ttl': '300' }, file);
    const reader = client(proxy);
    for (const key of ['off:a', 'shared:a']) {
      await upstream.call('SET', key, 'x');
      const before = await hits(proxy);
      await ask(reader, 200, 'GET', key);
      await ask(reader, 200, 'GET', key);
      expect(await hits(proxy), key).toBe(before);
    }
    await upstream.call('SET', 'ttl:a', 'old');
    await heat(proxy, reader, 'GET', 'ttl:a');
    await upstream.call('SET', 'ttl:a', 'new');
    expect(await reader.call('GET', 'ttl:a')).toBe('old');
    await waitFor(async () => (await reader.call('GET', 'ttl:a')) === 'new', 1000);
    await reader.set('ttl:a', 'newer');
    expect(await reader.call('GET', 'ttl:a')).toBe('newer');
  });

  it('only shares reads where the server refuses CLIENT TRACKING, and says so', async () => {
    const restricted = await startRedis();
    open.push(() => restricted.stop());
    await restricted.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', '-client|tracking');
    const proxy = await proxyFor(restricted.url.replace('redis://', 'redis://app:secret@'));
    const reader = client(proxy);
    await reader.set('k', 'v');
    for (let i = 0; i < 5; i++) await ask(reader, 50, 'GET', 'k');
    expect(await hits(proxy)).toBe(0);
    const ready = await proxy.admin('/readyz');
    expect(JSON.stringify(ready)).toContain('refuses CLIENT TRACKING');
  });

  it('counts in /hotkeys what it does about a hot key', async () => {
    const proxy = await proxyFor(upstream.url);
    const reader = client(proxy);
    await upstream.call('SET', 'listed', 'x');
    await heat(proxy, reader, 'GET', 'listed');
    const { body } = await proxy.admin('/hotkeys');
    const { keys } = body as { keys: Record<string, unknown>[] };
    const listed = keys.find(({ key }) => key === 'listed');
    expect(listed).toMatchObject({ entries: 1 });
    expect(listed?.hits).toBeGreaterThan(0);
  });
});

async function rulesFile(text: string): Promise<string> {
  const { mkdtemp, writeFile, rm } = await import('node:fs/promises');
  const dir = await mkdtemp('/tmp/heatsink-rules-');
  open.push(() => rm(dir, { recursive: true }));
  await writeFile(`${dir}/heatsink.yaml`, text);
  return `${dir}/heatsink.yaml`;
}
