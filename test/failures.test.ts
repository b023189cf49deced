// Servers that die, connections that break, clients that misbehave: everybody else gets right answers, and those
// concerned get clear ones.

import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Argument, encodeRequest } from '../src/resp3/encode.ts';
import { type RunningProxy, spawnProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function redis(port?: number): Promise<RedisProcess> {
  const server = await startRedis(port === undefined ? {} : { port });
  open.push(() => server.stop());
  return server;
}

async function proxyFor(upstream: RedisProcess): Promise<RunningProxy> {
  const proxy = await startProxy({ upstream: upstream.url });
  open.push(() => proxy.close());
  return proxy;
}

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port);
  open.push(() => wire.close());
  return wire;
}

const LOST =
  /^-ERR heatsink: the connection to \S+ \(.+\) broke before the reply; the command may have been executed$/;
const UNREACHED = /^-ERR heatsink: cannot reach \S+ \(.+\); the command was not sent$/;

describe('an upstream that is killed', () => {
  it('fails what was in flight with errors that say what is known of it, and is found again', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream);
    const clients = Array.from({ length: 20 }, () => wireTo(proxy));
    await Promise.all(clients.map((client) => client.say('SET', 'k', 'v')));
    upstream.kill('SIGSTOP');
    clients.forEach((client, i) => {
      client.sendAll([
        ['SET', `k${i}`, 'x'],
        ['INCR', 'n'],
        ['GET', `cold${i}`],
        ['CLIENT', 'GETNAME'],
        ['PING'],
      ]);
    });
    await sleep(100);
    upstream.kill('SIGKILL');
    for (const client of clients) {
      const replies = (await client.replies(5)).map((reply) => reply.toString().trim());
      expect(replies[0]).toMatch(LOST);
      expect(replies[1]).toMatch(LOST);
      expect(replies[2]).toMatch(UNREACHED);
      expect(replies[3]).toBe('$-1');
      expect(replies[4]).toMatch(UNREACHED);
    }
    const began = performance.now();
    for (const client of clients) expect(await client.say('SET', 'k', 'v')).toMatch(UNREACHED);
    expect(performance.now() - began).toBeLessThan(1000);
    await redis(upstream.port);
    await waitFor(async () => (await clients[0].say('SET', 'k', 'back')) === '+OK', 3000);
    for (const client of clients) expect(await client.say('GET', 'k')).toBe('$4\r\nback');
    expect(await clients[0].say('NONSENSE')).toMatch(/^-ERR unknown command/);
  });

  it('leaves every pipeline in step, however often it dies under load', async () => {
    let upstream = await redis();
    const proxy = await proxyFor(upstream);
    const wrong: string[] = [];
    let rounds = 0;
    let stop = false;
    const load = async (client: Wire, id: number) => {
      for (let n = 0; !stop; n++) {
        const mark = `${id}:${n}`;
        client.sendAll([
          ['SET', `k${id}`, mark],
          ['GET', `k${id}`],
          ['ECHO', mark],
          ['CLIENT', 'GETNAME'],
          ['STRLEN', 'none'],
        ]);
        const replies = (await client.replies(5)).map((reply) => reply.toString().trim());
        const bulk = `$${mark.length}\r\n${mark}`;
        const due = ['+OK', bulk, bulk, '$-1', ':0'];
        replies.forEach((reply, i) => {
          const failed = i !== 3 && (LOST.test(reply) || UNREACHED.test(reply));
          // After a write that may be lost, the read may find nothing or the mark of an earlier round.
          const read = i === 1 && !replies[0].startsWith('+') && /^\$/.test(reply);
          if (reply !== due[i] && !failed && !read) wrong.push(`${mark} ${i}: ${reply}`);
        });
        rounds++;
        if (replies[0] !== '+OK') await sleep(5);
      }
    };
    const loads = Array.from({ length: 20 }, (_, id) => load(wireTo(proxy), id));
    for (let i = 0; i < 4; i++) {
      const before = rounds;
      await waitFor(() => rounds > before + 500);
      await upstream.stop();
      await sleep(50);
      upstream = await redis(upstream.port);
      const probe = wireTo(proxy);
      await waitFor(async () => (await probe.say('PING')) === '+PONG', 3000);
    }
    stop = true;
    await Promise.all(loads);
    expect(wrong.slice(0, 10)).toEqual([]);
  });

  it('is told at once to a client that comes while it is away', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream);
    await upstream.stop();
    for (let i = 0; i < 20; i++) {
      const client = wireTo(proxy);
      const began = performance.now();
      client.sendAll([['GET', 'a'], ['SET', 'a', 'x'], ['MGET', 'a', 'b'], ['NONSENSE'], ['CLIENT', 'ID']]);
      const replies = (await client.replies(5)).map((reply) => reply.toString().trim());
      for (const reply of replies.slice(0, 4)) expect(reply).toMatch(/^-ERR heatsink: .+/);
      expect(replies[4]).toMatch(/^:\d+$/);
      expect(performance.now() - began).toBeLessThan(500);
    }
  });
});

