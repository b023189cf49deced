// Commands that wait: served, timed out, moved and abandoned as on one server, and nobody else waits with them.

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

async function proxyTo(upstream: string, flags: Record<string, string> = {}): Promise<RunningProxy> {
  const proxy = await startProxy({ upstream, flags });
  servers.push({ stop: () => proxy.close() });
  return proxy;
}

const words = (line: string): string[] => line.split(' ');

/** The next replies, with blanks for the ends of lines and without lengths of strings. */
async function frames(wire: Wire, count: number): Promise<string[]> {
  return (await wire.replies(count)).map((frame) =>
    frame
      .toString('latin1')
      .replace(/\$\d+\r\n/g, '')
      .trim()
      .replace(/\r\n/g, ' '),
  );
}

/** How many clients wait at that server. */
async function blockedAt(redis: RedisProcess): Promise<number> {
  return Number(/blocked_clients:(\d+)/.exec(String(await redis.call('INFO', 'clients')))?.[1]);
}

const waitsAt = (redis: RedisProcess, count = 1) => waitFor(async () => (await blockedAt(redis)) === count);

describe.each([2, 3] as const)('on one server in RESP%i', (protocol) => {
  let redis: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    redis = await startRedis();
    servers.push(redis);
    proxy = await proxyTo(redis.url, { 'hot-threshold': '2' });
  });

  it('every command that waits is served by what another client adds', async () => {
    const [client, other] = [await open(proxy, protocol), await open(proxy)];
    await redis.call('XGROUP', 'CREATE', 'group', 'g', '$', 'MKSTREAM');
    const cases = [
      ['BLPOP none q 0', 'RPUSH q x', '*2 q x'],
      ['BRPOP q 5', 'RPUSH q x y', '*2 q y'],
      ['BLMOVE src dst LEFT RIGHT 0', 'RPUSH src x', 'x'],
      ['BRPOPLPUSH src dst 0', 'RPUSH src y', 'y'],
      ['BZPOPMIN z 0', 'ZADD z 1 m', protocol === 2 ? '*3 z m 1' : '*3 z m ,1'],
      ['BZPOPMAX z 0', 'ZADD z 1 m 2 n', protocol === 2 ? '*3 z n 2' : '*3 z n ,2'],
      ['BLMPOP 0 2 none l LEFT COUNT 2', 'RPUSH l 1 2 3', '*2 l *2 1 2'],
      ['BZMPOP 0 1 zz MIN', 'ZADD zz 1 m', `*2 zz *1 *2 m ${protocol === 2 ? '1' : ',1'}`],
      [
        'XREAD BLOCK 0 STREAMS s $',
        'XADD s 1-1 f v',
        `${protocol === 2 ? '*1 *2' : '%1'} s *1 *2 1-1 *2 f v`,
      ],
      [
        'XREADGROUP GROUP g me COUNT 1 BLOCK 0 STREAMS group >',
        'XADD group 1-1 f v',
        `${protocol === 2 ? '*1 *2' : '%1'} group *1 *2 1-1 *2 f v`,
      ],
    ];
    for (const [waiting, adding, reply] of cases) {
      // What is sent behind it waits, too, and is answered in order.
      client.sendAll([words(waiting), ['ECHO', 'behind'], ['INCR', 'n'], ['ECHO', 'last']]);
      await waitsAt(redis);
      await other.ask(...words(adding));
      const [first, behind, , last] = await frames(client, 4);
      expect([waiting, first, behind, last]).toEqual([waiting, reply, 'behind', 'last']);
      await redis.call('DEL', 'q', 'z');
    }
  });

  it('timeouts, errors and what is there already are answered as by a server', async () => {
    const [client, direct] = [await open(proxy, protocol), await open(redis, protocol)];
    await redis.call('SET', 'text', 'x');
    const lines = [
      ...[
        'BLPOP none 0.02',
        'BLMOVE none dst LEFT LEFT 0.02',
        'BZPOPMIN none 0.02',
        'XREAD BLOCK 20 STREAMS s2 $',
      ],
      ...[
        'BLPOP text 0',
        'BLPOP none -1',
        'BLPOP none x',
        'BLPOP none',
        'BLMPOP 0 0 none LEFT',
        'XREAD BLOCK x STREAMS s 0',
      ],
      ...['RPUSH there a', 'BLPOP none there 0', 'XREAD STREAMS none 0', 'LPOP there'],
      ...['MULTI', 'BLPOP none 0', 'BLMOVE none dst LEFT LEFT 0', 'EXEC', 'WAIT 0 0', 'WAIT 1 10'],
    ];
    for (const line of lines) {
      const expected = await direct.say(...words(line));
      if (line === 'RPUSH there a') await redis.call('DEL', 'there');
      expect([line, await client.say(...words(line))]).toEqual([line, expected]);
      if (line === 'RPUSH there a') await redis.call('RPUSH', 'there', 'a');
    }
  });

  it('a client that leaves takes nothing any more', async () => {
    const leave: ((wire: Wire) => unknown)[] = [
      (wire) => wire.end(),
      (wire) => wire.close(),
      (wire) => wire.socket.resetAndDestroy(),
    ];
    for (const go of leave) {
      const client = await open(proxy, protocol);
      client.sendAll([
        ['BLPOP', 'left', '0'],
        ['SET', 'behind', 'x'],
      ]);
      await waitsAt(redis);
      go(client);
      await waitsAt(redis, 0);
    }
    // What it took before it left is not lost.
    for (let i = 0; i < 20; i++) {
      await redis.call('RPUSH', 'right', 'there');
      const client = await open(proxy, protocol);
      client.sendAll([
        ['INCR', 'n'],
        ['BLPOP', 'right', '0'],
        ['BLPOP', 'left', '0'],
        ['SET', 'behind', 'x'],
      ]);
      client.end();
      const rest = (await client.rest()).toString();
      expect(rest).toContain('*2\r\n$5\r\nright\r\n$5\r\nthere\r\n');
    }
    await waitsAt(redis, 0);
    await redis.call('RPUSH', 'left', 'mine');
    await sleep(20);
    expect(await redis.call('LRANGE', 'left', 0, -1)).toEqual(['mine']);
    expect(await redis.call('EXISTS', 'behind')).toBe(0);
  });

  it('what was popped is not served from memory once the reply is out', async () => {
    const [popper, reader, pusher] = [
      await open(proxy, protocol),
      await open(proxy, protocol),
      await open(redis),
    ];
    for (let i = 0; i < 100; i++) {
      popper.sendAll([['BLPOP', 'pop', '0']]);
      for (let read = 0; read < 4; read++) await reader.say('LLEN', 'pop');
      await pusher.say('RPUSH', 'pop', 'a', 'b');
      await popper.replies(1);
      expect(await reader.say('LRANGE', 'pop', '0', '-1')).toBe('*1\r\n$1\r\nb');
      expect(await reader.say('LLEN', 'pop')).toBe(':1');
      await popper.say('LPOP', 'pop');
      expect(await reader.say('LRANGE', 'pop', '0', '-1')).toBe('*0');
    }
  });

  it('its connection breaks with a clear word, and the client stays', async () => {
    const client = await open(proxy, protocol);
    client.sendAll([['BLPOP', 'q', '0'], ['PING']]);
    await waitsAt(redis);
    const list = String(await redis.call('CLIENT', 'LIST', 'TYPE', 'normal'));
    const [, id] = /^id=(\d+) .* flags=b .* cmd=blpop /m.exec(list) ?? [];
    await redis.call('CLIENT', 'KILL', 'ID', String(id));
    const [broken, pong] = await frames(client, 2);
    expect(broken).toMatch(/^-ERR heatsink: the connection to .* broke before the reply; the command may/);
    expect(pong).toBe('+PONG');
  });
});

