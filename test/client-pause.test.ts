// CLIENT PAUSE and UNPAUSE: the servers pause, and heatsink holds what they would hold, in order and on no lane.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

let redis: RedisProcess;
let proxy: RunningProxy;
const wires: Wire[] = [];

beforeAll(async () => {
  redis = await startRedis();
  proxy = await startProxy({ upstream: redis.url, flags: { 'hot-threshold': '1' } });
});

afterEach(async () => {
  await connect().say('CLIENT', 'UNPAUSE');
  for (const wire of wires.splice(0)) wire.close();
});

afterAll(async () => {
  await proxy.close();
  await redis.stop();
});

function connect(port = proxy.port): Wire {
  const wire = new Wire(port);
  wires.push(wire);
  return wire;
}

async function blocked(count: number, asks: Wire): Promise<void> {
  await waitFor(
    async () =>
      (await asks.say('CLIENT', 'LIST')).split('\n').filter((l) => / flags=\w*b/.test(l)).length === count,
  );
}

/** Sends the commands, each from a client of its own, and waits until all of them are held. */
async function held(asks: Wire, commands: string[][], port = proxy.port): Promise<Wire[]> {
  const clients: Wire[] = [];
  for (const command of commands) {
    const client = connect(port);
    clients.push(client);
    client.sendAll([command]);
    await blocked(clients.length, asks);
  }
  return clients;
}

async function answers(clients: Wire[]): Promise<string[]> {
  return Promise.all(clients.map(async (client) => (await client.replies(1))[0].toString().trim()));
}

describe('a pause of writes', () => {
  it('holds writes of all clients, in order, and lets reads pass on the same lane', async () => {
    const asks = connect();
    expect(await asks.say('CLIENT', 'PAUSE', '100000', 'WRITE')).toBe('+OK');
    const writers = await held(asks, [
      ['RPUSH', 'order', '1'],
      ['RPUSH', 'order', '2'],
      ['RPUSH', 'order', '3'],
      ['PFCOUNT', 'hll'],
      ['PUBLISH', 'c', 'm'],
      ['SPUBLISH', 'c', 'm'],
      ['EVAL', 'return 1', '0'],
      ['FLUSHALL'],
    ]);
    expect(await asks.say('LRANGE', 'order', '0', '-1')).toBe('*0');
    expect(await asks.say('EVAL_RO', 'return 1', '0')).toBe(':1');
    // Nobody waits in the server, and those whom heatsink holds are counted all the same.
    expect(await connect(redis.port).say('INFO', 'clients')).toContain('blocked_clients:0');
    expect(await connect().say('INFO', 'clients')).toContain(`blocked_clients:${writers.length}`);
    expect(await asks.say('CLIENT', 'UNPAUSE')).toBe('+OK');
    expect(await answers(writers)).toEqual([':1', ':2', ':3', ':0', ':0', ':0', ':1', '+OK']);
  });

  it('is known to the servers, so that direct clients and expiry wait, too', async () => {
    const asks = connect();
    await asks.say('CLIENT', 'PAUSE', '100000', 'WRITE');
    const direct = connect(redis.port);
    direct.sendAll([['SET', 'direct', '1']]);
    await waitFor(async () => /blocked_clients:1\r/.test(String(await redis.call('INFO', 'clients'))));
    await asks.say('CLIENT', 'UNPAUSE');
    expect(await answers([direct])).toEqual(['+OK']);
  });

  it('lets the server decide about scripts that may only read', async () => {
    const asks = connect();
    const sha = (await asks.say('SCRIPT', 'LOAD', '#!lua flags=no-writes\nreturn 2')).split('\r\n')[1];
    const library = `#!lua name=f\nredis.register_function{function_name='f1', callback=function() return 'hello' end, flags={'no-writes'}}`;
    await asks.say('FUNCTION', 'LOAD', 'REPLACE', library);
    await asks.say('CLIENT', 'PAUSE', '100000', 'WRITE');
    expect(await asks.say('EVAL', "#!lua flags=no-writes\nreturn 'x'", '0')).toBe('$1\r\nx');
    expect(await asks.say('EVALSHA', sha, '0')).toBe(':2');
    expect(await asks.say('FCALL', 'f1', '0')).toBe('$5\r\nhello');
    const [script] = await held(asks, [['EVAL', '#!lua\nreturn 12', '0']]);
    await asks.say('CLIENT', 'UNPAUSE');
    expect(await answers([script])).toEqual([':12']);
    expect(await script.say('PING')).toBe('+PONG');
  });

  it('holds EXEC of transactions that write, and no other', async () => {
    const [asks, writes, reads] = [connect(), connect(), connect()];
    writes.sendAll([['MULTI'], ['SET', 'exec', '1']]);
    await writes.replies(2);
    await asks.say('CLIENT', 'PAUSE', '100000', 'WRITE');
    reads.sendAll([
      ['MULTI'],
      ['PING'],
      ['GET', 'exec'],
      ['EVAL', '#!lua flags=no-writes\nreturn 12', '0'],
      ['EXEC'],
    ]);
    expect((await reads.replies(5))[4].toString()).toBe('*3\r\n+PONG\r\n$-1\r\n:12\r\n');
    writes.sendAll([['EXEC']]);
    await blocked(1, asks);
    await asks.say('CLIENT', 'UNPAUSE');
    expect(await answers([writes])).toEqual(['*1\r\n+OK']);
  });

  it('answers errors at once, in the words of the server', async () => {
    const [asks, direct] = [connect(), connect(redis.port)];
    await asks.say('CLIENT', 'PAUSE', '100000', 'WRITE');
    expect(await connect().say('SET', 'k')).toBe("-ERR wrong number of arguments for 'set' command");
    for (const line of ['PAUSE x', 'PAUSE -1', 'PAUSE 1 x', 'PAUSE', 'UNPAUSE x', 'PAUSE 1 ALL x']) {
      const words = line.split(' ');
      expect([line, await asks.say('CLIENT', ...words)]).toEqual([
        line,
        await direct.say('CLIENT', ...words),
      ]);
    }
  });

  it('begins at the end of a transaction that orders it', async () => {
    const asks = connect();
    asks.sendAll([
      ['MULTI'],
      ['SET', 'm:1', 'a'],
      ['CLIENT', 'PAUSE', '100000', 'WRITE'],
      ['SET', 'm:2', 'b'],
      ['EXEC'],
    ]);
    expect((await asks.replies(5))[4].toString()).toBe('*3\r\n+OK\r\n+OK\r\n+OK\r\n');
    const [writer] = await held(asks, [['SET', 'm:3', 'c']]);
    expect(await asks.say('MGET', 'm:1', 'm:2', 'm:3')).toBe('*3\r\n$1\r\na\r\n$1\r\nb\r\n$-1');
    asks.sendAll([['MULTI'], ['CLIENT', 'UNPAUSE'], ['EXEC']]);
    expect((await asks.replies(3))[2].toString()).toBe('*1\r\n+OK\r\n');
    expect(await answers([writer])).toEqual(['+OK']);
    asks.sendAll([['MULTI'], ['CLIENT', 'PAUSE', '10', 'ALL'], ['EXEC'], ['PING']]);
    expect((await asks.replies(4)).join('')).toBe('+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n+PONG\r\n');
  });

  it('forgets a held client that leaves', async () => {
    const asks = connect();
    await asks.say('CLIENT', 'PAUSE', '100000', 'WRITE');
    const [leaves, stays] = await held(asks, [
      ['SET', 'left', '1'],
      ['SET', 'stayed', '1'],
    ]);
    leaves.close();
    await blocked(1, asks);
    await asks.say('CLIENT', 'UNPAUSE');
    expect(await answers([stays])).toEqual(['+OK']);
    expect(await asks.say('EXISTS', 'left')).toBe(':0');
  });

  it('does not make hot keys wait for the server', async () => {
    const [asks, reads] = [connect(), connect()];
    await asks.say('SET', 'hot', '1');
    for (let i = 0; i < 20; i++) await reads.say('GET', 'hot');
    await asks.say('CLIENT', 'PAUSE', '100000', 'WRITE');
    expect(await reads.say('GET', 'hot')).toBe('$1\r\n1');
  });
});

