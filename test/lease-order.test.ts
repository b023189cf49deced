// Leases and time: how long one is held and waited for. Leases and order: what happens behind reads that wait.

import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config/load.ts';
import { startHeatsink } from '../src/heatsink.ts';
import { type RunningProxy, spawnProxy } from './support/heatsink.ts';
import { describeProxy } from './support/heatsink-process.ts';
import { askAll, LeaseScene, MISSING, values, waiting } from './support/lease-scene.ts';
import { waitFor } from './support/redis.ts';

let scene: LeaseScene;
const clients: Redis[] = [];

beforeAll(async () => {
  scene = await LeaseScene.start();
});

afterEach(() => {
  scene.clear();
  for (const client of clients.splice(0)) client.disconnect();
});

afterAll(() => scene.close());

describe('while a lease is held', () => {
  it('those whose time is up are told that the key is missing', async () => {
    const proxy = await scene.proxy({ 'lease-wait': '100' });
    const key = await scene.hotMissing(proxy);
    const readers = await scene.crowd(proxy, 20);
    const replies = await Promise.all(readers.map((reader) => reader.say('GET', key)));
    expect(replies).toEqual(Array(20).fill(MISSING));
    const metrics = await proxy.metrics();
    expect(metrics.sum('heatsink_leases_total')).toBe(1);
    expect(metrics.sum('heatsink_lease_waits_total', { result: 'timed_out' })).toBe(19);
  });

  it('a holder that is silent for too long loses it to one who waits', async () => {
    const proxy = await scene.proxy({ 'lease-hold': '100' });
    const key = await scene.hotMissing(proxy);
    const readers = await scene.crowd(proxy, 20);
    let missing = 0;
    const replies = readers.map(async (reader) => {
      const reply = await reader.say('GET', key);
      // The first two have better things to do.
      if (reply === MISSING && ++missing === 3) return reader.say('SET', key, 'v');
      return reply;
    });
    expect((await Promise.all(replies)).sort()).toEqual([...values(17, 'v'), MISSING, MISSING, '+OK'].sort());
    const metrics = await proxy.metrics();
    expect(metrics.sum('heatsink_leases_total', { how: 'passed_on_silence' })).toBe(2);
  });

  it('its times can be changed', async () => {
    const proxy = await scene.proxy({});
    const key = await scene.hotMissing(proxy);
    const [holder, other] = await scene.crowd(proxy, 2);
    expect(await holder.say('CONFIG', 'SET', 'heatsink.lease.wait', '50')).toBe('+OK');
    expect(await holder.say('GET', key)).toBe(MISSING);
    expect(await other.say('GET', key)).toBe(MISSING);
    expect(await holder.say('CONFIG', 'SET', 'heatsink.lease.hold', '1')).toBe('+OK');
    await sleep(5);
    expect(await other.say('GET', key)).toBe(MISSING);
    expect((await proxy.metrics()).sum('heatsink_leases_total')).toBe(2);
  });

  it('a key that cools is still waited for', async () => {
    const proxy = await scene.proxy({ 'hot-window': '1500', 'hot-threshold': '20' });
    const { key, holder, others } = await scene.leased(proxy, 0);
    const hot = async () => (await proxy.metrics()).sum('heatsink_hot_keys');
    await waitFor(async () => (await hot()) === 0);
    const replies = askAll([...others, ...(await scene.crowd(proxy, 3))], 'GET', key);
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_lease_waiters') === 3);
    await holder.say('SET', key, 'v');
    await waitFor(() => replies.length === 3);
    expect(replies).toEqual(values(3, 'v'));
  });

  it('those who wait are not closed as idle', async () => {
    const proxy = await scene.proxy({ 'idle-timeout': '300', 'lease-wait': '1500' });
    const key = await scene.hotMissing(proxy);
    const [holder, other] = await scene.crowd(proxy, 2);
    await holder.say('GET', key);
    expect(await other.say('GET', key)).toBe(MISSING);
    expect(holder.closed).toBe(true);
  });

  it('a heatsink that ends answers those who wait at once', async () => {
    const proxy = await spawnProxy(scene.options({ workers: '2', 'shutdown-timeout': '20000' }));
    const key = await scene.hotMissing(proxy);
    const [holder, ...others] = await scene.crowd(proxy, 20);
    await holder.say('GET', key);
    const replies = askAll(others, 'GET', key);
    await waiting(proxy, 19);
    expect(await proxy.stop()).toBe(0);
    expect(replies).toEqual(Array(19).fill(MISSING));
  });

  it('a worker that crashes leaves no lease behind', async () => {
    const { upstream, flags, file } = scene.options({
      workers: '2',
      listen: '127.0.0.1:0',
      admin: '127.0.0.1:0',
    });
    const config = loadConfig({ flags: { ...flags, upstream }, env: {}, file });
    const heatsink = await startHeatsink(config, { log: pino({ level: 'silent' }) });
    const port = (address: string | null) => Number(address?.slice(address.lastIndexOf(':') + 1));
    const proxy = {
      ...describeProxy('127.0.0.1', port(heatsink.address), port(heatsink.adminAddress)),
      close: () => heatsink.close(),
    };
    scene.owns(proxy);
    const { key, holder, others } = await scene.leased(proxy, 3);
    for (const other of others) other.close();
    await waiting(proxy, 0);
    for (let worker = 0; worker < 2 && !holder.closed; worker++) {
      heatsink.crashWorker(worker);
      await sleep(200);
    }
    expect(holder.closed).toBe(true);
    const next = await waitFor(() => scene.open(proxy));
    expect(await next.say('GET', key)).toBe(MISSING);
    expect((await proxy.metrics()).sum('heatsink_leases_total')).toBe(2);
  });

  it('a pause of all clients is waited for', async () => {
    const proxy = await scene.proxy();
    const { key, holder, replies } = await scene.leased(proxy, 5);
    expect(await holder.say('CLIENT', 'PAUSE', '300', 'ALL')).toBe('+OK');
    await holder.say('SET', key, 'v');
    await waitFor(() => replies.length === 5);
    expect(replies).toEqual(values(5, 'v'));
  });
});