describe('many', () => {
  let redis: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    redis = await startRedis({ args: ['--lua-time-limit', '50'] });
    servers.push(redis);
    proxy = await proxyTo(redis.url);
  });

  it('clients wait and nobody waits with them; each element goes to one of them, in turn', async () => {
    const waiting = await Promise.all(Array.from({ length: 200 }, () => open(proxy)));
    for (let i = 0; i < 200; i++) {
      waiting[i].sendAll([['BLPOP', 'queue', '0']]);
      if (i % 50 === 49) await waitsAt(redis, i + 1);
    }
    const other = await open(proxy);
    for (let i = 0; i < 200; i++) expect(await other.say('GET', 'none')).toBe('$-1');
    await other.ask('RPUSH', 'queue', ...Array.from({ length: 200 }, (_, i) => `${i}`));
    const got = (await Promise.all(waiting.map((wire) => frames(wire, 1)))).flat();
    const each = Array.from({ length: 200 }, (_, i) => `*2 queue ${i}`);
    expect(new Set(got)).toEqual(new Set(each));
    // They are not all kept for later, but at most 64 by each worker.
    const kept = 64 * Number(process.env.TEST_WORKERS ?? 1);
    await waitFor(async () => {
      const info = String(await redis.call('INFO', 'clients'));
      return Number(/connected_clients:(\d+)/.exec(info)?.[1]) < kept + 36;
    });
  });

  it('clients are told that a script keeps the server busy, and may kill it', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => open(proxy)));
    for (const client of clients) await client.say('SET', 'k', '1');
    const [busy, ...others] = clients;
    busy.sendAll([['EVAL', 'while true do end', '0']]);
    await waitFor(async () => {
      const watcher = await open(redis);
      return (await watcher.say('PING')).startsWith('-BUSY');
    });
    await sleep(120);
    for (const other of others) expect(await other.say('SET', 'k', '2')).toMatch(/^-BUSY /);
    const late = await open(proxy);
    expect(await late.say('SET', 'k', '2')).toMatch(/^-BUSY /);
    expect(await late.say('SCRIPT', 'KILL')).toBe('+OK');
    expect((await frames(busy, 1))[0]).toMatch(/^-ERR Script killed by user/);
    for (const client of clients) expect(await client.say('GET', 'k')).toBe('$1\r\n1');
  });

  it('WAIT counts the replicas that have the writes of its client', async () => {
    const master = await startRedis();
    servers.push(master);
    const replica = await startRedis({ args: ['--replicaof', `127.0.0.1 ${master.port}`] });
    servers.push(replica);
    await waitFor(async () => String(await replica.call('INFO', 'replication')).includes('link_status:up'));
    const own = await proxyTo(master.url);
    const client = await open(own);
    await client.say('SET', 'k', '1');
    expect(await client.say('WAIT', '1', '5000')).toBe(':1');
    replica.kill('SIGSTOP');
    client.sendAll([
      ['SET', 'k', '2'],
      ['WAIT', '1', '100'],
      ['GET', 'k'],
    ]);
    expect(await frames(client, 3)).toEqual(['+OK', ':0', '2']);
    client.sendAll([
      ['SET', 'k', '3'],
      ['WAIT', '1', '0'],
    ]);
    await waitsAt(master);
    replica.kill('SIGCONT');
    expect(await frames(client, 2)).toEqual(['+OK', ':1']);
  });

  it('ioredis waits on a connection of its own', async () => {
    const [blocking, other] = [new Redis(proxy.port), new Redis(proxy.port)];
    const popped = blocking.blpop('io', 0);
    const behind = blocking.get('none');
    await waitsAt(redis);
    await other.rpush('io', 'x');
    expect([await popped, await behind]).toEqual([['io', 'x'], null]);
    blocking.disconnect();
    other.disconnect();
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

  it('a client whose slot moves goes on waiting at the new owner', async () => {
    const [client, other] = [await open(proxy), await open(proxy)];
    client.sendAll([['BLPOP', '{wait}list', '0'], ['PING']]);
    await waitsAt(await cluster.slotOwner('{wait}'));
    const move = await beginSlotMove(cluster, '{wait}');
    // By ASK, when it comes while the slot moves.
    const late = await open(proxy);
    late.sendAll([['BRPOP', '{wait}list', '0']]);
    await waitsAt(move.target);
    await move.finish();
    await waitsAt(move.target, 2);
    await other.say('RPUSH', '{wait}list', 'x', 'y');
    expect(await frames(late, 1)).toEqual(['*2 {wait}list y']);
    expect(await frames(client, 2)).toEqual(['*2 {wait}list x', '+PONG']);
  });

  it('keys of several slots are refused, and WAIT asks every master', async () => {
    const client = await open(proxy);
    expect(await client.say('BLPOP', 'a', 'b', '0')).toMatch(/^-CROSSSLOT/);
    expect(await client.say('WAIT', '0', '0')).toBe(':0');
    expect(await client.say('WAIT', '1', '20')).toBe(':0');
    for (const node of cluster.nodes) expect(await cmdstat(node, 'wait')).toBe(2);
  });
});
