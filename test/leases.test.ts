// Leases: of all who find a hot key missing one is told so, and the others wait for what that one writes.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RunningProxy } from './support/heatsink.ts';
import { askAll, hotKeys, LeaseScene, MISSING, values, waiting } from './support/lease-scene.ts';
import { cmdstat, waitFor } from './support/redis.ts';
import type { Wire } from './support/wire.ts';

let scene: LeaseScene;

beforeAll(async () => {
  scene = await LeaseScene.start();
});

afterEach(() => scene.clear());
afterAll(() => scene.close());

describe.each([1, 2])('with %i workers', (workers) => {
  let proxy: RunningProxy;

  beforeAll(async () => {
    proxy = await scene.proxy({ workers: `${workers}` });
  });

  it('one of many who find a hot key missing is told so, and what it writes is what the others get', async () => {
    const key = await scene.hotMissing(proxy);
    const readers = await scene.crowd(proxy, 200);
    const given = (await proxy.metrics()).sum('heatsink_leases_total', { how: 'given' });
    let missing = 0;
    const replies = readers.map(async (reader) => {
      const reply = await reader.say('GET', key);
      if (reply !== MISSING) return reply;
      missing++;
      await sleep(50);
      await reader.say('SET', key, 'new');
      return '$3\r\nnew';
    });
    expect(await Promise.all(replies)).toEqual(values(200, 'new'));
    expect(missing).toBe(1);
    const metrics = await proxy.metrics();
    expect(metrics.sum('heatsink_leases_total', { how: 'given' })).toBe(given + 1);
    expect(await readers[0].say('GET', key)).toBe('$3\r\nnew');
  });

  it('is shown while it is held, with those who wait', async () => {
    const { key, holder, replies } = await scene.leased(proxy, 6);
    const { keys } = await hotKeys(proxy);
    expect(keys.find((one) => one.key === key)?.lease).toEqual({
      held_ms: expect.any(Number),
      waiters: 6,
    });
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_lease_waiters') === 6);
    await holder.say('SET', key, 'v');
    await waitFor(() => replies.length === 6);
    expect(JSON.stringify(await hotKeys(proxy))).not.toContain('lease');
  });

  it('passes on to one who waits when its holder disconnects', async () => {
    const { key, holder, others } = await scene.leased(proxy, 0);
    const readers = [...others, ...(await scene.crowd(proxy, 40))];
    const rebuilds = readers.map(async (reader) => {
      const reply = await reader.say('GET', key);
      if (reply !== MISSING) return reply;
      return reader.say('SET', key, 'v');
    });
    await waiting(proxy, 40);
    holder.close();
    expect((await Promise.all(rebuilds)).sort()).toEqual([...values(39, 'v'), '+OK']);
    const metrics = await proxy.metrics();
    expect(metrics.sum('heatsink_leases_total', { how: 'passed_on_disconnect' })).toBe(1);
  });

  it.each<[string, (holder: Wire, key: string) => Promise<unknown>, string[], string]>([
    ['MULTI', async (w, k) => w.sendAll([['MULTI'], ['SET', k, 'v'], ['EXEC']]), ['GET'], '$1\r\nv'],
    ['a script', (w, k) => w.say('EVAL', "redis.call('SET', KEYS[1], 'v')", '1', k), ['GET'], '$1\r\nv'],
    [
      'a script that names no key',
      (w, k) => w.say('EVAL', `redis.call('SET', '${k}', 'v')`, '0'),
      ['GET'],
      '$1\r\nv',
    ],
    ['SETEX', (w, k) => w.say('SETEX', k, '100', 'v'), ['GET'], '$1\r\nv'],
    ['HSET', (w, k) => w.say('HSET', k, 'f', 'v'), ['HGETALL'], '*2\r\n$1\r\nf\r\n$1\r\nv'],
    ['RPUSH', (w, k) => w.say('RPUSH', k, 'v'), ['LRANGE', '0', '-1'], '*1\r\n$1\r\nv'],
    ['a write behind heatsink', (_, k) => scene.redis.call('SET', k, 'v'), ['GET'], '$1\r\nv'],
    [
      'RENAME',
      (w, k) => scene.redis.call('SET', 'from', 'v').then(() => w.say('RENAME', 'from', k)),
      ['GET'],
      '$1\r\nv',
    ],
  ])('is filled by %s', async (_, fill, [command, ...range], filled) => {
    const key = await scene.hotMissing(proxy);
    const [holder, ...others] = await scene.crowd(proxy, 12);
    expect(await holder.say(command, key, ...range)).toMatch(/^(\$-1|\*0)$/);
    const replies = askAll(others, command, key, ...range);
    await waiting(proxy, 11);
    await fill(holder, key);
    await waitFor(() => replies.length === 11);
    expect(new Set(replies)).toEqual(new Set([filled]));
  });

  it('is filled for clients of both protocols, whoever has it', async () => {
    const { key, holder, replies } = await scene.leased(proxy, 5);
    const modern = await Promise.all([scene.open(proxy, 3), scene.open(proxy, 3)]);
    const more = askAll(modern, 'GET', key);
    await waiting(proxy, 7);
    await holder.say('SET', key, 'v');
    await waitFor(() => replies.length + more.length === 7);
    expect([...replies, ...more]).toEqual(values(7, 'v'));
  });

  it('is not filled by what leaves the key missing, nor by writes of other keys', async () => {
    const { key, holder, others, replies } = await scene.leased(proxy, 10);
    const other = await scene.open(proxy);
    for (let i = 0; i < 20; i++) {
      await other.say('DEL', key);
      await other.say('SET', `${key}:${i}`, 'x');
      await other.say('EVAL', 'return 1', '0');
    }
    expect(replies).toEqual([]);
    await holder.say('SET', key, 'v');
    await waitFor(() => replies.length === others.length);
    expect(replies).toEqual(values(10, 'v'));
  });

  it('is given again when the key is missing again', async () => {
    const { key, holder, replies } = await scene.leased(proxy, 5);
    await holder.say('SET', key, 'v', 'PX', '60000');
    await waitFor(() => replies.length === 5);
    await holder.say('DEL', key);
    await scene.leased(proxy, 5, key);
  });

  it('leaves nobody waiting whose client has gone', async () => {
    const { key, holder, others, replies } = await scene.leased(proxy, 20);
    for (const other of others.slice(0, 15)) other.close();
    await waiting(proxy, 5);
    await holder.say('SET', key, 'v');
    await waitFor(() => replies.length === 5);
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_lease_waiters') === 0);
  });

  it('lets a client that waits be killed', async () => {
    const { key, holder, others, replies } = await scene.leased(proxy, 3);
    const victim = await scene.open(proxy);
    const id = (await victim.say('CLIENT', 'ID')).slice(1);
    askAll([victim], 'GET', key);
    await waiting(proxy, 4);
    expect(await holder.say('CLIENT', 'KILL', 'ID', id)).toBe(':1');
    await waitFor(() => victim.closed);
    await waiting(proxy, 3);
    await holder.say('SET', key, 'v');
    await waitFor(() => replies.length === others.length);
  });

  it('is for hot keys only, for those with a rule, and for reads that prove a key missing', async () => {
    const readers = await scene.crowd(proxy, 12);
    const key = await scene.hotMissing(proxy);
    for (const command of [
      ['GET', 'page:cold'],
      ['GET', await scene.hotMissing(proxy, 'other:')],
      ['GET', await scene.hotMissing(proxy, 'off:')],
      ['LRANGE', key, '0', '9'],
      ['HGET', key, 'f'],
      ['EXISTS', key],
      ['MGET', key],
    ]) {
      const asked = command[1] === 'page:cold' ? readers.slice(0, 2) : readers;
      const replies = await Promise.all(asked.map((reader) => reader.say(...command)));
      expect(new Set(replies).size, command.join(' ')).toBe(1);
    }
  });

  it('is filled behind heatsink where the server does not tell of it', async () => {
    const key = await scene.hotMissing(proxy, 'shared:');
    const { replies } = await scene.leased(proxy, 4, key);
    await scene.redis.call('SET', key, 'v');
    await waitFor(() => replies.length === 4);
    expect(replies).toEqual(values(4, 'v'));
  });

  it('is given beside all other rules when the key expires', async () => {
    const key = 'all:of them';
    const readers = await scene.crowd(proxy, 30);
    await readers[0].say('DEL', key);
    await readers[0].say('SET', key, 'old', 'PX', '500');
    while ((await readers[1].say('GET', key)) !== MISSING) await sleep(1);
    const replies = askAll(readers.slice(2), 'GET', key);
    await waiting(proxy, 28);
    await readers[1].say('SET', key, 'new', 'PX', '60000');
    await waitFor(() => replies.length === 28);
    expect(replies).toEqual(values(28, 'new'));
  });

  it('costs one read per worker when it is filled', async () => {
    const { key, holder, replies } = await scene.leased(proxy, 60);
    const before = await cmdstat(scene.redis, 'get');
    await holder.say('SET', key, 'v');
    await waitFor(() => replies.length === 60);
    // One of each of them every 100 ms besides.
    expect((await cmdstat(scene.redis, 'get')) - before).toBeLessThan(30);
  });
});
