// MULTI, EXEC, DISCARD, WATCH and UNWATCH: as on one server, whatever else happens to keys, slots and connections.

import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import {
  type Cluster,
  cmdstat,
  type RedisProcess,
  startCluster,
  startRedis,
  waitFor,
} from './support/redis.ts';
import { beginSlotMove } from './support/slot-move.ts';
import { Wire } from './support/wire.ts';

type Command = readonly string[];

const ABORTED = '-EXECABORT Transaction discarded because of previous errors.';
const CROSSSLOT = "-CROSSSLOT Keys in request don't hash to the same slot";
const LOST =
  /^-ERR heatsink: the connection to .* broke before the reply; the command may have been executed$/;

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

/** The replies to commands that leave in one write, without their last line end. */
async function pipe(wire: Wire, ...commands: Command[]): Promise<string[]> {
  wire.sendAll(commands);
  return (await wire.replies(commands.length)).map((reply) => reply.toString('latin1').slice(0, -2));
}

const words = (line: string): Command => line.split(' ');
const queued = (count: number): string[] => Array(count).fill('+QUEUED');
const nothing = (protocol: 2 | 3): string => (protocol === 2 ? '*-1' : '_');

async function proxyTo(upstream: string, flags: Record<string, string> = {}): Promise<RunningProxy> {
  const proxy = await startProxy({ upstream, flags });
  servers.push({ stop: () => proxy.close() });
  return proxy;
}

/** How many connections the server has ever accepted. */
async function connections(redis: RedisProcess): Promise<number> {
  const stats = String(await redis.call('INFO', 'stats'));
  return Number(/total_connections_received:(\d+)/.exec(stats)?.[1]);
}

