// Servers that die and connections that break: clients get right answers, or clear errors, and never wait for ever.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
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
