// Keys whose large values go by: what is noted of them, of which commands, and how much of it is kept.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clock } from '../src/clock.ts';
import { BigKeys } from '../src/proxy/seen/big-keys.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { LargeClient } from './support/large-client.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const MB = 1024 * 1024;
const open: (() => unknown)[] = [];
let redis: RedisProcess;
let proxy: RunningProxy;
let client: Wire;

interface Shown {
  readonly key: string;
  readonly encoding?: string;
  readonly db: number;
  readonly bytes: number;
  readonly elements: number;
  readonly command: string;
  readonly direction: string;
  readonly first_seen: string;
  readonly last_seen: string;
  readonly times: number;
}

beforeAll(async () => {
  redis = await startRedis();
  open.push(() => redis.stop());
  proxy = await startProxy({ upstream: redis.url });
  open.push(() => proxy.close());
  client = new Wire(proxy.port);
  open.push(() => client.close());
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

/** Forgets all. */
beforeEach(async () => {
  await client.say('CONFIG', 'SET', 'heatsink.bigKeys.top', '0');
  await client.say('CONFIG', 'SET', 'heatsink.bigKeys.top', '100');
});

async function bigKeys(of = proxy, query = ''): Promise<Shown[]> {
  const { status, body } = await of.admin(`/bigkeys${query}`);
  expect(status).toBe(200);
  return (body as { keys: Shown[] }).keys;
}

/** `[key, bytes, elements, command, direction, times]` of each. */
async function seen(of = proxy): Promise<unknown[][]> {
  const keys = await bigKeys(of);
  return keys.map(({ key, bytes, elements, command, direction, times }) => [
    key,
    bytes,
    elements,
    command,
    direction,
    times,
  ]);
}

const text = (bytes: number) => 'x'.repeat(bytes);
const pairs = (count: number) => Array.from({ length: count }, (_, i) => [`f${i}`, 'v']).flat();

describe('a big key', () => {
  it('is one with a string above the threshold, which is not counted with what the protocol adds', async () => {
    await client.say('SET', 'small', text(10_240));
    await client.ask('GET', 'small');
    expect(await seen()).toEqual([]);
    await client.say('SET', 'large', text(10_241));
    await client.ask('GET', 'large');
    await client.ask('GET', 'large');
    expect(await seen()).toEqual([['large', 10_241, 0, 'set', 'argument', 3]]);
    await client.say('APPEND', 'large', 'y');
    await client.ask('GET', 'large');
    expect(await seen()).toEqual([['large', 10_242, 0, 'get', 'reply', 4]]);
  });

  it('is one with many elements, counted alike in both protocols', async () => {
    await client.say('HSET', 'hash', ...pairs(6000));
    const [, , elements, command, direction] = (await seen())[0];
    expect([elements, command, direction]).toEqual([6000, 'hset', 'argument']);
    await client.say('ZADD', 'set', ...Array.from({ length: 6000 }, (_, i) => [`${i}`, `m${i}`]).flat());
    for (const protocol of [2, 3] as const) {
      const reader = await Wire.open(proxy.port, protocol);
      open.push(() => reader.close());
      await reader.ask('HGETALL', 'hash');
      await reader.ask('HKEYS', 'hash');
      await reader.ask('ZRANGE', 'set', '0', '-1', 'WITHSCORES');
      await reader.ask('ZRANGE', 'set', '0', '-1');
    }
    const all = await bigKeys();
    expect(all.map(({ key, elements, times }) => [key, elements, times])).toEqual([
      ['set', 6000, 5],
      ['hash', 6000, 5],
    ]);
  });

  it('is found by its elements alone where they are short', async () => {
    await client.say('CONFIG', 'SET', 'heatsink.bigKeys.bytes', '0');
    await client.say('RPUSH', 'bits', ...Array<string>(5001).fill('1'));
    await client.say('RPUSH', 'fewer', ...Array<string>(5000).fill('1'));
    await client.say('SET', 'long', text(100_000));
    await client.ask('LRANGE', 'fewer', '0', '-1');
    expect((await seen()).map(([key]) => key)).toEqual(['bits']);
    await client.say('CONFIG', 'SET', 'heatsink.bigKeys.bytes', '10KiB');
  });

  it('is each key of MSET and MGET by its own value', async () => {
    await client.say('MSET', 'a', '1', 'b', text(20_000), 'c', text(30_000));
    await client.ask('MGET', 'c', 'a', 'none', 'b');
    await client.say('MSET', ...Array.from({ length: 100 }, (_, i) => [`s${i}`, text(200)]).flat());
    await client.ask('MGET', ...Array.from({ length: 100 }, (_, i) => `s${i}`));
    expect(await seen()).toEqual([
      ['c', 30_000, 0, 'mset', 'argument', 2],
      ['b', 20_000, 0, 'mset', 'argument', 2],
    ]);
  });

  it('is noted with its database, once for each', async () => {
    const other = new Wire(proxy.port);
    open.push(() => other.close());
    await other.say('SELECT', '5');
    await other.say('SET', 'k', text(11_000));
    await client.say('SET', 'k', text(12_000));
    expect((await bigKeys()).map(({ key, db, bytes }) => [key, db, bytes])).toEqual([
      ['k', 0, 12_000],
      ['k', 5, 11_000],
    ]);
  });

  it('is noted in a transaction by what it is given', async () => {
    await client.say('MULTI');
    expect(await client.say('SET', 'inside', text(11_000))).toBe('+QUEUED');
    await client.ask('EXEC');
    expect(await seen()).toEqual([['inside', 11_000, 0, 'set', 'argument', 1]]);
  });

  it('is not made by what a server refuses, by scripts or by messages', async () => {
    await client.say('LPUSH', 'list', '1');
    expect(await client.say('APPEND', 'list', text(20_000))).toMatch(/^-WRONGTYPE/);
    await client.ask('EVAL', `return ARGV[1] --${text(20_000)}`, '1', 'k', text(20_000));
    await client.ask('PUBLISH', 'channel', text(20_000));
    await client.ask('ECHO', text(20_000));
    expect(await seen()).toEqual([]);
  });

  it('is noted where its value is too large to be held, in both directions', async () => {
    const large = new LargeClient(proxy);
    open.push(() => large.close());
    const size = 2 * MB + 5;
    await large.sendLarge(['SET', 'huge'], size);
    expect(await large.line()).toBe('+OK');
    expect(await seen()).toEqual([['huge', size, 0, 'set', 'argument', 1]]);
    for (let i = 0; i < 2; i++) {
      await large.send('GET huge\r\n');
      await large.hashOfReply(size);
    }
    await waitFor(async () => (await bigKeys())[0].times === 3);
    await redis.call(
      'HSET',
      'wide',
      ...Array.from({ length: 100 }, (_, i) => [`f${i}`, text(20_000)]).flat(),
    );
    await client.ask('HGETALL', 'wide');
    const [, wide] = await seen();
    expect(wide.slice(2)).toEqual([100, 'hgetall', 'reply', 1]);
    expect(wide[1]).toBeGreaterThan(2_000_000);
  });

  it('is shown in base64 when its name is no text', async () => {
    await client.ask('SET', Buffer.from([0xff, 0]), text(11_000));
    expect(await bigKeys()).toMatchObject([{ key: '/wA=', encoding: 'base64' }]);
  });
});

it('counts big values, and shows the size of the largest', async () => {
  const counted = async (direction: string) =>
    (await proxy.metrics()).sum('heatsink_big_values_total', { direction });
  const before = [await counted('reply'), await counted('argument')];
  await client.say('SET', 'counted', text(3 * MB));
  await client.ask('STRLEN', 'counted');
  await client.ask('GET', 'counted');
  expect([await counted('reply'), await counted('argument')]).toEqual([before[0] + 1, before[1] + 1]);
  expect((await proxy.metrics()).sum('heatsink_largest_value_bytes')).toBe(3 * MB);
});

it('takes other thresholds while it runs, and looks at nothing when it shall keep nothing', async () => {
  await client.say('SET', 'k', text(500));
  await client.say('CONFIG', 'SET', 'heatsink.bigKeys.bytes', '499', 'heatsink.bigKeys.elements', '2');
  await client.ask('GET', 'k');
  await client.say('RPUSH', 'three', '1', '2', '3');
  expect((await seen()).map(([key]) => key)).toEqual(['k', 'three']);
  expect((await proxy.admin('/bigkeys')).body).toMatchObject({ bytes_threshold: 499, elements_threshold: 2 });
  await client.say('CONFIG', 'SET', 'heatsink.bigKeys.top', '1');
  expect((await seen()).map(([key]) => key)).toEqual(['k']);
  await client.say('CONFIG', 'SET', 'heatsink.bigKeys.top', '0');
  await client.ask('GET', 'k');
  expect(await seen()).toEqual([]);
  await client.say('CONFIG', 'SET', 'heatsink.bigKeys.bytes', '10KiB', 'heatsink.bigKeys.elements', '5000');
});

it('lists as many as it is asked for, and refuses nonsense', async () => {
  for (let i = 0; i < 5; i++) await client.say('SET', `k${i}`, text(11_000 + i));
  expect((await bigKeys(proxy, '?top=2')).map(({ key }) => key)).toEqual(['k4', 'k3']);
  expect((await proxy.admin('/bigkeys?top=x')).status).toBe(400);
});

describe('the list', () => {
  const see = (keys: BigKeys, key: string, bytes: number) => {
    clock.ms++;
    keys.saw(Buffer.from(key), 0, key.length, 0, { bytes, elements: 0 }, 'get', 'reply');
  };

  it('keeps the largest, and beside them those that were seen last', () => {
    const keys = new BigKeys(4);
    for (const bytes of [900, 800, 700]) see(keys, `giant${bytes}`, bytes);
    for (let i = 0; i < 1000; i++) see(keys, `k${i}`, 100);
    clock.ms += 100;
    see(keys, 'last', 100);
    see(keys, 'after the last', 100);
    const names = keys.list().map(({ key }) => key.toString());
    expect(names.sort()).toEqual(['after the last', 'giant800', 'giant900', 'last']);
  });

  it('keeps the beginning of a long key', () => {
    const keys = new BigKeys(4);
    for (const end of ['a', 'b']) see(keys, text(5000) + end, 100);
    expect(keys.list()).toMatchObject([{ key: Buffer.from(text(1024)), times: 2 }]);
  });
});

describe('in front of a cluster', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
    open.push(() => cluster.stop());
  });

  it('each key of MSET and MGET is seen, wherever it is, and so is what is streamed', async () => {
    const own = await startProxy({ upstream: cluster.url });
    open.push(() => own.close());
    const wire = new Wire(own.port);
    open.push(() => wire.close());
    await wire.say('MSET', 'a', text(11_000), 'b', '1', 'c', text(13_000), 'd', text(12_000));
    await wire.ask('MGET', 'd', 'c', 'b', 'a');
    expect(await seen(own)).toEqual([
      ['c', 13_000, 0, 'mset', 'argument', 2],
      ['d', 12_000, 0, 'mset', 'argument', 2],
      ['a', 11_000, 0, 'mset', 'argument', 2],
    ]);
    await wire.say('SET', 'huge', text(2 * MB));
    await wire.ask('GET', 'huge');
    expect((await seen(own))[0]).toEqual(['huge', 2 * MB, 0, 'set', 'argument', 2]);
  });
});

it('is one list of what all workers saw', async () => {
  const own = await startProxy({ upstream: redis.url, flags: { workers: '2' } });
  open.push(() => own.close());
  const wires = Array.from({ length: 16 }, () => new Wire(own.port));
  open.push(() => wires.map((wire) => wire.close()));
  await Promise.all(wires.map((wire, i) => wire.say('SET', 'shared', text(11_000 + i))));
  expect(await bigKeys(own)).toMatchObject([{ key: 'shared', bytes: 11_015, times: 16 }]);
});