describe.each([2, 3] as const)('on one server in RESP%i', (protocol) => {
  let redis: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    redis = await startRedis();
    servers.push(redis);
    proxy = await proxyTo(redis.url, { 'hot-threshold': '2' });
  });

  it('a pipeline with a transaction in its middle is answered in order', async () => {
    const client = await open(proxy, protocol);
    const lines = [
      'SET p 1',
      'GET p',
      'MULTI',
      'INCR p',
      'GET p',
      'EXEC',
      'INCR p',
      'MULTI',
      'EXEC',
      'GET p',
    ];
    const inside = ['+OK', ...queued(2), '*2\r\n:2\r\n$1\r\n2'];
    const expected = ['+OK', '$1\r\n1', ...inside, ':3', '+OK', '*0', '$1\r\n3'];
    expect(await pipe(client, ...lines.map(words))).toEqual(expected);
  });

  it('misuse is answered in the words of a server, and leaves no trace', async () => {
    const direct = await open(redis, protocol);
    const client = await open(proxy, protocol);
    const scripts = [
      ['EXEC', 'DISCARD', 'UNWATCH', 'WATCH', 'MULTI x', 'MULTI', 'MULTI', 'WATCH k', 'GET k', 'EXEC'],
      ['MULTI', 'SET k', 'NOSUCH', 'SET k 1', 'EXEC', 'EXISTS k', 'EXEC'],
      ['MULTI', 'SET k 1', 'DISCARD', 'DISCARD', 'EXISTS k'],
      ['SET s text', 'MULTI', 'INCR s', 'SET k 1', 'LPUSH s x', 'EXEC', 'DEL k s'],
      ['WATCH k', 'UNWATCH', 'MULTI', 'UNWATCH', 'PING', 'EXEC x', 'EXEC', 'MULTI', 'UNWATCH', 'EXEC'],
      ['MULTI', 'BLPOP none 0', 'WAIT 0 0', 'XREAD BLOCK 0 STREAMS none $', 'EXEC'],
    ];
    for (const script of scripts) {
      const lines = script.map(words);
      expect(await pipe(client, ...lines)).toEqual(await pipe(direct, ...lines));
    }
  });

  it('a watched key that anybody changes, or that expires, lets EXEC do nothing', async () => {
    const client = await open(proxy, protocol);
    const other = await open(proxy);
    const changes: (() => Promise<unknown>)[] = [
      () => other.say('SET', 'w', 'other'),
      () => redis.call('SET', 'w', 'direct'),
      () => redis.call('FLUSHALL'),
      async () => (await redis.call('PEXPIRE', 'w', '1')) === 1 && sleep(20),
      () => client.say('SET', 'w', 'own'),
    ];
    for (const change of changes) {
      await redis.call('SET', 'w', 'begin');
      await redis.call('SET', 'v', 'begin');
      expect(await pipe(client, ['WATCH', 'v', 'w'], ['GET', 'w'])).toEqual(['+OK', '$5\r\nbegin']);
      await change();
      const done = await pipe(client, ['MULTI'], ['SET', 'v', 'done'], ['EXEC']);
      expect(done).toEqual(['+OK', '+QUEUED', nothing(protocol)]);
      expect(await redis.call('GET', 'v')).not.toBe('done');
    }
    // Unwatched, and by another transaction, it matters no more.
    for (const end of [[['UNWATCH']], [['MULTI'], ['DISCARD']], [['MULTI'], ['EXEC']]]) {
      await pipe(client, ['WATCH', 'w'], ...end);
      await other.say('SET', 'w', 'other');
      expect((await pipe(client, ['MULTI'], ['GET', 'w'], ['EXEC']))[2]).toBe('*1\r\n$5\r\nother');
    }
  });

  it('SELECT inside moves its client to that database once it is executed', async () => {
    const client = await open(proxy, protocol);
    await redis.call('SET', 'db', 'zero');
    const inside = ['MULTI', 'SELECT 3', 'SET db three', 'EXEC', 'GET db', 'MULTI', 'GET db', 'EXEC'];
    const replies = await pipe(client, ...inside.map(words));
    expect(replies.slice(3)).toEqual([
      '*2\r\n+OK\r\n+OK',
      '$5\r\nthree',
      '+OK',
      '+QUEUED',
      '*1\r\n$5\r\nthree',
    ]);
    await pipe(client, ...['SELECT 0', 'MULTI', 'SELECT 3', 'DISCARD'].map(words));
    expect(await client.say('GET', 'db')).toBe('$4\r\nzero');
    // The next user of the connection does not begin where that one was left.
    const next = await open(proxy, protocol);
    expect((await pipe(next, ['MULTI'], ['GET', 'db'], ['EXEC']))[2]).toBe('*1\r\n$4\r\nzero');
  });

  it('many commands, and replies of megabytes, come through', async () => {
    const client = await open(proxy, protocol);
    const value = 'v'.repeat(3_000_000);
    const sets = Array.from({ length: 2000 }, (_, i) => ['SET', `many${i}`, `${i}`]);
    const gets = sets.map(([, key]) => ['GET', key]);
    await client.say('SET', 'large', value);
    const replies = await pipe(client, ['MULTI'], ...sets, ...gets, ['GET', 'large'], ['EXEC'], ['PING']);
    const expected = [...sets.map(() => '+OK'), ...sets.map(([, , i]) => `$${i.length}\r\n${i}`)];
    expect(replies.at(-2) === ['*4001', ...expected, '$3000000', value].join('\r\n')).toBe(true);
    expect(replies.at(-1)).toBe('+PONG');
  });

  it('what it wrote is never served older to others, once EXEC was answered', async () => {
    const [writer, reader] = [await open(proxy, protocol), await open(proxy, protocol)];
    const script = "redis.call('set', KEYS[1], ARGV[1]) redis.call('incr', 'inner') return 1";
    const writes: ((value: string) => Command)[] = [
      (value) => ['SET', 'hot', value],
      (value) => ['EVAL', script, '1', 'hot', value],
      (value) => ['EVAL', "redis.call('set', 'hot', ARGV[1]) return 1", '0', value],
    ];
    const before = (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
    for (let i = 0; i < 150; i++) {
      for (let read = 0; read < 4; read++) await reader.say('GET', 'hot');
      await pipe(writer, ['MULTI'], writes[i % 3](`${i}`), ['EXEC']);
      expect(await reader.say('GET', 'hot')).toBe(`$${`${i}`.length}\r\n${i}`);
    }
    const after = (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
    expect(after).toBeGreaterThan(before);
  });

  it('reads between WATCH and EXEC come from the server, however hot', async () => {
    const [client, other] = [await open(proxy, protocol), await open(proxy, protocol)];
    await client.say('SET', 'warm', 'x');
    for (let i = 0; i < 50; i++) await other.say('GET', 'warm');
    const before = await cmdstat(redis, 'get');
    await client.say('WATCH', 'warm');
    for (let i = 0; i < 10; i++) expect(await client.say('GET', 'warm')).toBe('$1\r\nx');
    await pipe(client, ['MULTI'], ['GET', 'warm'], ['GET', 'warm'], ['EXEC']);
    expect((await cmdstat(redis, 'get')) - before).toBe(12);
  });

  it('its connection is used again, and keeps nothing of the client before', async () => {
    const used = [['WATCH', 'k'], ['MULTI'], ['SET', 'k', '1']];
    const ends = [['EXEC'], ['DISCARD'], ['UNWATCH']];
    const before = await connections(redis);
    for (let i = 0; i < 30; i++) {
      const next = await open(proxy, protocol);
      const begin = i % 3 === 2 ? used.slice(0, 1) : used;
      const reads = [['MULTI'], ['GET', 'k'], ['EXEC']];
      await redis.call('SET', 'k', '2');
      await pipe(next, ...begin);
      await pipe(next, ends[i % 3], ...(i % 2 ? reads : []));
      await redis.call('SET', 'k', '3');
      expect((await pipe(next, ...reads))[2]).toBe('*1\r\n$1\r\n3');
    }
    expect((await connections(redis)) - before).toBeLessThan(5);
    const other = await open(proxy, protocol);
    const seen = await pipe(other, ...['SELECT 2', 'MULTI', 'GET k', 'SET k db2', 'EXEC'].map(words));
    expect(seen[4]).toBe(`*2\r\n${protocol === 2 ? '$-1' : '_'}\r\n+OK`);
  });
});