describe('on one connection of many callers', () => {
  let proxy: RunningProxy;

  beforeAll(async () => {
    proxy = await scene.proxy();
  });

  async function shared(): Promise<Redis> {
    const client = new Redis({ port: proxy.port, enableReadyCheck: false });
    clients.push(client);
    await client.ping();
    return client;
  }

  it('one rebuilds for all, whose reads wait before its write', async () => {
    const key = await scene.hotMissing(proxy);
    const app = await shared();
    let rebuilds = 0;
    const callers = Array.from({ length: 1000 }, async () => {
      const value = await app.get(key);
      if (value !== null) return value;
      rebuilds++;
      await sleep(50);
      await app.set(key, 'built');
      return 'built';
    });
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['built']));
    expect(rebuilds).toBe(1);
  });

  it('another command of the holder ends the wait of those before it', async () => {
    const key = await scene.hotMissing(proxy);
    const app = await shared();
    await scene.redis.call('SET', 'source', 'of the value');
    expect(await app.get(key)).toBeNull();
    const others = Promise.all(Array.from({ length: 10 }, () => app.get(key)));
    await waiting(proxy, 10);
    expect(await app.get('source')).toBe('of the value');
    expect(await others).toEqual(Array(10).fill(null));
    expect((await proxy.metrics()).sum('heatsink_lease_waits_total', { result: 'ended' })).toBe(10);
    const again = app.get(key);
    await waiting(proxy, 1);
    expect(await app.multi().set(key, 'v').get(key).exec()).toEqual([
      [null, 'OK'],
      [null, 'v'],
    ]);
    expect(await again).toBeNull();
  });

  it('of others, what comes behind a read that waits is answered behind it, in order', async () => {
    const key = await scene.hotMissing(proxy);
    const [holder, other] = await scene.crowd(proxy, 2);
    await holder.say('GET', key);
    other.sendAll([
      ['SET', 'x', '1'],
      ['GET', key],
    ]);
    await waiting(proxy, 1);
    other.sendAll([['GET', 'x'], ['INCR', 'x'], ['STRLEN', key], ['GET', 'x'], ['PING']]);
    await sleep(20);
    expect(await scene.redis.call('GET', 'x')).toBe('1');
    await holder.say('SET', key, 'new');
    expect((await other.replies(7)).map((reply) => reply.toString('latin1').trim())).toEqual([
      '+OK',
      '$3\r\nnew',
      '$1\r\n1',
      ':2',
      ':3',
      '$1\r\n2',
      '+PONG',
    ]);
  });

  it('a write of the key overtakes the reads of it that wait, whoever has the lease', async () => {
    const key = await scene.hotMissing(proxy);
    const [holder, other] = await scene.crowd(proxy, 2);
    await holder.say('GET', key);
    other.sendAll([
      ['GET', key],
      ['GET', key],
      ['SET', key, 'mine'],
      ['GET', key],
    ]);
    expect((await other.replies(4)).map((reply) => reply.toString('latin1').trim())).toEqual([
      '$4\r\nmine',
      '$4\r\nmine',
      '+OK',
      '$4\r\nmine',
    ]);
  });

  it('a large value that its holder uploads ends the wait of those before it', async () => {
    const key = await scene.hotMissing(proxy);
    const [holder, other] = await scene.crowd(proxy, 2);
    await holder.say('GET', key);
    const replies = askAll([other], 'GET', key);
    holder.sendAll([['GET', key]]);
    await waiting(proxy, 2);
    holder.sendAll([['SET', key, 'x'.repeat(3_000_000)]]);
    expect((await holder.replies(2)).map(String)).toEqual(['$-1\r\n', '+OK\r\n']);
    await waitFor(() => replies.length === 1);
    expect(replies[0].length).toBe(3_000_000 + '$3000000\r\n'.length);
  });

  it('a client that ends its side while it waits is told that the key is missing', async () => {
    const key = await scene.hotMissing(proxy);
    const [holder, other] = await scene.crowd(proxy, 2);
    await holder.say('GET', key);
    other.sendAll([['GET', key]]);
    await waiting(proxy, 1);
    other.end();
    expect(String(await other.rest())).toBe('$-1\r\n');
  });
});
