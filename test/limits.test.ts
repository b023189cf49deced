// The limits of what clients may take: each of them, over real connections.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config/load.ts';
import { startHeatsink } from '../src/heatsink.ts';
import { encodeRequest } from '../src/resp3/encode.ts';
import { type ProxyOptions, type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

let redis: RedisProcess;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  redis = await startRedis();
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

afterAll(() => redis.stop());

async function proxyWith(flags: ProxyOptions['flags'] = {}): Promise<RunningProxy> {
  const proxy = await startProxy({ upstream: redis.url, flags });
  closing.push(() => proxy.close());
  return proxy;
}

function wireTo({ port }: { port: number }, host?: string): Wire {
  const wire = new Wire(port, undefined, host);
  closing.push(() => wire.close());
  return wire;
}

const text = async (bytes: Promise<Buffer>) => (await bytes).toString('latin1');

describe('client.maxClients', () => {
  it.each(['1', '3'])('refuses a client too many in the words of Redis, with %s workers', async (workers) => {
    const proxy = await proxyWith({ 'max-clients': '3', workers });
    // The harness may still be closing the connection by which it saw that heatsink is up.
    const inside = Array.from({ length: 3 }, () => wireTo(proxy));
    for (const wire of inside) expect(await wire.say('PING')).toBe('+PONG');
    const outside = wireTo(proxy);
    expect(await text(outside.rest())).toBe('-ERR max number of clients reached\r\n');
    expect((await proxy.metrics()).sum('heatsink_client_rejections_total', { reason: 'max_clients' })).toBe(
      1,
    );
    inside[0].close();
    await waitFor(async () => (await wireTo(proxy).say('PING')) === '+PONG');
  });

  it('is changed by CONFIG SET, and shown by INFO', async () => {
    const proxy = await proxyWith({ 'max-clients': '2' });
    const [first, second] = [wireTo(proxy), wireTo(proxy)];
    await Promise.all([first.say('PING'), second.say('PING')]);
    expect(await text(wireTo(proxy).rest())).toContain('max number of clients');
    expect(await first.say('CONFIG', 'SET', 'heatsink.client.maxClients', '3')).toBe('+OK');
    expect(await wireTo(proxy).say('PING')).toBe('+PONG');
    expect(await first.say('INFO', 'clients')).toContain('\r\nmaxclients:3\r\n');
  });
});

const overruns = async (proxy: RunningProxy, limit: string) =>
  (await proxy.metrics()).sum('heatsink_client_overruns_total', { limit });

describe('client.idleTimeout', () => {
  it('closes who says nothing, and not who waits for something', async () => {
    const proxy = await proxyWith();
    const [idle, blocked, subscriber, monitor, paused] = Array.from({ length: 5 }, () => wireTo(proxy));
    const waiting = wireTo(proxy);
    await idle.say('PING');
    expect(await subscriber.ask('SUBSCRIBE', 'channel')).toBeDefined();
    expect(await monitor.say('MONITOR')).toBe('+OK');
    blocked.sendAll([['BLPOP', 'nothing', '3']]);
    expect(await waiting.say('CLIENT', 'PAUSE', '1500', 'WRITE')).toBe('+OK');
    paused.sendAll([['SET', 'paused', 'x']]);
    expect(await waiting.say('CONFIG', 'SET', 'heatsink.client.idleTimeout', '500')).toBe('+OK');
    await Promise.all([idle.rest(), waiting.rest()]);
    expect(await overruns(proxy, 'idle_timeout')).toBe(2);
    expect((await paused.replies(1)).join()).toBe('+OK\r\n');
    expect((await blocked.replies(1)).join()).toBe('*-1\r\n');
    await paused.rest();
    expect([subscriber.closed, monitor.closed]).toEqual([false, false]);
    expect(await overruns(proxy, 'idle_timeout')).toBeGreaterThanOrEqual(3);
  });

  it('counts from the last answer, too', async () => {
    const proxy = await proxyWith({ 'idle-timeout': '1000' });
    const wire = wireTo(proxy);
    await wire.say('PING');
    for (let i = 0; i < 3; i++) expect(await wire.say('BLPOP', 'nothing', '1.2')).toBe('*-1');
    await wire.rest();
  });
});

describe('client.requestTimeout', () => {
  it('closes who begins a request and does not go on, one byte at a time included', async () => {
    const proxy = await proxyWith({ 'request-timeout': '600' });
    const [half, slow, whole, silent] = Array.from({ length: 4 }, () => wireTo(proxy));
    await Promise.all([whole.say('PING'), silent.say('PING')]);
    half.send('*1\r\n$4\r\nPI');
    slow.send('*2\r\n$3\r\nGET\r\n$100000\r\n');
    const trickle = setInterval(() => slow.send('x'), 20);
    closing.push(() => clearInterval(trickle));
    expect(await text(half.rest())).toBe('');
    expect(await text(slow.rest())).toBe('');
    expect(await overruns(proxy, 'request_timeout')).toBe(2);
    expect(await whole.say('PING')).toBe('+PONG');
    expect(await silent.say('PING')).toBe('+PONG');
  });

  it('closes who stops amid a value that is passed on as it comes', async () => {
    const proxy = await proxyWith({ 'request-timeout': '600' });
    const [stuck, other] = [wireTo(proxy), wireTo(proxy)];
    await other.say('SET', 'stuck', 'before');
    stuck.send('*3\r\n$3\r\nSET\r\n$5\r\nstuck\r\n$4000000\r\n');
    stuck.send('x'.repeat(100_000));
    const trickle = setInterval(() => stuck.send('x'), 20);
    closing.push(() => clearInterval(trickle));
    expect(await text(stuck.rest())).toBe('');
    expect(await overruns(proxy, 'request_timeout')).toBe(1);
    expect(await other.say('GET', 'stuck')).toBe('$6\r\nbefore');
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_pinned_connections') === 0);
  });

  it.each([100_000, 2_000_000])('lets a value of %d bytes come slowly', async (size) => {
    const proxy = await proxyWith({ 'request-timeout': '500' });
    const wire = wireTo(proxy);
    const bytes = encodeRequest(['SET', 'slow', 'x'.repeat(size)]);
    const step = Math.ceil(bytes.length / 12);
    for (let at = 0; at < bytes.length; at += step) {
      wire.send(bytes.subarray(at, at + step));
      await sleep(100);
    }
    expect((await wire.replies(1)).join()).toBe('+OK\r\n');
    expect(await wire.say('STRLEN', 'slow')).toBe(`:${size}`);
  });

  it('is no time of the client while heatsink does not take what it sends', async () => {
    const server = await startRedis();
    closing.push(() => server.stop());
    const proxy = await startProxy({ upstream: server.url, flags: { 'request-timeout': '500' } });
    closing.push(() => proxy.close());
    const wire = wireTo(proxy);
    await wire.say('PING');
    server.kill('SIGSTOP');
    wire.send(encodeRequest(['SET', 'slow', 'x'.repeat(30_000_000)]));
    await sleep(1500);
    server.kill('SIGCONT');
    expect((await wire.replies(1)).join()).toBe('+OK\r\n');
  });
});

describe('client.queryBuffer', () => {
  it('closes who sends more than it in one request', async () => {
    const proxy = await proxyWith({ 'query-buffer': '1MiB' });
    const [large, other] = [wireTo(proxy), wireTo(proxy)];
    expect(await large.say('SET', 'large', 'x'.repeat(1_000_000))).toBe('+OK');
    // A write of one key is passed on as it comes, and takes no room.
    expect(await large.say('SET', 'large', 'x'.repeat(2_000_000))).toBe('+OK');
    large.send(encodeRequest(['ECHO', 'x'.repeat(2_000_000)]));
    expect(await text(large.rest())).toBe('');
    expect(await overruns(proxy, 'query_buffer')).toBe(1);
    expect(await other.say('STRLEN', 'large')).toBe(':2000000');
  });
});

describe('a client that has not shown who it is', () => {
  const users = `#${createHash('sha256').update('secret').digest('hex')}`;

  it.each(['users', 'upstream'])('may send no large requests where %s are asked', async (checks) => {
    const server = await startRedis({ args: ['--requirepass', 'secret'] });
    closing.push(() => server.stop());
    const file = join(mkdtempSync(join(tmpdir(), 'heatsink-')), 'config.yaml');
    closing.push(() => rmSync(dirname(file), { recursive: true }));
    writeFileSync(
      file,
      checks === 'users' ? `users: [{ name: default, password: '${users}' }]` : 'auth: upstream',
    );
    const proxy = await startProxy({ upstream: `redis://:secret@127.0.0.1:${server.port}`, file });
    closing.push(() => proxy.close());
    for (const bytes of ['*11\r\n$3\r\nDEL\r\n', '*2\r\n$3\r\nGET\r\n$16385\r\n']) {
      const [there, here] = [wireTo(server), wireTo(proxy)];
      for (const wire of [there, here]) wire.send(bytes);
      const words = await text(there.rest());
      expect(words).toMatch(/^-ERR Protocol error: unauthenticated/);
      expect(await text(here.rest())).toBe(words);
    }
    const known = wireTo(proxy);
    known.sendAll([
      ['AUTH', 'secret'],
      ['SET', 'k', 'x'.repeat(20_000)],
      ['DEL', ...'abcdefghijklmnop'],
    ]);
    expect((await known.replies(3)).join('')).toBe('+OK\r\n+OK\r\n:1\r\n');
  });

  it('may send them where the upstream lets everybody in', async () => {
    const proxy = await proxyWith({ auth: 'upstream' });
    expect(await wireTo(proxy).say('SET', 'k', 'x'.repeat(200_000))).toBe('+OK');
    expect(await wireTo(proxy).say('MGET', ...'abcdefghijklmnop')).toMatch(/^\*16/);
  });
});

describe('client.outputBuffer', () => {
  it('closes who takes no replies, and nobody else', async () => {
    const proxy = await proxyWith({ 'output-buffer': '2MiB' });
    const [greedy, other] = [wireTo(proxy), wireTo(proxy)];
    await other.say('SET', 'large', 'x'.repeat(1_000_000));
    expect((await greedy.say('GET', 'large')).length).toBeGreaterThan(1_000_000);
    greedy.socket.pause();
    greedy.sendAll(Array.from({ length: 20 }, () => ['GET', 'large']));
    await waitFor(async () => (await overruns(proxy, 'output_buffer')) === 1);
    greedy.socket.resume();
    await greedy.rest();
    expect(await other.say('PING')).toBe('+PONG');
  });

  it('closes who has replies that wait for an earlier one', async () => {
    const cluster = await startCluster({ masters: 2 });
    closing.push(() => cluster.stop());
    const proxy = await startProxy({ upstream: cluster.url, flags: { 'output-buffer': '2MiB' } });
    closing.push(() => proxy.close());
    const [greedy, other] = [wireTo(proxy), wireTo(proxy)];
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const stopped = await cluster.slotOwner(keys[0]);
    let large = keys[0];
    for (const key of keys) if ((await cluster.slotOwner(key)) !== stopped) large = key;
    await other.say('SET', large, 'x'.repeat(1_000_000));
    stopped.kill('SIGSTOP');
    closing.push(() => stopped.kill('SIGCONT'));
    greedy.sendAll([['GET', keys[0]], ...Array.from({ length: 6 }, () => ['GET', large])]);
    expect(await text(greedy.rest())).toBe('');
    expect(await overruns(proxy, 'output_buffer')).toBe(1);
    expect((await other.say('GET', large)).length).toBeGreaterThan(1_000_000);
  });

  it('lets one reply through, however large, and any number of them that are taken', async () => {
    const proxy = await proxyWith({ 'output-buffer': '1MiB' });
    const wire = wireTo(proxy);
    const value = 'x'.repeat(3_000_000);
    await wire.say('SET', 'large', value);
    for (let i = 0; i < 2; i++) expect(await wire.say('GET', 'large')).toBe(`$3000000\r\n${value}`);
  });
});

describe('shed.lag', () => {
  /** Keeps the thread that serves busy, which is this one too. */
  const block = (ms: number) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };

  it('refuses what would be sent on while the thread is late, and nothing else', async () => {
    const proxy = await proxyWith({ 'shed-lag': '200', workers: '1' });
    const [wire, pinned] = [wireTo(proxy), wireTo(proxy)];
    expect(await wire.say('SET', 'k', 'v')).toBe('+OK');
    expect(await pinned.say('MULTI')).toBe('+OK');
    wire.sendAll([
      ['GET', 'k'],
      ['SET', 'k', 'w'],
      ['MGET', 'a', 'b'],
      ['CLIENT', 'GETNAME'],
    ]);
    pinned.sendAll([['SET', 'k', 'x']]);
    block(500);
    const replies = (await wire.replies(4)).map((reply) => reply.toString());
    for (const reply of replies.slice(0, 3))
      expect(reply).toMatch(/^-BUSY heatsink: it is \d+ ms behind, .*shed\.lag/);
    expect(replies[3]).toBe('$-1\r\n');
    expect((await pinned.replies(1)).join()).toBe('+QUEUED\r\n');
    await waitFor(async () => (await wire.say('GET', 'k')) === '$1\r\nv');
    const metrics = await proxy.metrics();
    expect(metrics.sum('heatsink_requests_total', { outcome: 'shed' })).toBeGreaterThanOrEqual(3);
    expect(metrics.sum('heatsink_event_loop_lag_seconds')).toBeGreaterThanOrEqual(0);
  });

  it('is 0 unless told otherwise: nothing is refused, however late', async () => {
    const proxy = await proxyWith({ workers: '1' });
    const wire = wireTo(proxy);
    await wire.say('SET', 'k', 'v');
    wire.sendAll([['GET', 'k']]);
    block(300);
    expect((await wire.replies(1)).join()).toBe('$1\r\nv\r\n');
  });
});

