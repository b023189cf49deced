// Pub/sub and MONITOR: messages and confirmations as from one server, beside commands, through slow clients and loss.

import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { addMaster, forget, reshard } from './support/cluster-change.ts';
import { type ProxyProcess, type RunningProxy, spawnProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { beginSlotMove } from './support/slot-move.ts';
import { Wire } from './support/wire.ts';

type Command = readonly string[];

const wires: Wire[] = [];
const servers: { stop(): Promise<void> }[] = [];

afterEach(() => {
  for (const wire of wires.splice(0)) wire.close();
});

afterAll(async () => {
  for (const server of servers.reverse()) await server.stop();
});

async function open({ port }: { port: number }, protocol: 2 | 3 = 2): Promise<Wire> {
  const wire = await Wire.open(port, protocol);
  wires.push(wire);
  return wire;
}

const words = (line: string): Command => line.split(' ');

/** The next frames, with blanks for the ends of lines and without lengths of strings. */
async function frames(wire: Wire, count: number): Promise<string[]> {
  return (await wire.replies(count)).map((frame) =>
    frame
      .toString('latin1')
      .replace(/\$\d+\r\n/g, '')
      .trim()
      .replace(/\r\n/g, ' '),
  );
}

/** What comes in answer to these lines, in one write: that many frames. */
async function told(wire: Wire, count: number, ...lines: string[]): Promise<string[]> {
  wire.sendAll(lines.map(words));
  return frames(wire, count);
}

/** Has heatsink's client told the same as one of the server itself. */
async function sameAs(direct: Wire, wire: Wire, count: number, ...lines: string[]): Promise<void> {
  const expected = await told(direct, count, ...lines);
  expect(await told(wire, count, ...lines)).toEqual(expected);
}

describe.each([2, 3] as const)('on one server in RESP%i', (protocol) => {
  let redis: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    redis = await startRedis();
    servers.push(redis);
    proxy = await startProxy({ upstream: redis.url });
    servers.push({ stop: () => proxy.close() });
  });

  it('every channel and pattern is confirmed with the count of a server', async () => {
    const [direct, client] = [await open(redis, protocol), await open(proxy, protocol)];
    await sameAs(direct, client, 3, 'SUBSCRIBE a b a');
    await sameAs(direct, client, 4, 'PSUBSCRIBE p* q*', 'SSUBSCRIBE s', 'SUBSCRIBE c');
    await sameAs(direct, client, 2, 'UNSUBSCRIBE a nosuch');
    await sameAs(direct, client, 2, 'PING', 'PING hello');
    await sameAs(direct, client, 5, 'UNSUBSCRIBE', 'PUNSUBSCRIBE', 'SUNSUBSCRIBE');
    await sameAs(direct, client, 4, 'UNSUBSCRIBE', 'PUNSUBSCRIBE', 'SUNSUBSCRIBE', 'PING');
    await sameAs(direct, client, 3, 'SUBSCRIBE', 'SUBSCRIBE x', 'RESET');
    await sameAs(direct, client, 2, 'GET none', 'UNSUBSCRIBE');
    await sameAs(direct, client, 2, 'SUBSCRIBE x', 'QUIT');
    expect((await client.rest()).length).toBe(0);
  });

  it('what may be sent beside subscriptions is what a server lets through', async () => {
    const [direct, client] = [await open(redis, protocol), await open(proxy, protocol)];
    await redis.call('SET', 'k', 'v');
    const beside = [
      'GET k',
      'ECHO hi',
      'HELLO',
      'SELECT 1',
      'MULTI',
      'EXEC',
      'BLPOP none 0.01',
      'NOSUCH',
      'GET',
    ];
    if (protocol === 3) beside.splice(2, 1);
    await sameAs(direct, client, 1 + beside.length, 'SUBSCRIBE x', ...beside);
    // In one write with the end of the subscription it is allowed again.
    if (protocol === 3) await sameAs(direct, client, 1, 'SELECT 0');
    await sameAs(direct, client, 3, 'UNSUBSCRIBE x', 'GET k', 'PING');
  });

  it('messages come once, in order, to all who subscribed', async () => {
    const [channels, patterns] = [await open(proxy, protocol), await open(proxy, protocol)];
    await told(channels, 1, 'SUBSCRIBE news');
    await told(patterns, 2, 'PSUBSCRIBE n*', 'SSUBSCRIBE other');
    const publisher = new Redis(proxy.port);
    const sent = Array.from({ length: 10_000 }, (_, i) => publisher.publish('news', `${i}`));
    const begin = protocol === 2 ? '*' : '>';
    const expected = Array.from({ length: 10_000 }, (_, i) => `${begin}3 message news ${i}`);
    expect(await frames(channels, 10_000)).toEqual(expected);
    const last = (await frames(patterns, 10_000)).at(-1);
    expect(last).toBe(`${begin}4 pmessage n* news 9999`);
    expect(new Set(await Promise.all(sent))).toEqual(new Set([2]));
    await publisher.spublish('other', 'to a shard');
    expect(await frames(patterns, 1)).toEqual([`${begin}3 smessage other to a shard`]);
    publisher.disconnect();
  });

  it('connections that are given back bring nobody a stray message', async () => {
    const accepted = async () =>
      Number(/total_connections_received:(\d+)/.exec(String(await redis.call('INFO', 'stats')))?.[1]);
    const publisher = new Redis(redis.port);
    const before = await accepted();
    let stop = false;
    const flood = (async () => {
      while (!stop)
        await publisher
          .pipeline([
            ['publish', 'flood', 'x'],
            ['publish', 'flood', 'y'],
          ])
          .exec();
    })();
    await redis.call('RPUSH', 'list', 'message', 'flood', 'text');
    for (let i = 0; i < 40; i++) {
      const client = await open(proxy, protocol);
      client.sendAll([
        ['SUBSCRIBE', 'flood'],
        ['UNSUBSCRIBE', 'flood'],
        ['LRANGE', 'list', '0', '-1'],
      ]);
      let seen = '';
      // Messages, if any, lie between the confirmations.
      while (!seen.startsWith('*3 message flood text')) {
        [seen] = await frames(client, 1);
        expect(seen).toMatch(/^[*>]3 (un)?subscribe|^[*>]3 message flood (x|y|text)$/);
      }
      const inside = [['WATCH', 'k'], ['MULTI'], ['LRANGE', 'list', '0', '0'], ['EXEC']];
      client.sendAll(inside);
      expect((await frames(client, 4)).at(-1)).toBe('*1 *1 message');
      client.close();
    }
    stop = true;
    await flood;
    publisher.disconnect();
    expect((await accepted()) - before).toBeLessThan(10);
  });

  it('a client whose subscriptions are lost with their server is disconnected', async () => {
    const server = await startRedis();
    const own = await startProxy({ upstream: server.url });
    const client = await open(own, protocol);
    await told(client, 1, 'SUBSCRIBE x');
    await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    expect((await client.rest()).length).toBe(0);
    const other = await open(own, protocol);
    await told(other, 1, 'PSUBSCRIBE x*');
    await server.stop();
    expect((await other.rest()).length).toBe(0);
    await own.close();
  });
});

