// A Redis Cluster of three masters behind one port, to clients that know of no cluster.

import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { Redis as Valkey } from 'iovalkey';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, startCluster, waitFor } from './support/redis.ts';
import { beginSlotMove } from './support/slot-move.ts';
import { Wire } from './support/wire.ts';

const run = promisify(execFile);
const open: (() => unknown)[] = [];
let cluster: Cluster;
let proxy: RunningProxy;

beforeAll(async () => {
  cluster = await startCluster({ masters: 3 });
  open.push(() => cluster.stop());
  proxy = await startProxy({ upstream: cluster.url, flags: { 'hot-threshold': '50' } });
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

/** The default of tier.maxStaleness, in milliseconds. */
const MAX_STALENESS = 1000;
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
  const refused = [
    ...['MULTI', 'EXEC', 'DISCARD', 'WATCH k', 'UNWATCH', 'SUBSCRIBE c', 'PSUBSCRIBE c', 'SSUBSCRIBE c'],
    ...['UNSUBSCRIBE', 'PUNSUBSCRIBE', 'SUNSUBSCRIBE', 'BLPOP k 0', 'BRPOP k 0', 'BLMOVE k l LEFT LEFT 0'],
    ...['BRPOPLPUSH k l 0', 'BZPOPMIN k 0', 'BZPOPMAX k 0', 'BLMPOP 0 1 k LEFT', 'BZMPOP 0 1 k MIN'],
    ...['XREAD BLOCK 0 STREAMS k $', 'XREADGROUP GROUP g c BLOCK 0 STREAMS k >', 'SCAN 0', 'CLUSTER INFO'],
    ...[
      'CLUSTER SLOTS',
      'CLUSTER NODES',
      'CLUSTER RESET HARD',
      'READONLY',
      'READWRITE',
      'ASKING',
      'WAIT 1 0',
    ],
    ...[
      'CLIENT TRACKING ON',
      'CLIENT CACHING YES',
      'CLIENT LIST',
      'CLIENT KILL TYPE normal',
      'CLIENT PAUSE 9999',
    ],
    ...['CLIENT REPLY OFF', 'CLIENT REPLY SKIP', 'CLIENT NO-EVICT ON', 'CLIENT UNBLOCK 1', 'MONITOR', 'SYNC'],
    ...[
      'PSYNC ? -1',
      'REPLICAOF NO ONE',
      'SHUTDOWN NOSAVE',
      'DEBUG SLEEP 5',
      'MIGRATE h 1 k 0 1',
      'FAILOVER',
    ],
  ];

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
        expect(refusal).toMatch(new RegExp(`^-ERR heatsink: ${name}( [A-Z-]+)? is not served: .+\r\n$`));
        expect(performance.now() - began, line).toBeLessThan(1000);
      }
    },
  );

  it('or not known is told in the words of Redis', async () => {
    const client = wire();
    const direct = new Wire(cluster.nodes[0].port);
    open.push(() => direct.close());
    for (const args of [
      ['NONSENSE'],
      ['nonsense', 'a', 'b\r\n', ''],
      ['OBJECT', 'NONSENSE'],
      ['SELECT', '1'],
      ['GET'],
    ]) {
      client.sendAll([args, ['PING']]);
      const [reply, pong] = await client.replies(2);
      expect(reply.toString()).toBe((await direct.ask(...args)).toString());
      expect(pong.toString()).toBe('+PONG\r\n');
    }
  });
});

