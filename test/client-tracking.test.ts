// CLIENT TRACKING of clients' own: invalidations come to whom the client named, in its protocol, from every master.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const CHANNEL = '__redis__:invalidate';
/** One key of each master of three. */
const KEYS = ['a', 'b', 'c'];

const wires: Wire[] = [];

afterEach(() => {
  for (const wire of wires.splice(0)) wire.close();
});

async function open(port: number, protocol: 2 | 3): Promise<Wire> {
  const wire = await Wire.open(port, protocol);
  wires.push(wire);
  return wire;
}

/** The keys of the next invalidation, `null` for all; a marker behind it shows that nothing came before. */
async function invalidated(wire: Wire): Promise<string> {
  const [message] = await wire.replies(1);
  const words = message.toString().split('\r\n');
  expect(message.toString()).toMatch(/^(>2\r\n\$10\r\ninvalidate|\*3\r\n\$7\r\nmessage)/);
  return words
    .filter((word, i) => /^\$\d/.test(words[i - 1] ?? '') && !/invalidate|message/.test(word))
    .join(' ');
}

describe('on one server', () => {
  let redis: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    redis = await startRedis();
    proxy = await startProxy({ upstream: redis.url, flags: { 'hot-threshold': '1' } });
  });

  afterAll(async () => {
    await proxy.close();
    await redis.stop();
  });

  /** A RESP2 client that gets the invalidations of others, and its id. */
  async function redirection(): Promise<[Wire, string]> {
    const wire = await open(proxy.port, 2);
    const id = (await wire.say('CLIENT', 'ID')).slice(1);
    await wire.say('SUBSCRIBE', CHANNEL);
    return [wire, id];
  }

  it('a RESP2 client has its invalidations sent to another client', async () => {
    const [target, id] = await redirection();
    const [reader, writer] = [await open(proxy.port, 2), await open(proxy.port, 2)];
    expect(await reader.say('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id)).toBe('+OK');
    await reader.say('GET', 'a');
    await writer.say('MSET', 'unread', '1', 'a', '1');
    expect(await invalidated(target)).toBe('a');
    expect(await reader.say('GET', 'a')).toBe('$1\r\n1');
    await writer.say('FLUSHALL');
    expect((await target.replies(1)).join()).toMatch(/(\*|\$)-1\r\n$/);
    expect(await reader.say('CLIENT', 'GETREDIR')).toBe(`:${id}`);
    expect(await reader.say('CLIENT', 'TRACKINGINFO')).toContain(`:${id}\r\n`);
    expect(await reader.say('CLIENT', 'TRACKING', 'OFF')).toBe('+OK');
    expect(await reader.say('CLIENT', 'GETREDIR')).toBe(':-1');
    expect(await reader.say('CLIENT', 'TRACKING', 'ON', 'REDIRECT', '999999')).toBe(
      '-ERR The client ID you want redirect to does not exist',
    );
  });

  it('a RESP3 client gets them itself, and one that subscribed in RESP3 gets them in RESP2 later', async () => {
    const [reader, target] = [await open(proxy.port, 3), await open(proxy.port, 3)];
    const writer = await open(proxy.port, 2);
    await reader.say('CLIENT', 'TRACKING', 'ON');
    await reader.say('GET', 'a');
    await writer.say('SET', 'a', '1');
    expect(await invalidated(reader)).toBe('a');
    const id = (await target.say('CLIENT', 'ID')).slice(1);
    expect(await reader.say('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id)).toBe('+OK');
    await reader.say('GET', 'a');
    await writer.say('SET', 'a', '2');
    expect(await invalidated(target)).toBe('a');
    await target.say('SUBSCRIBE', CHANNEL);
    for (const protocol of ['3', '2']) {
      await target.say('HELLO', protocol);
      await reader.say('GET', 'a');
      await writer.say('SET', 'a', protocol);
      expect(await invalidated(target)).toBe('a');
    }
    target.close();
    await reader.say('GET', 'a');
    await writer.say('SET', 'a', '9');
    expect((await reader.replies(1)).join()).toContain('tracking-redir-broken');
    expect(await reader.say('CLIENT', 'TRACKINGINFO')).toContain('broken_redirect');
  });

  it('BCAST tells of prefixes, to which more may be added, and NOLOOP not of its own writes', async () => {
    const [reader, writer] = [await open(proxy.port, 3), await open(proxy.port, 2)];
    await reader.say('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', 'p:', 'NOLOOP');
    await reader.say('SET', 'p:own', '1');
    await writer.say('SET', 'other', '1');
    await writer.say('SET', 'p:1', '1');
    expect(await invalidated(reader)).toBe('p:1');
    await reader.say('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', 'q:', 'NOLOOP');
    await writer.say('SET', 'p:2', '1');
    await writer.say('SET', 'q:2', '1');
    expect([await invalidated(reader), await invalidated(reader)]).toEqual(['p:2', 'q:2']);
    expect(await reader.say('CLIENT', 'TRACKINGINFO')).toMatch(/bcast.*noloop.*:0\r\n/s);
  });

  it.each([
    ['OPTIN', 'YES', true],
    ['OPTOUT', 'NO', false],
  ] as const)('%s leaves it to CLIENT CACHING %s, for the next command', async (option, word, tells) => {
    const [reader, writer] = [await open(proxy.port, 3), await open(proxy.port, 2)];
    await reader.say('CLIENT', 'TRACKING', 'ON', option);
    reader.sendAll([
      ['CLIENT', 'CACHING', word],
      ['GET', 'chosen'],
      ['GET', 'usual'],
    ]);
    await reader.replies(3);
    await writer.say('SET', 'chosen', '1');
    await writer.say('SET', 'usual', '1');
    expect(await invalidated(reader)).toBe(tells ? 'chosen' : 'usual');
    expect(await reader.say('PING')).toBe('+PONG');
  });

  it('wrong words are told as a server does', async () => {
    const pairs = [await open(proxy.port, 3), await open(redis.port, 3)];
    const lines = [
      ...['TRACKING', 'TRACKING x', 'TRACKING ON x', 'TRACKING ON REDIRECT x', 'TRACKING ON PREFIX a'],
      ...['TRACKING ON BCAST OPTIN', 'TRACKING ON OPTIN OPTOUT', 'CACHING YES', 'TRACKING ON OPTIN'],
      ...['TRACKING ON OPTOUT', 'CACHING NO', 'CACHING x', 'TRACKING ON BCAST', 'GETREDIR', 'TRACKINGINFO'],
      ...[
        'TRACKING ON REDIRECT 0',
        'TRACKING OFF',
        'GETREDIR',
        'TRACKINGINFO',
        'TRACKING ON BCAST PREFIX a PREFIX ab',
      ],
    ];
    for (const line of lines) {
      const [own, direct] = await Promise.all(pairs.map((wire) => wire.say('CLIENT', ...line.split(' '))));
      expect([line, own]).toEqual([line, direct]);
    }
  });
});

describe('on a cluster', () => {
  let cluster: Cluster;
  let proxy: RunningProxy;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3 });
    proxy = await startProxy({ upstream: cluster.url });
  });

  afterAll(async () => {
    await proxy.close();
    await cluster.stop();
  });

  it('a RESP3 client is told by every master that it read from, and with BCAST by all', async () => {
    const [reader, broadcast] = [await open(proxy.port, 3), await open(proxy.port, 3)];
    const writer = await open(proxy.port, 2);
    await reader.say('CLIENT', 'TRACKING', 'ON');
    await broadcast.say('CLIENT', 'TRACKING', 'ON', 'BCAST');
    expect(new Set(await Promise.all(KEYS.map((key) => cluster.slotOwner(key)))).size).toBe(3);
    for (const key of KEYS) {
      await reader.say('GET', key);
      await writer.say('SET', key, '1');
      expect([await invalidated(reader), await invalidated(broadcast)]).toEqual([key, key]);
    }
    expect(await reader.say('CLIENT', 'TRACKING', 'ON', 'REDIRECT', '1')).toMatch(
      /^-ERR heatsink: on a cluster/,
    );
  });

  it('CLIENT CACHING is for the next command, wherever that goes', async () => {
    const [reader, writer] = [await open(proxy.port, 3), await open(proxy.port, 2)];
    await reader.say('CLIENT', 'TRACKING', 'ON', 'OPTIN');
    expect(await reader.say('CLIENT', 'CACHING', 'NO')).toMatch(/^-ERR CLIENT CACHING NO is only valid/);
    for (const key of KEYS) {
      reader.sendAll([
        ['CLIENT', 'CACHING', 'YES'],
        ['GET', key],
        ...KEYS.filter((other) => other !== key).map((other) => ['GET', other]),
      ]);
      await reader.replies(4);
      for (const other of KEYS) if (other !== key) await writer.say('SET', other, '1');
      await writer.say('SET', key, '1');
      expect(await invalidated(reader)).toBe(key);
    }
    reader.sendAll([['CLIENT', 'CACHING', 'YES'], ['MGET', ...KEYS], ['PING']]);
    await reader.replies(3);
    for (const key of KEYS) {
      await writer.say('SET', key, '2');
      expect(await invalidated(reader)).toBe(key);
    }
    reader.sendAll([['CLIENT', 'CACHING', 'YES'], ['MULTI'], ['GET', 'a'], ['EXEC'], ['GET', 'b']]);
    await reader.replies(5);
    await writer.say('SET', 'b', '3');
    await writer.say('SET', 'a', '3');
    expect(await invalidated(reader)).toBe('a');
  });
});