describe('beside commands in RESP3', () => {
  let redis: RedisProcess;
  let proxy: ProxyProcess;

  beforeAll(async () => {
    redis = await startRedis({ args: ['--client-output-buffer-limit', 'pubsub', '4mb', '2mb', '60'] });
    servers.push(redis);
    proxy = await spawnProxy({ upstream: redis.url });
    servers.push({ stop: () => proxy.close() });
  });

  it('replies and messages are never taken for each other', async () => {
    const client = await open(proxy, 3);
    const publisher = await open(redis);
    await redis.call('RPUSH', 'list', 'message', 'x', 'not one');
    await told(client, 1, 'SUBSCRIBE x');
    const rounds = 500;
    for (let i = 0; i < rounds; i++) {
      publisher.sendAll([['PUBLISH', 'x', `${i}`]]);
      client.sendAll([
        ['LRANGE', 'list', '0', '-1'],
        ['INCR', 'n'],
        ['SUBSCRIBE', 'x'],
      ]);
    }
    const seen = await frames(client, 4 * rounds);
    const ofKind = (kind: RegExp) => seen.filter((frame) => kind.test(frame));
    expect(ofKind(/^\*3 message x not one$/)).toHaveLength(rounds);
    expect(ofKind(/^:/)).toEqual(Array.from({ length: rounds }, (_, i) => `:${i + 1}`));
    expect(ofKind(/^>3 message/)).toEqual(Array.from({ length: rounds }, (_, i) => `>3 message x ${i}`));
    expect(ofKind(/^>3 subscribe x :1$/)).toHaveLength(rounds);
  });

  it('a subscriber that reads nothing costs little, and is cut by the limit of the server', async () => {
    const slow = await open(proxy, 3);
    await told(slow, 1, 'SUBSCRIBE firehose');
    slow.socket.pause();
    const publisher = new Redis(redis.port);
    const message = 'm'.repeat(10_000);
    let received = 1;
    for (let i = 0; i < 10_000 && received > 0; i++) {
      const sent = Array.from({ length: 100 }, () => publisher.publish('firehose', message));
      received = (await Promise.all(sent)).at(-1) ?? 0;
    }
    publisher.disconnect();
    expect(received).toBe(0);
    const memory = (await proxy.metrics()).sum('process_resident_memory_bytes');
    expect(memory).toBeLessThan(250e6);
    slow.socket.resume();
    const rest = (await slow.rest()).toString('latin1');
    const begin = `>3\r\n$7\r\nmessage\r\n$8\r\nfirehose\r\n$10000\r\n${message}\r\n`;
    // What came is whole messages without a gap, up to the cut.
    const whole = Math.floor(rest.length / begin.length);
    expect(whole).toBeGreaterThan(10);
    expect(rest.startsWith(begin.repeat(whole))).toBe(true);
  });
});

