// A Redis Cluster of three masters behind one port, to clients that know of no cluster.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, startCluster } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
let cluster: Cluster;
let proxy: RunningProxy;

beforeAll(async () => {
  cluster = await startCluster({ masters: 3 });
  open.push(() => cluster.stop());
  proxy = await startProxy({ upstream: cluster.url });
  open.push(() => proxy.close());
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

function wire(): Wire {
  const client = new Wire(proxy.port);
  open.push(() => client.close());
  return client;
}

/** An empty cluster and a connection to it. */
async function fresh(): Promise<Wire> {
  await Promise.all(cluster.nodes.map((node) => node.call('FLUSHALL')));
  return wire();
}

const KEYS = Array.from({ length: 30 }, (_, i) => `key:${i}`);
const bulk = (value: string | null) => (value === null ? '$-1' : `$${value.length}\r\n${value}`);
const array = (...items: string[]) => [`*${items.length}`, ...items].join('\r\n');

describe('keys of several shards', () => {
  it('are set and read by one MSET and one MGET, in the order of the request', async () => {
    const client = await fresh();
    expect(await client.say('MSET', ...KEYS.flatMap((key, i) => [key, `${i}`]))).toBe('+OK');
    const asked = ['key:9', 'none', 'key:0', 'key:9', ...KEYS.toReversed()];
    const values = asked.map((key) => bulk(key === 'none' ? null : key.slice(4)));
    expect(await client.say('MGET', ...asked)).toBe(array(...values));
    const sizes = await Promise.all(cluster.nodes.map((node) => node.call('DBSIZE')));
    expect(sizes.map(Number).every((size) => size > 0)).toBe(true);
  });

  it('are counted by EXISTS and TOUCH, deleted by DEL and UNLINK, each key once', async () => {
    const client = await fresh();
    await client.say('MSET', ...KEYS.flatMap((key) => [key, 'x']));
    expect(await client.say('EXISTS', ...KEYS, 'none', 'key:0')).toBe(':31');
    expect(await client.say('TOUCH', ...KEYS, 'none')).toBe(':30');
    expect(await client.say('DEL', ...KEYS.slice(0, 10), 'none', 'key:0')).toBe(':10');
    expect(await client.say('UNLINK', ...KEYS.slice(5, 20))).toBe(':10');
    expect(await client.say('EXISTS', ...KEYS)).toBe(':10');
    expect(await client.say('DBSIZE')).toBe(':10');
  });

  it('are all seen by KEYS, DBSIZE and RANDOMKEY, and all gone after FLUSHALL', async () => {
    const client = await fresh();
    expect(await client.say('RANDOMKEY')).toBe('$-1');
    await client.say('MSET', ...KEYS.flatMap((key) => [key, 'x']));
    const keys = (await client.say('KEYS', 'key:*')).split('\r\n').filter((line) => line.startsWith('key'));
    expect(keys.sort()).toEqual([...KEYS].sort());
    const random = new Set<string>();
    for (let i = 0; i < 100; i++) random.add((await client.say('RANDOMKEY')).split('\r\n')[1]);
    const owners = await Promise.all([...random].map((key) => cluster.slotOwner(key)));
    expect(new Set(owners).size).toBe(3);
    expect(await client.say('FLUSHALL')).toBe('+OK');
    expect(await client.say('DBSIZE')).toBe(':0');
    expect(await client.say('PING')).toBe('+PONG');
    expect(await client.say('PING', 'x')).toBe('$1\r\nx');
  });

  it('in one request that only one shard can answer get the words of Redis', async () => {
    const client = await fresh();
    const direct = new Wire(cluster.nodes[0].port);
    open.push(() => direct.close());
    const requests = ['SUNION', 'SINTERSTORE', 'MSETNX', 'RENAME', 'PFCOUNT', 'LMOVE'].map((name) => {
      const rest = name === 'LMOVE' ? ['LEFT', 'LEFT'] : name === 'MSETNX' ? ['key:2', 'x'] : [];
      return [name, 'key:0', 'key:1', ...rest];
    });
    requests.push(['EVAL', 'return 1', '2', 'key:0', 'key:1']);
    for (const args of requests) {
      const reply = await client.say(...args);
      expect(reply).toMatch(/^-CROSSSLOT /);
      expect(reply).toBe(await direct.say(...args));
    }
  });

  it('may be used together when a hash tag puts them into one slot', async () => {
    const client = await fresh();
    const replies: [string[], string][] = [
      [['SADD', '{tag}a', '1', '2'], ':2'],
      [['SADD', '{tag}b', '2', '3'], ':2'],
      [['SINTER', '{tag}a', '{tag}b'], array(bulk('2'))],
      [['SUNIONSTORE', '{tag}c', '{tag}a', '{tag}b'], ':3'],
      [['RENAME', '{tag}c', 'x{tag}d'], '+OK'],
      [['MSETNX', '{tag}e', '1', '{tag}f', '2'], ':1'],
      [['MGET', '{tag}f', '{tag}e', '{tag}none'], array(bulk('2'), bulk('1'), bulk(null))],
      [['DEL', '{tag}e', '{tag}f', '{tag}none'], ':2'],
      [['EVAL', "return redis.call('SCARD', KEYS[2])", '2', '{tag}a', 'x{tag}d'], ':3'],
    ];
    for (const [args, reply] of replies) expect([args, await client.say(...args)]).toEqual([args, reply]);
    const owner = await cluster.slotOwner('{tag}a');
    expect(await owner.call('DBSIZE')).toBe(3);
  });

  it('are not touched at all by an MSET that lacks a value', async () => {
    const client = await fresh();
    expect(await client.say('MSET', 'key:0', 'x', 'key:1')).toMatch(
      /^-(ERR wrong number of arguments|CROSSSLOT) /,
    );
    expect(await client.say('DBSIZE')).toBe(':0');
  });
});

describe('what is not served', () => {
  const refused = [...['FAILOVER', 'SHUTDOWN NOSAVE']];

  it.each([2, 3] as const)(
    'is answered at once, and the connection stays in step, in RESP%i',
    async (protocol) => {
      const client = await Wire.open(proxy.port, protocol);
      open.push(() => client.close());
      for (const line of refused) {
        const began = performance.now();
        client.sendAll([['SET', 'k', line], line.split(' '), ['GET', 'k']]);
        const [set, refusal, get] = (await client.replies(3)).map((reply) => reply.toString());
        expect([line, set, get]).toEqual([line, '+OK\r\n', `${bulk(line)}\r\n`]);
        const [name] = line.split(' ');
        const words = new RegExp(
          `^-(ERR|NOPERM) heatsink: ${name}( [A-Z-]+)? is (not served|denied): .+\r\n$`,
        );
        expect(refusal).toMatch(words);
        expect(performance.now() - began, line).toBeLessThan(1000);
      }
    },
  );

  it('or not known is told in the words of Redis', async () => {
    const client = wire();
    const direct = new Wire(cluster.nodes[0].port);
    open.push(() => direct.close());
    for (const args of [['NONSENSE'], ['nonsense', 'a', 'b\r\n', ''], ['OBJECT', 'NONSENSE'], ['GET']]) {
      client.sendAll([args, ['PING']]);
      const [reply, pong] = await client.replies(2);
      expect(reply.toString()).toBe((await direct.ask(...args)).toString());
      expect(pong.toString()).toBe('+PONG\r\n');
    }
  });
});