describe("heatsink's own connections, when the upstream kills them", () => {
  it('lose no read: each is sent again once', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream);
    const keys = Array.from({ length: 50 }, (_, i) => `key:${i}`);
    await upstream.call('MSET', ...keys.flatMap((key) => [key, key]));
    const wrong: string[] = [];
    let reads = 0;
    let stop = false;
    const load = async (client: Wire) => {
      while (!stop) {
        client.sendAll(keys.map((key) => ['GET', key]));
        const replies = await client.replies(keys.length);
        replies.forEach((reply, i) => {
          if (reply.toString() !== `$${keys[i].length}\r\n${keys[i]}\r\n`) wrong.push(`${keys[i]}: ${reply}`);
        });
        reads += keys.length;
      }
    };
    const loads = Array.from({ length: 20 }, () => load(wireTo(proxy)));
    for (let i = 0; i < 10; i++) {
      const before = reads;
      await waitFor(() => reads > before + 5000);
      expect(Number(await upstream.call('CLIENT', 'KILL', 'TYPE', 'normal'))).toBeGreaterThan(0);
      await sleep(30);
    }
    stop = true;
    await Promise.all(loads);
    expect(wrong.slice(0, 10)).toEqual([]);
    expect((await proxy.metrics()).sum('heatsink_read_retries_total')).toBeGreaterThan(0);
  });

  it('lose no write that was acknowledged, and repeat none', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream);
    const counts = { done: 0, lost: 0 };
    const other: string[] = [];
    let stop = false;
    const load = async (client: Wire) => {
      while (!stop) {
        client.sendAll(Array.from({ length: 20 }, () => ['INCR', 'counter']));
        for (const reply of await client.replies(20)) {
          const text = reply.toString().trim();
          if (text.startsWith(':')) counts.done++;
          else if (LOST.test(text)) counts.lost++;
          else if (!UNREACHED.test(text)) other.push(text);
        }
      }
    };
    const loads = Array.from({ length: 10 }, () => load(wireTo(proxy)));
    for (let i = 0; i < 10; i++) {
      const before = counts.done;
      await waitFor(() => counts.done > before + 1000);
      await upstream.call('CLIENT', 'KILL', 'TYPE', 'normal');
    }
    stop = true;
    await Promise.all(loads);
    const counter = Number(await upstream.call('GET', 'counter'));
    expect(other).toEqual([]);
    expect(counter).toBeGreaterThanOrEqual(counts.done);
    expect(counter).toBeLessThanOrEqual(counts.done + counts.lost);
  });
});

