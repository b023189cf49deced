// CLIENT LIST, INFO, KILL, UNBLOCK, REPLY and NO-EVICT: heatsink's own clients, in the words of a server.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

let redis: RedisProcess;
let proxy: RunningProxy;
const wires: Wire[] = [];

beforeAll(async () => {
  redis = await startRedis();
  proxy = await startProxy({ upstream: redis.url });
});

afterEach(async () => {
  for (const wire of wires.splice(0)) wire.close();
  const watcher = new Wire(proxy.port);
  await waitFor(async () => (await lines(watcher)).length === 1);
  watcher.close();
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

/** The lines of CLIENT LIST, as their fields. */
async function lines(wire: Wire, ...args: string[]): Promise<Record<string, string>[]> {
  const reply = await wire.say('CLIENT', 'LIST', ...args);
  const text = reply.slice(reply.indexOf('\r\n') + 2).replace(/^txt:/, '');
  return text
    .split('\n')
    .filter((line) => line.startsWith('id='))
    .map((line) =>
      Object.fromEntries(line.split(' ').map((field) => field.split(/=(.*)/, 2) as [string, string])),
    );
}

async function lineOf(asks: Wire, id: string): Promise<Record<string, string>> {
  return (await lines(asks, 'ID', id))[0];
}

async function idOf(wire: Wire): Promise<string> {
  return (await wire.say('CLIENT', 'ID')).slice(1);
}

describe('CLIENT LIST', () => {
  it('has the fields of a server in their order, and those of a newer one behind them', async () => {
    const fields = async (port: number) => Object.keys((await lines(connect(port)))[0]);
    expect(await fields(proxy.port)).toEqual([...(await fields(redis.port)), 'lib-name', 'lib-ver']);
  });

  it('and CLIENT INFO say what is true of the client that asks', async () => {
    const client = await Wire.open(proxy.port, 3);
    wires.push(client);
    await client.say('CLIENT', 'SETNAME', 'me');
    await client.say('SELECT', '3');
    await client.say('CLIENT', 'NO-EVICT', 'on');
    const { localAddress, localPort } = client.socket;
    const known = {
      id: await idOf(client),
      addr: `${localAddress}:${localPort}`,
      laddr: `127.0.0.1:${proxy.port}`,
      name: 'me',
      idle: '0',
      flags: 'e',
      db: '3',
      multi: '-1',
      qbuf: '26',
      events: 'r',
      user: 'default',
      redir: '-1',
      resp: '3',
    };
    const [listed] = await lines(client);
    expect(listed).toMatchObject({ ...known, cmd: 'client|list' });
    expect(Number(listed.fd)).toBeGreaterThan(0);
    expect(await client.say('CLIENT', 'INFO')).toMatch(/^=\d+\r\ntxt:id=\d+ addr=.* cmd=client\|info .*\n$/);
  });

  it('shows transactions, subscriptions, blocked clients, tracking and MONITOR', async () => {
    const asks = connect();
    const states: [string[][], Record<string, string>][] = [
      [[['MULTI'], ['SET', 'k', 'v'], ['GET', 'k']], { flags: 'x', multi: '2', cmd: 'get' }],
      [[['SUBSCRIBE', 'a', 'b']], { flags: 'P', sub: '2', psub: '0', ssub: '0', cmd: 'subscribe' }],
      [[['PSUBSCRIBE', 'a*']], { flags: 'P', psub: '1' }],
      [[['SSUBSCRIBE', 's']], { flags: 'P', ssub: '1' }],
      [[['BLPOP', 'nothing', '0'], ['PING']], { flags: 'b', cmd: 'blpop' }],
      [[['CLIENT', 'TRACKING', 'ON', 'BCAST']], { flags: 'tB', redir: '0', cmd: 'client|tracking' }],
      [[['MONITOR']], { flags: 'O', cmd: 'monitor' }],
      [[['NONSENSE']], { flags: 'N', cmd: 'NULL' }],
    ];
    for (const [commands, expected] of states) {
      const client = connect();
      const id = await idOf(client);
      client.sendAll(commands);
      await waitFor(
        async () => (await lineOf(asks, id)).cmd === (expected.cmd ?? commands[0][0].toLowerCase()),
      );
      await waitFor(async () => (await lineOf(asks, id)).flags === expected.flags);
      expect(await lineOf(asks, id)).toMatchObject(expected);
      client.close();
    }
  });

  it('finds clients by type and by id, and tells wrong words as a server does', async () => {
    const subscriber = connect();
    await subscriber.say('SUBSCRIBE', 'a');
    const asks = connect();
    const id = await idOf(asks);
    expect(await lines(asks, 'TYPE', 'pubsub')).toMatchObject([{ sub: '1' }]);
    expect(await lines(asks, 'TYPE', 'normal')).toMatchObject([{ id }]);
    expect(await lines(asks, 'TYPE', 'replica')).toEqual([]);
    expect(await lines(asks, 'ID', id, '999999', id)).toMatchObject([{ id }, { id }]);
    const direct = connect(redis.port);
    const wrong = [
      'LIST TYPE x',
      'LIST ID x',
      'LIST x',
      'LIST ID',
      'LIST TYPE normal ID 1',
      'INFO x',
      'NO-EVICT x',
    ];
    for (const line of [
      ...wrong,
      'NO-EVICT',
      'REPLY x',
      'REPLY',
      'UNBLOCK x',
      'UNBLOCK 1 x',
      'UNBLOCK',
      'HELP',
    ]) {
      const words = line.split(' ');
      expect([line, await asks.say('CLIENT', ...words)]).toEqual([
        line,
        await direct.say('CLIENT', ...words),
      ]);
    }
  });
});

describe('CLIENT KILL', () => {
  it('closes clients by address, id and type, and counts them', async () => {
    const asks = connect();
    const [first, second, subscriber] = [connect(), connect(), connect()];
    await subscriber.say('SUBSCRIBE', 'a');
    await first.say('PING');
    const { localPort } = first.socket;
    expect(await asks.say('CLIENT', 'KILL', `127.0.0.1:${localPort}`)).toBe('+OK');
    expect(await asks.say('CLIENT', 'KILL', `127.0.0.1:${localPort}`)).toBe('-ERR No such client');
    expect(await asks.say('CLIENT', 'KILL', 'ID', await idOf(second))).toBe(':1');
    expect(await asks.say('CLIENT', 'KILL', 'TYPE', 'pubsub', 'USER', 'default')).toBe(':1');
    expect(await asks.say('CLIENT', 'KILL', 'LADDR', '127.0.0.1:1')).toBe(':0');
    for (const wire of [first, second, subscriber]) await wire.rest();
    expect(await lines(asks)).toHaveLength(1);
  });

  it('ends a client that waits for a list, and leaves the list alone', async () => {
    const waits = connect();
    const id = await idOf(waits);
    waits.sendAll([['BLPOP', 'kill:list', '0']]);
    await waitFor(async () => /blocked_clients:1\r/.test(String(await redis.call('INFO', 'clients'))));
    const asks = connect();
    expect(await asks.say('CLIENT', 'KILL', 'ID', id)).toBe(':1');
    await waitFor(async () => /blocked_clients:0\r/.test(String(await redis.call('INFO', 'clients'))));
    expect(await asks.say('RPUSH', 'kill:list', 'x')).toBe(':1');
  });

  it('of the client itself answers first, and spares it unless told otherwise', async () => {
    const others = [connect(), connect()];
    for (const other of others) await other.say('PING');
    const asks = connect();
    expect(await asks.say('CLIENT', 'KILL', 'SKIPME', 'yes')).toBe(':2');
    expect(await asks.say('CLIENT', 'KILL', 'SKIPME', 'no')).toBe(':1');
    expect((await asks.rest()).length).toBe(0);
    const itself = connect();
    await itself.say('PING');
    expect(await itself.say('CLIENT', 'KILL', `127.0.0.1:${itself.socket.localPort}`)).toBe('+OK');
    expect((await itself.rest()).length).toBe(0);
  });

  it('tells wrong words as a server does', async () => {
    const [asks, direct] = [connect(), connect(redis.port)];
    const wrong = [
      '',
      'ID 10 x',
      'ID x',
      'ID -1',
      'ID 0',
      'TYPE x',
      'USER x',
      'SKIPME x',
      'x y',
      'MAXAGE 1',
      'a',
    ];
    for (const line of wrong) {
      const words = ['CLIENT', 'KILL', ...line.split(' ').filter((word) => word !== '')];
      expect([line, await asks.say(...words)]).toEqual([line, await direct.say(...words)]);
    }
  });
});

describe('CLIENT UNBLOCK', () => {
  it('ends the wait of another client with a timeout or an error', async () => {
    const [waits, asks] = [connect(), connect()];
    const id = await idOf(waits);
    expect(await asks.say('CLIENT', 'UNBLOCK', id)).toBe(':0');
    const cases: [string[], string[], string][] = [
      [['BLPOP', 'unblock:list', '0'], [], '*-1'],
      [['BLPOP', 'unblock:list', '0'], ['TIMEOUT'], '*-1'],
      [
        ['XREAD', 'BLOCK', '0', 'STREAMS', 'unblock:s', '$'],
        ['error'],
        '-UNBLOCKED client unblocked via CLIENT UNBLOCK',
      ],
      [['WAIT', '5', '0'], [], ':0'],
    ];
    for (const [command, reason, reply] of cases) {
      waits.sendAll([command]);
      await waitFor(async () => (await lineOf(asks, id)).flags === 'b');
      expect([command, await asks.say('CLIENT', 'UNBLOCK', id, ...reason)]).toEqual([command, ':1']);
      expect((await waits.replies(1))[0].toString().trim()).toBe(reply);
    }
    expect(await asks.say('CLIENT', 'UNBLOCK', id)).toBe(':0');
    expect(await asks.say('CLIENT', 'UNBLOCK', '999999')).toBe(':0');
    expect(await waits.say('PING')).toBe('+PONG');
  });
});

describe('CLIENT REPLY', () => {
  it('OFF silences all until ON, and SKIP one reply', async () => {
    const client = connect();
    client.sendAll([
      ['CLIENT', 'REPLY', 'OFF'],
      ['PING'],
      ['SET', 'r', '1'],
      ['GET', 'r'],
      ['NONSENSE'],
      ['CLIENT', 'REPLY', 'SKIP'],
      ['CLIENT', 'REPLY', 'ON'],
      ['CLIENT', 'REPLY', 'SKIP'],
      ['GET', 'r'],
      ['CLIENT', 'REPLY', 'SKIP'],
      ['MGET', 'r', 'r'],
      ['INCR', 'r'],
      ['CLIENT', 'REPLY', 'SKIP'],
      ['CLIENT', 'REPLY', 'ON'],
      ['PING', 'end'],
    ]);
    const replies = (await client.replies(4)).map(String);
    expect(replies).toEqual(['+OK\r\n', ':2\r\n', '+OK\r\n', '$3\r\nend\r\n']);
  });

  it('keeps neither confirmations nor messages nor invalidations back', async () => {
    const subscriber = await Wire.open(proxy.port, 3);
    const writer = connect();
    wires.push(subscriber);
    subscriber.sendAll([
      ['CLIENT', 'REPLY', 'OFF'],
      ['SUBSCRIBE', 'a', 'b'],
      ['PING', 'unheard'],
    ]);
    expect((await subscriber.replies(2)).map((reply) => reply.toString().slice(-4))).toEqual([
      ':1\r\n',
      ':2\r\n',
    ]);
    expect(await writer.say('PUBLISH', 'b', 'm')).toBe(':1');
    expect((await subscriber.replies(1)).join()).toContain('message');
    subscriber.sendAll([
      ['CLIENT', 'REPLY', 'ON'],
      ['CLIENT', 'REPLY', 'SKIP'],
      ['UNSUBSCRIBE', 'a'],
      ['PING', 'heard'],
    ]);
    const [on, unsubscribed, pong] = (await subscriber.replies(3)).map(String);
    expect([on, pong]).toEqual(['+OK\r\n', '$5\r\nheard\r\n']);
    expect(unsubscribed).toContain('unsubscribe');
    const tracked = await Wire.open(proxy.port, 3);
    wires.push(tracked);
    await tracked.say('CLIENT', 'TRACKING', 'ON');
    await tracked.say('GET', 'reply:k');
    tracked.sendAll([
      ['CLIENT', 'REPLY', 'OFF'],
      ['GET', 'reply:k'],
    ]);
    await writer.say('SET', 'reply:k', '1');
    expect((await tracked.replies(1)).join()).toContain('invalidate');
  });
});