describe('a slot that moves', () => {
  const redirects = async (kind: string) => (await proxy.metrics()).sum('heatsink_redirects_total', { kind });

  it('is followed without a word to the client, key by key', async () => {
    const client = await fresh();
    const keys = Array.from({ length: 10 }, (_, i) => `{moving}${i}`);
    await client.say('MSET', ...keys.flatMap((key) => [key, 'old']));
    const move = await beginSlotMove(cluster, '{moving}');
    await move.migrate('{moving}0', '{moving}1');
    for (const key of keys) expect(await client.say('GET', key)).toBe(bulk('old'));
    // One that is at the target, one that is not, one that is new.
    for (const key of ['{moving}0', '{moving}5', '{moving}new']) {
      expect(await client.say('SET', key, 'new')).toBe('+OK');
      expect(await client.say('GET', key)).toBe(bulk('new'));
    }
    expect(await redirects('ask')).toBeGreaterThan(0);
    await move.migrate();
    for (const key of ['{moving}0', '{moving}5', '{moving}new'])
      expect(await client.say('GET', key)).toBe(bulk('new'));
    await move.finish();
    for (const key of keys) expect(await client.say('EXISTS', key)).toBe(':1');
    expect(await client.say('DEL', ...keys, '{moving}new')).toBe(':11');
    const moved = await redirects('moved');
    expect(moved).toBeGreaterThan(0);
    await sleep(300);
    for (const key of keys) expect(await client.say('SET', key, 'x')).toBe('+OK');
    expect(await client.say('MGET', ...keys)).toBe(array(...keys.map(() => bulk('x'))));
    expect(await redirects('moved')).toBe(moved);
    expect(await move.target.call('DBSIZE')).toBe(10);
  });

  it('lets a command on keys of both sides wait until they are together', async () => {
    const client = await fresh();
    await client.say('MSET', '{half}a', '1', '{half}b', '2');
    const move = await beginSlotMove(cluster, '{half}');
    await move.migrate('{half}a');
    const other = wire();
    // The old owner has one of the first two; of the others the new one has one, and nobody the other.
    const replies = [client.say('MGET', '{half}a', '{half}b'), other.say('MGET', '{half}a', '{half}none')];
    const early = await Promise.race([...replies, sleep(400, 'both wait')]);
    await move.migrate();
    await move.finish();
    const expected = [array(bulk('1'), bulk('2')), array(bulk('1'), bulk(null))];
    expect([early, ...(await Promise.all(replies))]).toEqual(['both wait', ...expected]);
    expect(await redirects('tryagain')).toBeGreaterThan(0);
  });

  it('does not leave a missing key behind that was kept as missing', async () => {
    const client = await fresh();
    const hits = async () => (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
    const before = await hits();
    await waitFor(async () => {
      for (let i = 0; i < 100; i++) expect(await client.say('GET', '{missing}')).toBe('$-1');
      return (await hits()) > before;
    });
    // The old owner has nothing to tell: it never had the key and does not get it.
    const move = await beginSlotMove(cluster, '{missing}');
    await move.finish();
    await move.target.call('SET', '{missing}', 'made');
    const made = performance.now();
    while ((await client.say('GET', '{missing}')) === '$-1' && performance.now() - made < 3000)
      await sleep(5);
    expect(performance.now() - made).toBeLessThan(MAX_STALENESS + 500);
  });

  it('is learnt on a timer too, before any client meets it', async () => {
    const watching = await startProxy({ upstream: cluster.url, flags: { 'topology-interval': '100' } });
    open.push(() => watching.close());
    const move = await beginSlotMove(cluster, '{timer}');
    await move.finish();
    await sleep(400);
    const client = new Wire(watching.port);
    open.push(() => client.close());
    expect(await client.say('SET', '{timer}', 'x')).toBe('+OK');
    expect((await watching.metrics()).sum('heatsink_redirects_total')).toBe(0);
  });

  it('keeps the order of each client and loses and repeats nothing', async () => {
    const client = await fresh();
    const other = wire();
    let sent = 0;
    let stop = false;
    const wrong: string[] = [];
    const count = async (counter: Wire, key: string) => {
      for (let done = 0; !stop; ) {
        const batch = Array.from({ length: 20 }, () => [
          ['INCR', key],
          ['GET', key],
        ]).flat();
        counter.sendAll(batch);
        const replies = (await counter.replies(batch.length)).map((reply) => reply.toString().slice(0, -2));
        for (let i = 0; i < replies.length; i += 2) {
          done++;
          if (replies[i] !== `:${done}` || replies[i + 1] !== bulk(`${done}`)) {
            wrong.push(`${key} ${done}: ${replies[i]} ${replies[i + 1]}`);
          }
        }
        sent += batch.length;
      }
    };
    const counters = [count(client, '{order}a'), count(other, '{order}b')];
    for (let round = 0; round < 4; round++) {
      const before = sent;
      await waitFor(() => sent > before + 1000);
      const move = await beginSlotMove(cluster, '{order}');
      await sleep(20);
      await move.migrate('{order}b');
      await sleep(20);
      await move.migrate();
      await sleep(20);
      await move.finish();
    }
    stop = true;
    await Promise.all(counters);
    expect(wrong.slice(0, 10)).toEqual([]);
  });
});

describe('an ordinary client', () => {
  const names = KEYS.slice(0, 10);

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