describe('a client', () => {
  let upstream: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    upstream = await redis();
    proxy = await proxyFor(upstream);
  });

  it('that leaves in the middle of a request or a pipeline harms nobody', async () => {
    const other = wireTo(proxy);
    await other.say('SET', 'shared', 'value');
    const set = encodeRequest(['SET', 'k', 'x'.repeat(100_000)]);
    const pipeline = Array.from({ length: 500 }, (_, i) => [
      ['SET', `k${i}`, 'x'],
      ['GET', 'shared'],
      ['MGET', 'a', 'b'],
    ]);
    for (let i = 0; i < 50; i++) {
      const leaver = wireTo(proxy);
      leaver.sendAll(pipeline.flat());
      leaver.send(set.subarray(0, i * 2000 + 1));
      const reply = other.say('GET', 'shared');
      await sleep(i % 5);
      if (i % 2 === 0) leaver.close();
      else leaver.socket.resetAndDestroy();
      expect(await reply).toBe('$5\r\nvalue');
    }
    expect(await other.say('EXISTS', 'k')).toBe(':0');
  });

  it('that leaves before its read is answered leaves the answer to those who share it', async () => {
    const [leader, second, third] = [wireTo(proxy), wireTo(proxy), wireTo(proxy)];
    await leader.say('SET', 'cold', 'value');
    await Promise.all([second.say('PING'), third.say('PING')]);
    upstream.kill('SIGSTOP');
    leader.sendAll([
      ['GET', 'cold'],
      ['GET', 'cold'],
    ]);
    const reply = second.say('GET', 'cold');
    third.sendAll([['GET', 'cold']]);
    await sleep(50);
    leader.close();
    third.close();
    await sleep(50);
    upstream.kill('SIGCONT');
    expect(await reply).toBe('$5\r\nvalue');
    expect(await second.say('GET', 'cold')).toBe('$5\r\nvalue');
  });

  it('that says nothing more after its commands gets all its replies, then the end', async () => {
    const commands: Argument[][] = Array.from({ length: 3000 }, (_, i) => [
      ['INCR', 'half'],
      ['ECHO', `${i}`],
    ]).flat();
    commands.push(['NONSENSE'], ['CLIENT', 'GETNAME'], ['PING', 'last']);
    for (const held of [false, true]) {
      await upstream.call('DEL', 'half');
      const client = wireTo(proxy);
      await client.say('PING');
      if (held) upstream.kill('SIGSTOP');
      client.sendAll(commands);
      client.end();
      await sleep(50);
      upstream.kill('SIGCONT');
      const replies = await client.replies(commands.length);
      replies.slice(0, 6000).forEach((reply, i) => {
        const n = `${i >> 1}`;
        const due = i % 2 === 0 ? `:${(i >> 1) + 1}` : `$${n.length}\r\n${n}`;
        if (reply.toString() !== `${due}\r\n`) expect(reply.toString(), `reply ${i}`).toBe(due);
      });
      expect(replies.at(-1)?.toString()).toBe('$4\r\nlast\r\n');
      expect(await client.rest()).toHaveLength(0);
    }
  });

  it('that breaks the protocol gets the replies so far, the words of Redis, and the end', async () => {
    const before = Buffer.concat([['SET', 'k', 'v'], ['GET', 'k'], ['PING']].map(encodeRequest)).toString();
    const broken = [
      '*1\r\n:5\r\n',
      '*x\r\n',
      '*2147483648\r\n',
      '*1\r\n$-1\r\n',
      '*1\r\n$x\r\n',
      '*1\r\n$536870913\r\n',
    ];
    broken.push(
      'GET "k\r\n',
      "GET 'k\r\n",
      '*2\r\n$3\r\nGET\r\n%1\r\n',
      `*${'1'.repeat(70_000)}`,
      'x'.repeat(70_000),
    );
    for (const bytes of broken) {
      const [expected, got] = await Promise.all(
        [upstream, proxy].map(async (to) => {
          const client = wireTo(to);
          client.send(before + bytes);
          return (await client.rest()).toString('latin1');
        }),
      );
      expect(got).toBe(expected);
      expect(got).toMatch(/^\+OK\r\n\$1\r\nv\r\n\+PONG\r\n-ERR Protocol error: .+\r\n$/);
    }
  });

  it('that has gone is not counted any more, however it went', async () => {
    const connected = async () => (await proxy.metrics()).sum('heatsink_connected_clients');
    const before = await connected();
    for (let round = 0; round < 5; round++) {
      const clients = Array.from({ length: 200 }, () => wireTo(proxy));
      await Promise.all(clients.map((client) => client.say('PING')));
      expect(await connected()).toBeGreaterThanOrEqual(200);
      clients.forEach((client, i) => {
        if (i % 4 === 0) client.close();
        else if (i % 4 === 1) client.socket.resetAndDestroy();
        else if (i % 4 === 2) client.end();
        else client.sendAll([['QUIT']]);
      });
    }
    await waitFor(async () => (await connected()) <= before, 3000);
  });
});

describe('a client that does not read', () => {
  it.each([
    ['100,000 values of 1 KB that are not hot', 1000, 100_000, { tier: 'off' }],
    ['100,000 values of 1 KB that are hot', 1000, 100_000, { 'hot-threshold': '20' }],
    ['2,500 values of 200 KB that are hot', 200_000, 2500, { 'hot-threshold': '20' }],
  ])('keeps nobody waiting and no memory, having asked for %s', async (_, size, count, flags) => {
    const upstream = await redis();
    const proxy = await spawnProxy({ upstream: upstream.url, flags: flags as Record<string, string> });
    open.push(() => proxy.close());
    const other = wireTo(proxy);
    await other.say('SET', 'k', 'v'.repeat(size));
    for (let i = 0; i < 100; i++) await other.ask('GET', 'k');
    const memory = async () => (await proxy.metrics()).sum('process_resident_memory_bytes');
    const before = await memory();

    const slow = connect(proxy.port, '127.0.0.1').pause();
    open.push(() => slow.destroy());
    const get = encodeRequest(['GET', 'k']);
    slow.write(Buffer.concat(Array.from({ length: count }, () => get)));
    await sleep(300);
    const began = performance.now();
    for (let i = 0; i < 100; i++) expect(await other.say('SET', 'other', 'x')).toBe('+OK');
    expect(performance.now() - began).toBeLessThan(1000);
    expect(((await memory()) - before) / 2 ** 20).toBeLessThan(100);

    // Once it reads, it gets everything.
    const due = count * (`$${size}\r\n`.length + size + 2);
    let got = 0;
    slow.on('data', (chunk) => {
      got += chunk.length;
    });
    slow.resume();
    await waitFor(() => got === due, 10_000);
  });
});