describe('on a cluster', () => {
  let cluster: Cluster;
  let proxy: RunningProxy;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3 });
    servers.push(cluster);
    proxy = await startProxy({ upstream: cluster.url });
    servers.push({ stop: () => proxy.close() });
  });

  it.each([2, 3] as const)('sharded channels of all nodes are one count in RESP%i', async (protocol) => {
    const client = await open(proxy, protocol);
    const begin = protocol === 2 ? '*' : '>';
    const lines = ['SSUBSCRIBE a', 'SSUBSCRIBE b', 'SSUBSCRIBE c', 'SUBSCRIBE plain'];
    const confirmed = lines.map((line, i) => `${begin}3 ${line.toLowerCase()} :${i < 3 ? i + 1 : 1}`);
    expect(await told(client, 4, ...lines)).toEqual(confirmed);
    const other = await open(proxy);
    for (const channel of ['a', 'b', 'c']) {
      expect(await other.say('SPUBLISH', channel, 'hello')).toBe(':1');
      expect(await frames(client, 1)).toEqual([`${begin}3 smessage ${channel} hello`]);
    }
    for (const node of cluster.nodes) await node.call('PUBLISH', 'plain', 'hello');
    expect(await frames(client, 3)).toEqual(Array(3).fill(`${begin}3 message plain hello`));
    const left = await told(client, 3, 'SUNSUBSCRIBE');
    expect(left.map((frame) => frame.split(' ')[3])).toEqual([':2', ':1', ':0']);
    expect(left.map((frame) => frame.split(' ')[2]).sort()).toEqual(['a', 'b', 'c']);
    expect(await told(client, 2, 'UNSUBSCRIBE', 'GET none')).toEqual([
      `${begin}3 unsubscribe plain :0`,
      protocol === 2 ? '$-1' : '_',
    ]);
  });

  it('PING is answered as a subscriber has it, whichever node the subscriptions are on', async () => {
    for (const channel of ['a', 'b', 'c']) {
      const client = await open(proxy);
      const lines = [
        'SUBSCRIBE x',
        `SSUBSCRIBE ${channel}`,
        'UNSUBSCRIBE x',
        'PING',
        'PING hey',
        'SUNSUBSCRIBE',
        'PING',
      ];
      const [, , , ...pongs] = await told(client, 7, ...lines);
      expect(pongs).toEqual(['*2 pong', '*2 pong hey', `*3 sunsubscribe ${channel} :0`, '+PONG']);
    }
  });

  it('a sharded channel is subscribed to at the new owner of its slot', async () => {
    const [client, other] = [await open(proxy), await open(proxy)];
    const move = await beginSlotMove(cluster, 'moving');
    await told(client, 1, 'SSUBSCRIBE moving');
    const list = await keyOf(move.source);
    await move.source.call('RPUSH', list, 'message', 'no', 'message');
    await move.finish();
    // Its server takes the subscription back.
    expect(await frames(client, 1)).toEqual(['*3 sunsubscribe moving :0']);
    expect(await told(client, 1, `LRANGE ${list} 0 -1`)).toEqual(['*3 message no message']);
    expect(await told(client, 1, 'SSUBSCRIBE moving')).toEqual(['*3 ssubscribe moving :1']);
    expect(await other.say('SPUBLISH', 'moving', 'on')).toBe(':1');
    expect(await frames(client, 1)).toEqual(['*3 smessage moving on']);
  });

  /** A key of that node. */
  async function keyOf(node: RedisProcess): Promise<string> {
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((letter) => `list-${letter}`);
    for (const key of keys) if ((await cluster.slotOwner(key)) === node) return key;
    throw new Error('no key is on that node');
  }

  it('MONITOR shows what all nodes do, until QUIT', async () => {
    const [client, other] = [await open(proxy), await open(proxy)];
    expect(await client.say('MONITOR')).toBe('+OK');
    await waitFor(async () => {
      const lists = await Promise.all(cluster.nodes.map((node) => node.call('CLIENT', 'LIST')));
      return lists.every((list) => String(list).includes('cmd=monitor'));
    });
    for (const key of ['a', 'b', 'c']) await other.say('SET', key, 'watched');
    const lines = await frames(client, 3);
    for (const key of ['a', 'b', 'c'])
      expect(lines.filter((line) => line.endsWith(`"SET" "${key}" "watched"`))).toHaveLength(1);
    expect(await client.say('QUIT')).toBe('+OK');
    expect((await client.rest()).length).toBe(0);
  });

  it('a client whose messages would come to a node that has left is disconnected', async () => {
    const added = await addMaster(cluster.nodes);
    servers.push(added);
    const all = [...cluster.nodes, added];
    const slot = Number(await added.call('CLUSTER', 'KEYSLOT', 'leaving'));
    const home = await cluster.slotOwner('leaving');
    await reshard(all, [slot, slot], home, added);
    const own = await startProxy({
      upstream: cluster.url,
      flags: { 'connect-timeout': '500', 'topology-interval': '100' },
    });
    servers.push({ stop: () => own.close() });
    const client = await open(own, 3);
    await told(client, 2, 'SSUBSCRIBE leaving', 'SUBSCRIBE plain');
    expect(await added.call('PUBSUB', 'CHANNELS')).toEqual(['plain']);
    await reshard(all, [slot, slot], added, home);
    await forget(added, cluster.nodes);
    expect((await client.rest()).toString()).toContain('sunsubscribe');
  });

  it('clients subscribe elsewhere while a node is away', async () => {
    await cluster.nodes[2].stop();
    await waitFor(async () => (await (await open(proxy)).say('GET', 'a')).startsWith('-'));
    for (let i = 0; i < 3; i++) {
      const client = await open(proxy);
      expect(await told(client, 1, 'SUBSCRIBE x')).toEqual(['*3 subscribe x :1']);
      expect(await client.say('UNSUBSCRIBE', 'x')).toMatch(/^\*3/);
      expect((await client.say('WAIT', '0', '0')).startsWith('-')).toBe(true);
    }
  });
});