describe('a pause of everything', () => {
  it('holds reads, answers from the tier, new clients and heatsink itself until its time is over', async () => {
    const [asks, reads] = [connect(), connect()];
    await asks.say('SET', 'all', '1');
    for (let i = 0; i < 20; i++) await reads.say('GET', 'all');
    asks.sendAll([
      ['CLIENT', 'PAUSE', '300'],
      ['CLIENT', 'ID'],
    ]);
    expect((await asks.replies(1))[0].toString()).toBe('+OK\r\n');
    const order: string[] = [];
    const waiters = [reads, connect(), connect()].map(async (wire, i) => {
      wire.sendAll([[['GET', 'all'], ['PING'], ['CLIENT', 'UNPAUSE']][i]]);
      order.push((await wire.replies(1))[0].toString());
    });
    await redis.call('PING').then(() => order.push('the server'));
    await Promise.all([...waiters, asks.replies(1)]);
    expect(order).toHaveLength(4);
    expect(order.sort()).toEqual(['$1\r\n1\r\n', '+OK\r\n', '+PONG\r\n', 'the server']);
  });

  it('is over when its time is, and can be over at once', async () => {
    const asks = connect();
    expect(await asks.say('CLIENT', 'PAUSE', '0')).toBe('+OK');
    expect(await asks.say('SET', 'k', '1')).toBe('+OK');
    expect(await asks.say('CLIENT', 'PAUSE', '30', 'WRITE')).toBe('+OK');
    expect(await asks.say('CLIENT', 'PAUSE', '10', 'ALL')).toBe('+OK');
    expect(await asks.say('SET', 'k', '2')).toBe('+OK');
  });
});

describe('on a cluster', () => {
  let cluster: Cluster;
  let clustered: RunningProxy;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3 });
    clustered = await startProxy({ upstream: cluster.url });
  });

  afterAll(async () => {
    await clustered.close();
    await cluster.stop();
  });

  it.each([
    [[['CLIENT', 'PAUSE', '100000', 'WRITE']]],
    [[['MULTI'], ['CLIENT', 'PAUSE', '100000', 'WRITE'], ['EXEC']]],
  ])('all masters pause, and go on together (%j)', async (commands) => {
    const asks = connect(clustered.port);
    asks.sendAll(commands);
    await asks.replies(commands.length);
    const writers = await held(
      asks,
      ['a', 'b', 'c'].map((key) => ['SET', key, '1']),
      clustered.port,
    );
    const direct = cluster.nodes.map((node) => connect(node.port));
    for (const [i, node] of cluster.nodes.entries()) {
      direct[i].sendAll([['PUBLISH', 'c', 'm']]);
      await waitFor(async () => /blocked_clients:1\r/.test(String(await node.call('INFO', 'clients'))));
    }
    expect(await asks.say('MGET', 'a', 'b', 'c')).toMatch(/^\*3/);
    expect(await asks.say('CLIENT', 'UNPAUSE')).toBe('+OK');
    expect(await answers(writers)).toEqual(['+OK', '+OK', '+OK']);
    expect(await answers(direct)).toEqual([':0', ':0', ':0']);
  });
});
