// nodes.maxPinned: how many clients may have upstream connections of their own at once.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Argument } from '../src/resp3/encode.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

let redis: RedisProcess;
let cluster: Cluster;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  redis = await startRedis();
  cluster = await startCluster({ masters: 3 });
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

afterAll(async () => {
  await redis.stop();
  await cluster.stop();
});

async function proxyWith(maxPinned: number, upstream = redis.url, workers = '1'): Promise<RunningProxy> {
  const proxy = await startProxy({ upstream, flags: { 'max-pinned': `${maxPinned}`, workers } });
  closing.push(() => proxy.close());
  return proxy;
}

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port);
  closing.push(() => wire.close());
  return wire;
}

const REFUSED = /^-ERR heatsink: .*nodes\.maxPinned/;
const pinned = async (proxy: RunningProxy) => (await proxy.metrics()).sum('heatsink_pinned_connections');

describe('a command that needs one pinned connection too many', () => {
  it.each<Argument[]>([
    ['MULTI'],
    ['WATCH', 'k'],
    ['BLPOP', 'k', '0'],
    ['SUBSCRIBE', 'channel'],
    ['MONITOR'],
    ['WAIT', '0', '0'],
    ['CLIENT', 'TRACKING', 'ON'],
    ['REPLCONF', 'capa', 'eof'],
  ])('%s %s is refused, and nothing else happens to its client', async (...command) => {
    const proxy = await proxyWith(1);
    const [first, second] = [wireTo(proxy), await Wire.open(proxy.port, 3)];
    closing.push(() => second.close());
    expect((await first.ask('SUBSCRIBE', 'channel')).toString()).toContain('subscribe');
    const before = (await second.say('CLIENT', 'INFO')).replace(
      / (age|idle|cmd|argv-mem|tot-mem|qbuf)=.*/,
      '',
    );
    expect(await second.say(...command)).toMatch(REFUSED);
    expect(await second.say('EXEC')).toBe('-ERR EXEC without MULTI');
    expect(await second.say('SET', 'k', 'v')).toBe('+OK');
    expect(await second.say('GET', 'k')).toBe('$1\r\nv');
    const after = (await second.say('CLIENT', 'INFO')).replace(
      / (age|idle|cmd|argv-mem|tot-mem|qbuf)=.*/,
      '',
    );
    expect(after).toBe(before);
    expect((await proxy.metrics()).sum('heatsink_pin_refusals_total')).toBe(1);
    first.close();
    await waitFor(async () => (await pinned(proxy)) === 0);
    expect(await second.say('MULTI')).toBe('+OK');
  });
});

it('connections that nobody uses any more are closed to make room', async () => {
  const proxy = await proxyWith(2);
  const [first, second, third] = [wireTo(proxy), wireTo(proxy), wireTo(proxy)];
  for (const wire of [first, second]) {
    wire.sendAll([['MULTI'], ['INCR', 'n'], ['EXEC'], ['PING']]);
    await wire.replies(4);
  }
  expect(await pinned(proxy)).toBeLessThanOrEqual(2);
  await third.say('SELECT', '1');
  expect((await third.ask('SUBSCRIBE', 'a')).toString()).toContain('subscribe');
  expect((await first.ask('SUBSCRIBE', 'a')).toString()).toContain('subscribe');
  expect(await second.say('MULTI')).toMatch(REFUSED);
  expect(await second.say('CONFIG', 'SET', 'heatsink.nodes.maxPinned', '3')).toBe('+OK');
  expect(await second.say('MULTI')).toBe('+OK');
  await waitFor(async () => (await pinned(proxy)) === 3);
});

it('a transaction that has begun goes on, whoever else comes', async () => {
  const proxy = await proxyWith(1, cluster.url);
  const [first, second] = [wireTo(proxy), wireTo(proxy)];
  expect(await first.say('MULTI')).toBe('+OK');
  expect(await second.say('WATCH', 'k')).toMatch(REFUSED);
  first.sendAll([['SET', '{a}1', 'x'], ['GET', '{a}1'], ['EXEC']]);
  expect((await first.replies(3)).join('')).toBe('+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\nx\r\n');
  await first.say('PING');
  expect(await second.say('WATCH', 'k')).toBe('+OK');
});

it('what needs a connection to each node takes all of them or none', async () => {
  const proxy = await proxyWith(4, cluster.url);
  const [first, second] = [wireTo(proxy), await Wire.open(proxy.port, 3)];
  closing.push(() => second.close());
  expect(await first.say('WATCH', 'k')).toBe('+OK');
  expect(await second.say('CLIENT', 'TRACKING', 'ON')).toBe('+OK');
  expect(await first.say('MONITOR')).toMatch(REFUSED);
  for (let i = 0; i < 20; i++) expect(await second.say('GET', `none${i}`)).toBe('_');
  expect(await second.say('CLIENT', 'TRACKING', 'OFF')).toBe('+OK');
  await second.say('PING');
  await waitFor(async () => (await pinned(proxy)) === 1);
  expect(await first.say('MONITOR')).toBe('+OK');
});

it('is one number for all workers', async () => {
  const proxy = await proxyWith(5, redis.url, '3');
  const wires = Array.from({ length: 12 }, () => wireTo(proxy));
  const replies = await Promise.all(wires.map((wire) => wire.say('WATCH', 'k')));
  expect(replies.filter((reply) => reply === '+OK')).toHaveLength(5);
  expect(replies.filter((reply) => REFUSED.test(reply))).toHaveLength(7);
});