describe('a transaction whose connection breaks', () => {
  let redis: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    redis = await startRedis();
    servers.push(redis);
    proxy = await proxyTo(redis.url);
  });

  /** Ends all connections of heatsink at the server. */
  const cut = () => redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

  it('does nothing when its keys were watched over it', async () => {
    const client = await open(proxy);
    expect(await pipe(client, ['WATCH', 'a'], ['GET', 'a'])).toEqual(['+OK', '$-1']);
    await cut();
    await sleep(50);
    const replies = await pipe(client, ['MULTI'], ['SET', 'a', '1'], ['EXEC'], ['EXISTS', 'a']);
    expect(replies).toEqual(['+OK', '+QUEUED', '*-1', ':0']);
  });

  it('fails as a whole when commands of it were queued', async () => {
    const client = await open(proxy);
    expect(await pipe(client, ['MULTI'], ['SET', 'a', '1'])).toEqual(['+OK', '+QUEUED']);
    await cut();
    await sleep(50);
    const replies = await pipe(client, ['SET', 'b', '1'], ['EXEC'], ['EXISTS', 'a', 'b'], ['EXEC']);
    expect(replies).toEqual(['+QUEUED', ABORTED, ':0', '-ERR EXEC without MULTI']);
  });

  it('says that it may have been executed when EXEC was on its way', async () => {
    const client = await open(proxy);
    await pipe(client, ['MULTI'], ['SET', 'a', '1'], ['INCR', 'a'], ['PING']);
    redis.kill('SIGSTOP');
    client.sendAll([['EXEC'], ['PING']]);
    await sleep(50);
    redis.kill('SIGKILL');
    const [exec, ping] = (await client.replies(2)).map((reply) => reply.toString().trim());
    expect(exec).toMatch(LOST);
    expect(ping).toMatch(/^-ERR heatsink: /);
    const [multi, set, end] = await pipe(client, ['MULTI'], ['SET', 'a', '1'], ['EXEC']);
    expect([multi, end]).toEqual(['+OK', expect.stringMatching(/^-(EXECABORT|ERR heatsink: cannot reach)/)]);
    expect(set).toMatch(/^-ERR heatsink: cannot reach .*; the command was not sent$/);
    const again = await startRedis({ port: redis.port });
    servers.push(again);
    const back = await waitFor(async () => {
      const replies = await pipe(client, ['MULTI'], ['INCR', 'a'], ['EXEC']);
      return replies[2].startsWith('*') && replies;
    });
    expect(back).toEqual(['+OK', '+QUEUED', '*1\r\n:1']);
  });
});

