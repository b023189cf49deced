// Slow upstream commands: which are, what is kept of them, and what is never kept.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { secretFrom } from '../src/commands/secrets.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { LargeClient } from './support/large-client.ts';
import { frameOf } from './support/raw-redis.ts';
import { type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const MB = 1024 * 1024;
const open: (() => unknown)[] = [];
let redis: RedisProcess;
let proxy: RunningProxy;
let client: Wire;

interface Shown {
  readonly id: number;
  readonly time: string;
  readonly duration_us: number;
  readonly arguments: readonly unknown[];
  readonly client: string;
  readonly client_name: string;
  readonly node: string;
}

beforeAll(async () => {
  redis = await startRedis({ args: ['--enable-debug-command', 'yes'] });
  open.push(() => redis.stop());
  proxy = await startProxy({ upstream: redis.url });
  open.push(() => proxy.close());
  client = wireTo(proxy);
  await redis.call('EVAL', "for i = 1, 100000 do redis.call('SADD', 'set', i .. 'x') end", '0');
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

beforeEach(async () => {
  await tune('10');
  // Forgets all.
  await client.say('CONFIG', 'SET', 'heatsink.slowLog.maxLen', '0');
  await client.say('CONFIG', 'SET', 'heatsink.slowLog.maxLen', '128');
});

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port, 20_000);
  open.push(() => wire.close());
  return wire;
}

async function tune(slowerThan: string): Promise<void> {
  expect(await client.say('CONFIG', 'SET', 'heatsink.slowLog.slowerThan', slowerThan)).toBe('+OK');
}

/** The newest first. */
async function slow(of = proxy, query = ''): Promise<Shown[]> {
  const { status, body } = await of.admin(`/slowlog${query}`);
  expect(status).toBe(200);
  return (body as { entries: Shown[] }).entries;
}

const names = (entries: readonly Shown[]) => entries.map((entry) => entry.arguments[0]);

/** Takes the server tens of milliseconds, and is not called fast. */
const SORT = ['SORT', 'set', 'ALPHA', 'LIMIT', '0', '1'];

describe('a slow command', () => {
  it('is kept with its time, its client and the node that answered', async () => {
    await client.say('CLIENT', 'SETNAME', 'sleeper');
    const address = /addr=(\S+)/.exec(await client.say('CLIENT', 'INFO'))?.[1];
    const before = Math.floor(Date.now() / 1000) * 1000;
    expect(await client.say('DEBUG', 'SLEEP', '0.05')).toBe('+OK');
    const entry = (await slow()).find((one) => one.arguments[0] === 'DEBUG') as Shown;
    expect(entry).toMatchObject({
      arguments: ['DEBUG', 'SLEEP', '0.05'],
      client: address,
      client_name: 'sleeper',
      node: `127.0.0.1:${redis.port}`,
    });
    expect(entry.duration_us).toBeGreaterThanOrEqual(50_000);
    expect(Date.parse(entry.time)).toBeGreaterThanOrEqual(before);
    expect((await proxy.metrics()).sum('heatsink_slow_commands_total')).toBeGreaterThan(0);
    await client.say('CLIENT', 'SETNAME', '');
  });

  it('may be a script or a transaction', async () => {
    await client.ask('EVAL', 'for i = 1, 2e7 do end', '0');
    await client.say('MULTI');
    await client.say(...SORT);
    await client.ask('EXEC');
    const entries = await slow();
    expect(names(entries)).toContain('EVAL');
    expect(names(entries)).toContain('EXEC');
  });

  // On a busy machine others may be slow as well.
  it('is the one to blame, not those around it', { retry: 5 }, async () => {
    const own = await startProxy({ upstream: redis.url, flags: { workers: '1' } });
    open.push(() => own.close());
    const [first, ...others] = Array.from({ length: 5 }, () => wireTo(own));
    await Promise.all([first, ...others].map((wire) => wire.say('PING')));
    first.sendAll([['GET', 'a'], SORT, ['GET', 'b'], ['INCR', 'n']]);
    await sleep(5);
    await Promise.all([first.replies(4), ...others.map((other, i) => other.ask('GET', `other${i}`))]);
    expect(names(await slow(own))).toEqual(['SORT']);
  });

  it('is kept though its client did not wait for it', async () => {
    const leaves = wireTo(proxy);
    await leaves.say('PING');
    leaves.sendAll([SORT]);
    await sleep(10);
    leaves.socket.resetAndDestroy();
    await waitFor(async () => names(await slow()).includes('SORT'));
    const entry = (await slow()).find((one) => one.arguments[0] === 'SORT');
    expect(entry).toMatchObject({ arguments: SORT, client: '', client_name: '' });
  });

  it('is none that waits on purpose', async () => {
    await client.ask('BLPOP', 'nothing', '0.1');
    await client.ask('XREAD', 'BLOCK', '50', 'STREAMS', 'stream', '$');
    await client.ask('WAIT', '1', '50');
    const waiting = ['BLPOP', 'XREAD', 'WAIT'];
    expect((await slow()).filter((one) => waiting.includes(`${one.arguments[0]}`))).toEqual([]);
  });

  it('is none whose value comes slowly from its client, or goes there', async () => {
    const large = new LargeClient(proxy);
    open.push(() => large.close());
    await large.send(`*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$${2 * MB}\r\n`);
    await large.send(Buffer.alloc(MB, 'x'));
    await sleep(50);
    await large.send(Buffer.alloc(MB, 'x'));
    await large.send('\r\n');
    expect(await large.line()).toBe('+OK');
    for (let i = 0; i < 2; i++) {
      await large.send('GET huge\r\n');
      await sleep(50);
      await large.bytes(`$${2 * MB}\r\n`.length + 2 * MB + 2);
    }
    expect((await slow()).filter((one) => one.arguments[1] === 'huge')).toEqual([]);
  });
});

describe('what is kept of it', () => {
  const kept = async () => {
    const entries = await slow();
    await tune('10');
    return entries;
  };

  it('is cut as Redis cuts it', async () => {
    await tune('0');
    await client.ask('MGET', ...Array.from({ length: 40 }, (_, i) => `k${i}`));
    await client.ask('GET', 'k'.repeat(200));
    const [get, mget] = await kept();
    expect(get.arguments).toEqual(['GET', `${'k'.repeat(128)}... (72 more bytes)`]);
    expect(mget.arguments).toEqual([
      'MGET',
      ...Array.from({ length: 30 }, (_, i) => `k${i}`),
      '... (10 more arguments)',
    ]);
  });

  it('is no password', async () => {
    await tune('0');
    await client.ask('AUHT', 's3cret');
    await client.ask('ACL', 'SETUSER', 'bob', '>s3cret');
    await client.ask('CONFIG', 'SET', 'masterauth', 's3cret');
    await client.ask('MIGRATE', '127.0.0.1', '1', '', '0', '10', 'AUTH2', 'me', 's3cret', 'KEYS', 'none');
    await client.ask('CONFIG', 'SET', 'masterauth', '');
    const entries = await kept();
    expect(names(entries).slice(1).reverse()).toEqual(['AUHT', 'ACL', 'CONFIG', 'MIGRATE']);
    expect(JSON.stringify(entries)).not.toMatch(/s3cret/);
    expect(entries[3].arguments).toEqual(['ACL', 'SETUSER', '(redacted)', '(redacted)']);
    // These two go upstream with a wrong number of arguments only.
    expect(secretFrom('auth', frameOf('AUTH', 'me', 's3cret'))).toBe(1);
    expect(secretFrom('hello', frameOf('HELLO', '3', 'AUTH', 'me', 's3cret'))).toBe(2);
    await client.say('ACL', 'DELUSER', 'bob');
  });

  it('is shown in base64 when it is no text', async () => {
    await tune('0');
    await client.ask('GET', Buffer.from([0xff, 0]));
    expect((await kept())[0].arguments).toEqual(['GET', { base64: '/wA=' }]);
  });
});

it('keeps every command at 0, none at -1, and as many as it shall', async () => {
  await tune('-1');
  await client.say(...SORT);
  expect(await slow()).toEqual([]);
  await tune('0');
  client.sendAll(Array.from({ length: 9 }, (_, i) => ['GET', `k${i}`]));
  await client.replies(9);
  expect(await slow()).toHaveLength(9);
  await client.say('CONFIG', 'SET', 'heatsink.slowLog.maxLen', '3');
  expect((await slow()).map((entry) => entry.arguments[1])).toEqual(['k8', 'k7', 'k6']);
  await client.say('GET', 'k9');
  expect((await slow()).map((entry) => entry.arguments[1])).toEqual(['k9', 'k8', 'k7']);
  expect(await slow(proxy, '?top=1')).toHaveLength(1);
  expect((await proxy.admin('/slowlog?top=0')).status).toBe(400);
});

it('keeps each part of a command that several nodes answer, with its node', async () => {
  const cluster = await startCluster();
  open.push(() => cluster.stop());
  const own = await startProxy({ upstream: cluster.url, flags: { 'slow-log-slower-than': '0' } });
  open.push(() => own.close());
  const wire = wireTo(own);
  await wire.ask('MGET', 'a', 'b', 'c');
  const entries = await slow(own);
  expect(entries.map((entry) => entry.arguments.join(' ')).sort()).toEqual(['MGET a', 'MGET b', 'MGET c']);
  expect(new Set(entries.map(({ node }) => node)).size).toBeGreaterThan(1);
  expect(new Set(entries.map(({ client }) => client)).size).toBe(1);
});

it('counts the commands of all workers, and shows the newest of them', async () => {
  const flags = { workers: '2', 'slow-log-slower-than': '0', 'slow-log-max-len': '10' };
  const own = await startProxy({ upstream: redis.url, flags });
  open.push(() => own.close());
  const wires = Array.from({ length: 16 }, () => wireTo(own));
  for (const [i, wire] of wires.entries()) await wire.say('GET', `k${i}`);
  const entries = await slow(own);
  expect(entries.map(({ id }) => id)).toEqual([15, 14, 13, 12, 11, 10, 9, 8, 7, 6]);
  expect(entries.map((entry) => entry.arguments[1])).toEqual(entries.map(({ id }) => `k${id}`));
  expect((await own.metrics()).sum('heatsink_slow_commands_total')).toBe(16);
});