it('what a client takes slowly is no overrun, however large the value and small the buffer', async () => {
  const proxy = await proxyWith({ 'output-buffer': '1MiB' });
  const wire = wireTo(proxy);
  await wire.say('SET', 'large', 'x'.repeat(20_000_000));
  wire.socket.pause();
  wire.sendAll([
    ['GET', 'large'],
    ['GET', 'large'],
  ]);
  for (let i = 0; i < 40; i++) {
    await sleep(10);
    wire.socket.resume();
    await sleep(1);
    wire.socket.pause();
  }
  wire.socket.resume();
  const replies = await wire.replies(2);
  expect(replies.map(({ length }) => length)).toEqual([20_000_013, 20_000_013]);
});

it('a worker that crashes gives back what its clients had', async () => {
  const flags = { workers: '2', listen: '127.0.0.1:0', admin: 'off', 'max-clients': '4', 'max-pinned': '4' };
  const config = loadConfig({ flags: { ...flags, upstream: redis.url }, env: {} });
  const heatsink = await startHeatsink(config, { log: pino({ level: 'silent' }) });
  closing.push(() => heatsink.close());
  const port = Number(heatsink.address.split(':').at(-1));
  for (let round = 0; round < 2; round++) {
    const wires = Array.from({ length: 4 }, () => wireTo({ port }));
    for (const wire of wires) expect(await wire.say('WATCH', 'k')).toBe('+OK');
    for (const worker of [0, 1]) heatsink.crashWorker(worker);
    await Promise.all(wires.map((wire) => wire.rest()));
    await waitFor(async () => {
      const probe = wireTo({ port });
      const reply = await probe.say('PING');
      probe.close();
      return reply === '+PONG';
    }, 10_000);
    // The probe's place, too, is free before the next round.
    await sleep(200);
  }
});

describe('client.protectedMode', () => {
  const outer = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

  it.skipIf(outer === undefined)('refuses clients that are not on loopback until it is off', async () => {
    const proxy = await proxyWith({ listen: '0.0.0.0:0' });
    expect(await text(wireTo(proxy, outer).rest())).toMatch(
      /^-DENIED heatsink is running in protected mode .*\r\n$/,
    );
    const local = wireTo(proxy);
    expect(await local.say('PING')).toBe('+PONG');
    const reason = { reason: 'protected_mode' };
    expect((await proxy.metrics()).sum('heatsink_client_rejections_total', reason)).toBe(1);
    expect(await local.say('CONFIG', 'SET', 'heatsink.client.protectedMode', 'off')).toBe('+OK');
    expect(await wireTo(proxy, outer).say('PING')).toBe('+PONG');
  });

  it.skipIf(outer === undefined)('lets clients in that somebody asks for a password', async () => {
    const proxy = await proxyWith({ listen: '0.0.0.0:0', auth: 'upstream' });
    expect(await wireTo(proxy, outer).say('PING')).toBe('+PONG');
  });
});
