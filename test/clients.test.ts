// The clients that people use, as they are for one plain server, through heatsink to a Redis Cluster.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { Redis as Valkey } from 'iovalkey';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { startCluster } from './support/redis.ts';

const run = promisify(execFile);
const open: (() => unknown)[] = [];
let proxy: RunningProxy;

beforeAll(async () => {
  const cluster = await startCluster({ masters: 3 });
  open.push(() => cluster.stop());
  proxy = await startProxy({ upstream: cluster.url });
  open.push(() => proxy.close());
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

describe('an ordinary client', () => {
  const names = Array.from({ length: 10 }, (_, i) => `key:${i}`);

  it.each([
    ['ioredis', Redis],
    ['iovalkey', Valkey],
  ])('%s sees one server', async (_, Client) => {
    const client = new (Client as typeof Redis)({ port: proxy.port });
    open.push(() => client.disconnect());
    await client.flushall();
    expect(await client.set('key', 'value')).toBe('OK');
    expect(await client.get('key')).toBe('value');
    await client.mset(Object.fromEntries(names.map((name) => [name, name])));
    expect(await client.mget(...names, 'none')).toEqual([...names, null]);
    await client.hset('hash', { a: '1', b: '2' });
    expect(await client.hgetall('hash')).toEqual({ a: '1', b: '2' });
    const pipeline = client.pipeline();
    for (const name of names) pipeline.get(name);
    expect(await pipeline.exec()).toEqual(names.map((name) => [null, name]));
    expect(await client.del(...names)).toBe(10);
    await expect(client.call('NONSENSE')).rejects.toThrow(/unknown command/);
  });

  it.each([2, 3] as const)('node-redis sees one server, in RESP%i', async (RESP) => {
    const client = createClient({ url: proxy.url, RESP });
    client.on('error', () => {});
    await client.connect();
    open.push(() => client.destroy());
    await client.flushAll();
    expect(await client.set('key', 'value')).toBe('OK');
    expect(await client.get('key')).toBe('value');
    await client.mSet(names.map((name): [string, string] => [name, name]));
    expect(await client.mGet([...names, 'none'])).toEqual([...names, null]);
    await client.hSet('hash', { a: '1', b: '2' });
    expect({ ...(await client.hGetAll('hash')) }).toEqual({ a: '1', b: '2' });
    // Calls of one tick leave in one pipeline.
    expect(await Promise.all(names.map((name) => client.get(name)))).toEqual(names);
    expect(await client.del(names)).toBe(10);
    await expect(client.sendCommand(['NONSENSE'])).rejects.toThrow(/unknown command/);
  });

  it.each([['-2'], ['-3']])('redis-cli %s sees one server', async (flag) => {
    const cli = async (...args: string[]) =>
      (await run('redis-cli', ['-p', `${proxy.port}`, flag, ...args])).stdout;
    expect(await cli('flushall')).toBe('OK\n');
    expect(await cli('set', 'key', 'value')).toBe('OK\n');
    expect(await cli('get', 'key')).toBe('value\n');
    expect(await cli('mset', ...names.flatMap((name) => [name, name]))).toBe('OK\n');
    expect(await cli('mget', ...names)).toBe(`${names.join('\n')}\n`);
    expect(await cli('hset', 'hash', 'a', '1')).toBe('1\n');
    expect(await cli('--no-raw', 'hgetall', 'hash')).toMatch(
      flag === '-3' ? /^1# "a" => "1"/ : /^1\) "a"\n2\) "1"/,
    );
    expect(await cli('-r', '3', 'incr', 'counter')).toBe('1\n2\n3\n');
    expect(await cli('nonsense')).toMatch(/unknown command/);
  });
});
