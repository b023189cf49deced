// Commands about a whole server, through heatsink to a Redis Cluster: answered as one server would.

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { itemsOf, textOf } from '../src/commands/elements.ts';
import { joinCursor, splitCursor } from '../src/commands/scan.ts';
import { NO_PEERS } from '../src/proxy/peers.ts';
import { Scripts } from '../src/proxy/wide/scripts.ts';
import type { Argument } from '../src/resp3/encode.ts';
import { viewOf } from '../src/resp3/hash.ts';
import { keyInSlots, slotOf } from '../src/upstream/slot.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis } from './support/redis.ts';
import { beginSlotMove } from './support/slot-move.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
let cluster: Cluster;
let alone: RedisProcess;
let proxy: RunningProxy;
let second: RunningProxy;
let single: RunningProxy;

beforeAll(async () => {
  const args = ['--enable-debug-command', 'yes'];
  [cluster, alone] = await Promise.all([startCluster({ masters: 3, args }), startRedis({ args })]);
  open.push(() => Promise.all([cluster.stop(), alone.stop()]));
  const upstreams = [cluster.url, cluster.url, alone.url];
  [proxy, second, single] = await Promise.all(upstreams.map((upstream) => startProxy({ upstream })));
  open.push(() => Promise.all([proxy, second, single].map((running) => running.close())));
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function wire(port = proxy.port, protocol: 2 | 3 = 2): Promise<Wire> {
  const client = await Wire.open(port, protocol);
  open.push(() => client.close());
  return client;
}

/** An empty cluster and a connection to it. */
async function fresh(protocol: 2 | 3 = 2): Promise<Wire> {
  await Promise.all(cluster.nodes.map((node) => node.call('FLUSHALL')));
  return wire(proxy.port, protocol);
}

const KEYS = Array.from({ length: 500 }, (_, i) => `key:${i}`);
const fill = (client: Wire, keys: readonly string[]) =>
  client.say('MSET', ...keys.flatMap((key) => [key, 'x']));
/** The elements of an array as text. */
const list = (reply: Buffer) => itemsOf(reply).map(textOf);
const field = (info: string, name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
/** `calls=3,usec=5` as an object of numbers. */
const numbers = (value = '') =>
  Object.fromEntries(value.split(',').map((pair) => [pair.split('=')[0], Number(pair.split('=')[1])]));

/** Moves the key's slot to the next master; the client then learns of it. */
async function moveSlot(client: Wire, key: string): Promise<void> {
  const move = await beginSlotMove(cluster, key);
  await move.migrate();
  await move.finish();
  await client.say('GET', key);
}

/** A key in that slot. */
function keyOf(slot: number): string {
  const key = keyInSlots('slot', (other) => other === slot);
  if (key === null) throw new Error(`no key in slot ${slot}`);
  return key;
}

async function scan(clients: Wire[], ...options: Argument[]): Promise<string[]> {
  const found: string[] = [];
  let cursor = '0';
  for (let turn = 0; turn < 2000; turn++) {
    const reply = await clients[turn % clients.length].ask('SCAN', cursor, ...options);
    const [next, keys] = itemsOf(reply);
    if (next === undefined) throw new Error(reply.toString());
    found.push(...list(keys));
    cursor = textOf(next);
    if (cursor === '0') return found;
  }
  throw new Error('the walk does not end');
}

describe('SCAN over all shards', () => {
  it.each([2, 3] as const)('finds every key once while nothing changes, in RESP%i', async (protocol) => {
    const client = await fresh(protocol);
    await fill(client, KEYS);
    for (const options of [[], ['COUNT', 7], ['COUNT', 100000]]) {
      expect((await scan([client], ...options)).sort()).toEqual([...KEYS].sort());
    }
    expect((await scan([client], 'MATCH', 'key:1?')).sort()).toEqual(KEYS.slice(10, 20));
    await client.say('SADD', 'a set', '1');
    expect(await scan([client], 'TYPE', 'set', 'COUNT', 50)).toEqual(['a set']);
  });

  it('goes on with a cursor on other connections, and with another heatsink', async () => {
    const clients = [await fresh(), await wire(), await wire(second.port)];
    await fill(clients[0], KEYS);
    expect((await scan(clients, 'COUNT', 10)).sort()).toEqual([...KEYS].sort());
  });

  it('ends in an empty cluster, and where only one shard has keys', async () => {
    const client = await fresh();
    expect(await scan([client])).toEqual([]);
    const tagged = KEYS.map((key) => `{tag}${key}`);
    await fill(client, tagged);
    expect((await scan([client], 'COUNT', 20)).sort()).toEqual([...tagged].sort());
  });

  it('refuses what is no cursor, and wrong options, in the words of Redis', async () => {
    const client = await wire();
    const direct = await wire(alone.port);
    const wrong = [
      ['x'],
      ['1x'],
      [' 1'],
      ['99999999999999999999'],
      ['0', 'COUNT', '0'],
      ['0', 'NONSENSE'],
      [],
    ];
    for (const args of wrong)
      expect(await client.say('SCAN', ...args)).toBe(await direct.say('SCAN', ...args));
    // Redis reads these as 0.
    for (const zero of ['', '+0', '-0', '00']) {
      expect([zero, (await client.say('SCAN', zero)).slice(0, 2)]).toEqual([zero, '*2']);
    }
  });

  it('ends for any cursor that a client makes up', async () => {
    const client = await wire();
    for (const made of ['1', '16383', '5461', '18446744073709551615', '-1', '99999999999']) {
      expect([made, (await client.say('SCAN', made)).slice(0, 2)]).toEqual([made, '*2']);
    }
  });

  it('leaves the cursors of one server as they are', async () => {
    const [client, direct] = [await wire(single.port), await wire(alone.port)];
    await fill(direct, KEYS);
    expect(await client.say('SCAN', 0, 'COUNT', 3)).toBe(await direct.say('SCAN', 0, 'COUNT', 3));
    await direct.say('FLUSHALL');
  });

  // First the slot by which the second master is named goes to the third one, in the middle of that turn. Then slots
  // that were walked over go to masters that have not had their turns: to the second one, and on to the third one.
  it.each([
    { slot: 5461, during: 5461 },
    { slot: 0, during: 5461 },
    { slot: 0, during: 1 },
  ])('ends while slot $slot moves, and gives every key that stays', async ({ slot, during }) => {
    const client = await fresh();
    await fill(client, KEYS);
    const key = keyOf(slot);
    const staying = KEYS.filter((name) => slotOf(Buffer.from(name), 0, name.length) !== slot);
    const found: string[] = [];
    let cursor = '0';
    let calls = 0;
    for (let turn = 0; turn === 0 || cursor !== '0'; turn++) {
      if (splitCursor(BigInt(cursor)).slot === during && ++calls === 20) await moveSlot(client, key);
      const [next, keys] = itemsOf(await client.ask('SCAN', cursor, 'COUNT', 2));
      found.push(...list(keys));
      cursor = textOf(next);
      expect(turn).toBeLessThan(1000);
    }
    expect(calls).toBeGreaterThanOrEqual(20);
    expect(staying.filter((name) => !found.includes(name))).toEqual([]);
  });

  it('has cursors of 64 bits at the most', () => {
    const last = { slot: 16383, tag: 127, from: 31, cursor: 2n ** 38n - 1n };
    expect(joinCursor(last)).toBe(2n ** 64n - 1n);
    expect(splitCursor(2n ** 64n - 1n)).toEqual(last);
    expect(splitCursor(joinCursor({ slot: 5461, tag: 9, from: 10, cursor: 77n }) ?? 0n)).toEqual({
      slot: 5461,
      tag: 9,
      from: 10,
      cursor: 77n,
    });
    expect(joinCursor({ slot: 0, tag: 0, from: 0, cursor: 2n ** 38n })).toBeNull();
  });
});

describe('RANDOMKEY', () => {
  it.each([2, 3] as const)(
    'is nil without keys, and else any key as likely as another, in RESP%i',
    async (protocol) => {
      const client = await fresh(protocol);
      expect(await client.say('RANDOMKEY')).toBe(protocol === 3 ? '_' : '$-1');
      // One shard has a thousand keys, another has one: drawn by shards, that one would come every second time.
      await fill(client, [...KEYS.map((key) => `{a}${key}`), '{b}']);
      client.sendAll(Array.from({ length: 200 }, () => ['RANDOMKEY']));
      const drawn = (await client.replies(200)).map(textOf);
      expect(drawn.filter((key) => key === '{b}').length).toBeLessThan(20);
      expect(new Set(drawn).size).toBeGreaterThan(50);
      await client.say('DEL', ...KEYS.map((key) => `{a}${key}`));
      expect(await client.say('RANDOMKEY')).toBe('$3\r\n{b}');
    },
  );
});

describe('INFO', () => {
  it.each([2, 3] as const)(
    'of a cluster adds its masters up in the shape of one, in RESP%i',
    async (protocol) => {
      const client = await fresh(protocol);
      await fill(client, KEYS);
      await client.say('EXPIRE', 'key:1', '1000');
      const [info, ...nodes] = await Promise.all([
        client.ask('INFO', 'everything').then(textOf),
        ...cluster.nodes.map(async (node) => String(await node.call('INFO', 'everything'))),
      ]);
      expect(numbers(field(info, 'db0'))).toMatchObject({ keys: 500, expires: 1 });
      const calls = (text: string) => numbers(field(text, 'cmdstat_mset')).calls;
      expect(calls(info)).toBe(nodes.map(calls).reduce((sum, n) => sum + n));
      const used = Number(field(info, 'used_memory'));
      expect(used).toBeGreaterThan(2 * Number(field(nodes[0], 'used_memory')));
      expect(field(info, 'used_memory_human')).toBe(`${(used / 1024 ** 2).toFixed(2)}M`);
      const titles = (text: string) => text.match(/^# \w+/gm);
      expect(titles(info)).toEqual([...(titles(nodes[0]) ?? []), '# Heatsink']);
      const names = (text: string) => text.match(/^(?!db|cmdstat|errorstat|latency|heatsink)\w+(?=:)/gm);
      expect(names(info)).toEqual(names(nodes[0]));
      expect(info.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
      expect(info).not.toContain('NaN');
    },
  );

  it('gives the sections that are asked for', async () => {
    for (const port of [proxy.port, single.port]) {
      const client = await wire(port);
      const titles = async (...sections: string[]) =>
        textOf(await client.ask('INFO', ...sections)).match(/^# \w+/gm) ?? [];
      expect(await titles('heatsink')).toEqual(['# Heatsink']);
      expect(await titles('HEATSINK', 'Keyspace')).toEqual(['# Keyspace', '# Heatsink']);
      expect(await titles('keyspace')).toEqual(['# Keyspace']);
      expect(await titles('nonsense')).toEqual([]);
      for (const all of [[], ['default'], ['all'], ['everything']]) {
        const found = await titles(...all);
        expect(found.slice(0, 2)).toEqual(['# Server', '# Clients']);
        expect(found.at(-1)).toBe('# Heatsink');
      }
    }
  });

  it('counts the clients of heatsink', async () => {
    for (const port of [proxy.port, single.port]) {
      const client = await wire(port);
      const count = async () =>
        Number(field(textOf(await client.ask('INFO', 'clients')), 'connected_clients'));
      const before = await count();
      await Promise.all([wire(port), wire(port), wire(port)]);
      expect(await count()).toBe(before + 3);
    }
  });

  it('of one server is its own with one section more', async () => {
    const [client, direct] = [await wire(single.port), await wire(alone.port)];
    const names = async (from: Wire) => textOf(await from.ask('INFO')).match(/^[#\w]+(?=[: ])/gm) ?? [];
    const [own, expected] = [await names(client), await names(direct)];
    expect(own.slice(0, expected.length)).toEqual(expected);
    expect(own.slice(expected.length).every((name) => name === '#' || name.startsWith('heatsink_'))).toBe(
      true,
    );
  });
});

describe('scripts', () => {
  const BODY = "return redis.call('SET', KEYS[1], ARGV[1])";
  const SHA = 'd8f2fad9f8e86a53d2a6ebd960b33c4972cacc37';
  const noScript = '-NOSCRIPT No matching script. Please use EVAL.';

  it('that went by in EVAL are known on every shard', async () => {
    const client = await fresh();
    await client.say('SCRIPT', 'FLUSH');
    expect(await client.say('EVALSHA', SHA, 1, 'a', '1')).toBe(noScript);
    expect(await client.say('EVAL', BODY, 1, 'a', '1')).toBe('+OK');
    for (const key of KEYS.slice(0, 20)) expect(await client.say('EVALSHA', SHA, 1, key, '2')).toBe('+OK');
    expect(await client.say('EVALSHA', SHA.toUpperCase(), 1, 'b', '2')).toBe('+OK');
    expect(await client.say('SCRIPT', 'EXISTS', SHA, 'nonsense')).toBe('*2\r\n:1\r\n:0');
  });

  it('are loaded again on a shard that has lost them, ahead of what follows', async () => {
    const client = await fresh();
    expect(await client.say('SCRIPT', 'LOAD', BODY)).toBe(`$40\r\n${SHA}`);
    for (const key of KEYS.slice(0, 20)) expect(await client.say('EVALSHA', SHA, 1, key, '1')).toBe('+OK');
    await Promise.all(cluster.nodes.map((node) => node.call('SCRIPT', 'FLUSH')));
    for (const key of KEYS.slice(0, 20)) expect(await client.say('EVALSHA', SHA, 1, key, '2')).toBe('+OK');
    expect(await client.say('MGET', ...KEYS.slice(0, 20))).not.toContain('$1\r\n1');
  });

  it('keep the order of a pipeline where they are sent ahead', async () => {
    const client = await fresh();
    await client.say('SCRIPT', 'FLUSH');
    await client.say('EVAL', BODY, 1, 'a', '1');
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      client.sendAll([
        ['SET', key, 'old'],
        ['EVALSHA', SHA, 1, key, 'new'],
        ['GET', key],
      ]);
      const replies = (await client.replies(3)).map((reply) => reply.toString());
      expect(replies).toEqual(['+OK\r\n', '+OK\r\n', '$3\r\nnew\r\n']);
    }
  });

  it('that were flushed are unknown on every shard', async () => {
    const client = await fresh();
    await client.say('SCRIPT', 'LOAD', BODY);
    expect(await client.say('SCRIPT', 'FLUSH')).toBe('+OK');
    for (const key of KEYS.slice(0, 10)) expect(await client.say('EVALSHA', SHA, 1, key, '1')).toBe(noScript);
    expect(await client.say('SCRIPT', 'EXISTS', SHA)).toBe('*1\r\n:0');
  });

  it('are remembered within bounds, the oldest forgotten first', () => {
    const scripts = new Scripts(NO_PEERS);
    const remember = (body: Buffer) => scripts.remember(body, viewOf(body), 0, body.length);
    const sha = (body: Buffer) => createHash('sha1').update(body).digest('hex');
    const bodies = Array.from({ length: 5000 }, (_, i) => Buffer.from(`return ${i}`));
    for (const body of [...bodies, ...bodies.slice(-9)]) remember(body);
    expect(scripts.size).toBe(2048);
    expect(scripts.find(sha(bodies[0]))).toBeNull();
    expect(scripts.find(sha(bodies[4999]))?.body).toEqual(bodies[4999]);
    const large = Array.from({ length: 20 }, (_, i) => Buffer.alloc(2 ** 20, `${i} `));
    for (const body of large) remember(body);
    expect(scripts.size).toBe(7);
    expect(scripts.find(sha(bodies[4999]))).toBeNull();
    expect(scripts.find(sha(large[19]))?.body.length).toBe(2 ** 20);
    remember(Buffer.alloc(2 ** 25));
    expect(scripts.size).toBe(7);
    scripts.clear();
    expect(scripts.find(sha(large[19]))).toBeNull();
  });

  it('that do not compile stay unknown', async () => {
    const client = await fresh();
    expect(await client.say('EVAL', 'return return', 0)).toMatch(/^-ERR Error compiling script/);
    const sha = createHash('sha1').update('return return').digest('hex');
    for (const key of KEYS.slice(0, 5)) expect(await client.say('EVALSHA', sha, 1, key)).toBe(noScript);
  });

  it('as functions are the same on every shard', async () => {
    const client = await fresh();
    const code =
      "#!lua name=lib\nredis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)";
    expect(await client.say('FUNCTION', 'LOAD', code)).toBe('$3\r\nlib');
    for (const key of KEYS.slice(0, 10)) expect(await client.say('FCALL', 'put', 1, key, '1')).toBe('+OK');
    expect(await client.say('FUNCTION', 'STATS')).toMatch(/libraries_count\r\n:1/);
    expect(itemsOf(await client.ask('FUNCTION', 'LIST'))).toHaveLength(1);
    expect(await client.say('FUNCTION', 'KILL')).toMatch(/^-NOTBUSY /);
    expect(await client.say('FUNCTION', 'DELETE', 'lib')).toBe('+OK');
    for (const key of KEYS.slice(0, 10)) {
      expect(await client.say('FCALL', 'put', 1, key, '1')).toBe('-ERR Function not found');
    }
  });
});

describe('what servers keep a record of', () => {
  it('is one slow log of all masters, the newest first', async () => {
    const client = await fresh();
    expect(await client.say('CONFIG', 'SET', 'slowlog-log-slower-than', '0')).toBe('+OK');
    await client.say('SLOWLOG', 'RESET');
    for (const key of KEYS.slice(0, 30)) await client.say('SET', key, 'x');
    await client.say('CONFIG', 'SET', 'slowlog-log-slower-than', '10000');
    const times = (reply: Buffer) => itemsOf(reply).map((entry) => Number(textOf(itemsOf(entry)[1])));
    expect(times(await client.ask('SLOWLOG', 'GET'))).toHaveLength(10);
    expect(times(await client.ask('SLOWLOG', 'GET', 25))).toHaveLength(25);
    expect(await client.say('SLOWLOG', 'GET', 0)).toBe('*0');
    const all = times(await client.ask('SLOWLOG', 'GET', -1));
    expect(all.length).toBeGreaterThan(30);
    expect(all).toEqual([...all].sort((a, b) => b - a));
    expect(await client.say('SLOWLOG', 'LEN')).toBe(`:${all.length}`);
    expect(await client.say('SLOWLOG', 'GET', -2)).toBe('-ERR count should be greater than or equal to -1');
    expect(await client.say('SLOWLOG', 'RESET')).toBe('+OK');
    expect(await client.say('SLOWLOG', 'LEN')).toBe(':0');
  });

  it.each([2, 3] as const)('is one list of latencies, in RESP%i', async (protocol) => {
    const client = await fresh(protocol);
    await client.say('CONFIG', 'SET', 'latency-monitor-threshold', '5');
    await cluster.nodes[0].call('DEBUG', 'SLEEP', '0.01');
    await cluster.nodes[2].call('DEBUG', 'SLEEP', '0.03');
    const latest = itemsOf(await client.ask('LATENCY', 'LATEST')).map((event) => list(event));
    const command = latest.filter(([event]) => event === 'command');
    expect(command).toHaveLength(1);
    expect(Number(command[0][3])).toBeGreaterThanOrEqual(30);
    expect(itemsOf(await client.ask('LATENCY', 'HISTORY', 'command')).length).toBeGreaterThanOrEqual(2);
    expect(textOf(await client.ask('LATENCY', 'GRAPH', 'command'))).toMatch(/^# Shard 2 of 2\ncommand/m);
    expect(textOf(await client.ask('LATENCY', 'DOCTOR'))).toContain('# Shard 3 of 3');
    expect(await client.say('LATENCY', 'GRAPH', 'nonsense')).toMatch(/^-ERR No samples/);
    await client.say('CONFIG', 'SET', 'latency-monitor-threshold', '0');
    expect(Number((await client.say('LATENCY', 'RESET')).slice(1))).toBeGreaterThanOrEqual(2);
    expect(await client.say('LATENCY', 'LATEST')).toBe('*0');
    // All say the same: that they were told to watch nothing.
    expect(textOf(await client.ask('LATENCY', 'DOCTOR'))).not.toContain('# Shard');
  });

  it.each([2, 3] as const)('is one histogram for each command, in RESP%i', async (protocol) => {
    const client = await fresh(protocol);
    await client.say('CONFIG', 'RESETSTAT');
    for (const key of KEYS.slice(0, 60)) await client.say('SET', key, 'x');
    const [name, histogram] = itemsOf(await client.ask('LATENCY', 'HISTOGRAM', 'set', 'zrange'));
    expect(textOf(name)).toBe('set');
    const [, calls, , buckets] = itemsOf(histogram);
    expect(textOf(calls)).toBe('60');
    const pairs = list(buckets).map(Number);
    const [bounds, counts] = [0, 1].map((odd) => pairs.filter((_, i) => i % 2 === odd));
    expect(bounds).toEqual([...bounds].sort((a, b) => a - b));
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(counts.at(-1)).toBe(60);
  });

  it('is one account of memory', async () => {
    const client = await fresh();
    await fill(client, KEYS);
    const stats = list(await client.ask('MEMORY', 'STATS'));
    expect(stats[stats.indexOf('keys.count') + 1]).toBe('500');
    expect(textOf(await client.ask('MEMORY', 'DOCTOR'))).toContain('Sam');
    expect(await client.say('MEMORY', 'PURGE')).toBe('+OK');
    expect(await client.say('MEMORY', 'USAGE', 'key:7')).toMatch(/^:\d\d+$/);
    expect(await client.say('OBJECT', 'ENCODING', 'key:7')).toBe('$6\r\nembstr');
    expect(await client.say('LASTSAVE')).toMatch(/^:\d{10}$/);
  });

  it('is one list of channels, whichever nodes the subscribers hang on', async () => {
    const subscribers = await Promise.all([wire(), wire(), wire()]);
    for (const subscriber of subscribers) await subscriber.ask('SUBSCRIBE', 'news');
    await subscribers[0].ask('SUBSCRIBE', 'sports');
    await subscribers[1].ask('PSUBSCRIBE', 'n*');
    const client = await wire();
    expect(list(await client.ask('PUBSUB', 'CHANNELS')).sort()).toEqual(['news', 'sports']);
    expect(list(await client.ask('PUBSUB', 'CHANNELS', 's*'))).toEqual(['sports']);
    expect(await client.say('PUBSUB', 'NUMSUB', 'news', 'none')).toBe(
      '*4\r\n$4\r\nnews\r\n:3\r\n$4\r\nnone\r\n:0',
    );
    expect(await client.say('PUBSUB', 'NUMPAT')).toBe(':1');
    expect(await client.say('PUBSUB', 'SHARDCHANNELS')).toBe('*0');
  });
});

describe('a shard that is gone', () => {
  it('is named in the reply of what needs all shards', async () => {
    const client = await fresh();
    cluster.nodes[2].kill('SIGKILL');
    const { port } = cluster.nodes[2];
    for (const args of [['DBSIZE'], ['INFO'], ['RANDOMKEY'], ['KEYS', '*'], ['FLUSHALL']]) {
      expect([args, await client.say(...args)]).toEqual([args, expect.stringContaining(`127.0.0.1:${port}`)]);
    }
    expect(await client.say('PING', 'x')).toBe('$1\r\nx');
    await expect(scan([client])).rejects.toThrow(`127.0.0.1:${port}`);
  });
});