describe('on a cluster', () => {
  let cluster: Cluster;
  let proxy: RunningProxy;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3 });
    servers.push(cluster);
    proxy = await proxyTo(cluster.url);
  });

  it('keys of several slots are refused as a server of a cluster does', async () => {
    const client = await open(proxy);
    const apart = await pipe(
      client,
      ['MULTI'],
      ['SET', 'a', '1'],
      ['SET', 'b', '1'],
      ['EXEC'],
      ['EXISTS', 'a'],
    );
    expect(apart).toEqual(['+OK', '+QUEUED', CROSSSLOT, ABORTED, ':0']);
    const watched = await pipe(client, ['WATCH', 'a'], ['WATCH', 'b'], ['WATCH', '{c}1', 'd'], ['UNWATCH']);
    expect(watched).toEqual(['+OK', CROSSSLOT, CROSSSLOT, '+OK']);
    const elsewhere = await pipe(
      client,
      ['WATCH', 'a'],
      ['MULTI'],
      ['SET', 'b', '1'],
      ['EXEC'],
      ['DEL', 'b'],
    );
    expect(elsewhere).toEqual(['+OK', '+OK', CROSSSLOT, ABORTED, ':0']);
  });

  it('commands without keys wait for the node of the first key, or need none', async () => {
    const client = await open(proxy, 3);
    const inside = [['MULTI'], ['ECHO', 'hi'], ['PUBLISH', 'x', 'y'], ['SET', 'a', '1'], ['EXEC']];
    expect(await pipe(client, ...inside)).toEqual(['+OK', ...queued(3), '*3\r\n$2\r\nhi\r\n:0\r\n+OK']);
    expect(await pipe(client, ['MULTI'], ['PING'], ['EXEC'])).toEqual(['+OK', '+QUEUED', '*1\r\n+PONG']);
    const wrong = await pipe(client, ['MULTI'], ['ECHO', 'hi'], ['NOSUCH'], ['SET', 'a', '2'], ['EXEC']);
    expect(wrong[2]).toMatch(/^-ERR unknown command/);
    expect([wrong[4], await client.say('GET', 'a')]).toEqual([ABORTED, '$1\r\n1']);
  });

  it('nothing is lost of commands without keys that are too long to keep', async () => {
    const client = await open(proxy);
    const long = 'x'.repeat(600_000);
    const echoes = [
      ['ECHO', long],
      ['ECHO', long],
      ['ECHO', 'last'],
    ];
    const replies = await pipe(client, ['MULTI'], ...echoes, ['EXEC']);
    const expected = `*3\r\n$600000\r\n${long}\r\n$600000\r\n${long}\r\n$4\r\nlast`;
    expect(replies[4] === expected).toBe(true);
  });

  it('ioredis has its transactions, with the replies of each', async () => {
    const redis = new Redis(proxy.port);
    const done = await redis.multi().set('{t}a', '1').incr('{t}a').mget('{t}a', '{t}b').exec();
    expect(done?.map(([, reply]) => reply)).toEqual(['OK', 2, ['2', null]]);
    redis.disconnect();
  });

  describe('while slots move', () => {
    it('is executed once, by the new owner', async () => {
      const client = await open(proxy);
      const key = '{gone}n';
      await client.say('SET', key, '0');
      const move = await beginSlotMove(cluster, key);
      await move.migrate();
      await move.finish();
      const replies = await pipe(client, ['MULTI'], ['INCR', key], ['GET', key], ['EXEC'], ['GET', key]);
      expect(replies).toEqual(['+OK', ...queued(2), '*2\r\n:1\r\n$1\r\n1', '$1\r\n1']);
    });

    it('follows a slot that moves before EXEC', async () => {
      const client = await open(proxy);
      const key = '{between}n';
      await client.say('SET', key, '0');
      const move = await beginSlotMove(cluster, key);
      expect(await pipe(client, ['MULTI'], ['INCR', key], ['INCR', key])).toEqual(['+OK', ...queued(2)]);
      await move.migrate();
      expect(await pipe(client, ['EXEC'], ['GET', key])).toEqual(['*2\r\n:1\r\n:2', '$1\r\n2']);
      await pipe(client, ['MULTI'], ['INCR', key]);
      await move.finish();
      expect(await pipe(client, ['EXEC'], ['GET', key])).toEqual(['*1\r\n:3', '$1\r\n3']);
      expect(await move.target.call('GET', key)).toBe('3');
    });

    it('waits while its keys lie on both sides', async () => {
      const client = await open(proxy);
      const [here, there] = ['{both}a', '{both}b'];
      await pipe(client, ['SET', here, '1'], ['SET', there, '1']);
      const move = await beginSlotMove(cluster, here);
      await move.migrate(there);
      const done = pipe(client, ['MULTI'], ['INCR', here], ['INCR', there], ['EXEC'], ['MGET', here, there]);
      const moved = async () => (await proxy.metrics()).sum('heatsink_redirects_total', { kind: 'moved' });
      const before = await moved();
      expect(await Promise.race([done, sleep(150, 'waits')])).toBe('waits');
      // It is not sent to and fro.
      expect(await moved()).toBe(before);
      await move.migrate();
      expect((await done).slice(3)).toEqual(['*2\r\n:2\r\n:2', '*2\r\n$1\r\n2\r\n$1\r\n2']);
      await move.finish();
    });

    it('does nothing with keys watched before', async () => {
      const client = await open(proxy);
      const key = '{seen}n';
      await client.say('SET', key, '0');
      await client.say('WATCH', key);
      const move = await beginSlotMove(cluster, key);
      await move.migrate();
      expect(await pipe(client, ['MULTI'], ['INCR', key], ['EXEC'])).toEqual(['+OK', '+QUEUED', '*-1']);
      await client.say('WATCH', key);
      await move.finish();
      expect(await pipe(client, ['MULTI'], ['INCR', key], ['EXEC'])).toEqual(['+OK', '+QUEUED', '*-1']);
      expect(await client.say('GET', key)).toBe('$1\r\n0');
    });

    it('watches at the new owner what has moved before', async () => {
      const client = await open(proxy);
      const key = '{rewatched}n';
      await client.say('SET', key, '0');
      const move = await beginSlotMove(cluster, key);
      await move.migrate();
      await move.finish();
      const shared = async () =>
        String(await move.target.call('CLIENT', 'LIST'))
          .split('\n')
          .filter((line) => / watch=[1-9]/.test(line)).length;
      expect(await client.say('WATCH', key)).toBe('+OK');
      const replies = await pipe(client, ['GET', key], ['MULTI'], ['INCR', key], ['EXEC']);
      expect(replies).toEqual(['$1\r\n0', '+OK', '+QUEUED', '*1\r\n:1']);
      expect(await shared()).toBe(0);
    });
  });
});
