// Guessing passwords: it gets slower with every wrong one, for whoever guesses and for nobody else.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Guesses } from '../src/access/guesses.ts';
import { encodeRequest } from '../src/resp3/encode.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

let redis: RedisProcess;
let folder: string;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  redis = await startRedis({ args: ['--requirepass', 'secret'] });
  folder = mkdtempSync(join(tmpdir(), 'heatsink-'));
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

afterAll(async () => {
  rmSync(folder, { recursive: true });
  await redis.stop();
});

async function proxyWith(checks: string, flags: Record<string, string> = {}): Promise<RunningProxy> {
  const password = `#${createHash('sha256').update('secret').digest('hex')}`;
  const file = join(folder, `${checks}.yaml`);
  writeFileSync(
    file,
    checks === 'users' ? `users: [{ name: default, password: '${password}' }]` : 'auth: upstream',
  );
  const proxy = await startProxy({ upstream: `redis://:secret@127.0.0.1:${redis.port}`, flags, file });
  closing.push(() => proxy.close());
  return proxy;
}

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port);
  closing.push(() => wire.close());
  return wire;
}

/** Logs in with the right password from another address of this machine; the reply. */
async function loginFrom(localAddress: string, port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  closing.push(() => socket.destroy());
  socket.write(encodeRequest(['AUTH', 'secret']));
  for await (const chunk of socket) return String(chunk);
  return '';
}

describe.each(['users', 'upstream'])('wrong passwords, checked by %s,', (checks) => {
  it('are answered later and later, on all connections of their address', async () => {
    const proxy = await proxyWith(checks);
    const [guesser, another, honest] = [wireTo(proxy), wireTo(proxy), wireTo(proxy)];
    expect(await honest.say('AUTH', 'secret')).toBe('+OK');
    const began = performance.now();
    for (let i = 0; i < 3; i++) {
      expect(await guesser.say('AUTH', `guess${i}`)).toMatch(/^-WRONGPASS/);
      expect(await another.say('HELLO', '3', 'AUTH', 'default', `guess${i}`)).toMatch(/^-WRONGPASS/);
    }
    // 50, 100, 200, 400 and 800 ms.
    expect(performance.now() - began).toBeGreaterThan(1500);
    expect((await proxy.metrics()).sum('heatsink_auth_failures_total')).toBe(6);
    // The next one waits for 1.6 s; meanwhile who is in goes on, and others come in.
    let answered = false;
    const late = guesser.say('AUTH', 'secret').then((reply) => {
      answered = true;
      return reply;
    });
    for (let i = 0; i < 20; i++) expect(await honest.say('PING')).toBe('+PONG');
    expect(await loginFrom('127.0.0.2', proxy.port)).toBe('+OK\r\n');
    expect(answered).toBe(false);
    expect(await late).toBe('+OK');
  });

  it('make nobody wait with client.authDelay 0', async () => {
    const proxy = await proxyWith(checks, { 'auth-delay': '0' });
    const wire = wireTo(proxy);
    const commands = Array.from({ length: 50 }, () => ['AUTH', 'guess']);
    wire.sendAll([...commands, ['AUTH', 'secret'], ['PING']]);
    const replies = await wire.replies(52);
    expect(replies.slice(50).join('')).toBe('+OK\r\n+PONG\r\n');
  });
});

it('a client that leaves while its login waits leaves nothing behind', async () => {
  const proxy = await proxyWith('users');
  const guesser = wireTo(proxy);
  for (let i = 0; i < 4; i++) await guesser.say('AUTH', 'guess');
  guesser.sendAll([['AUTH', 'guess'], ['PING']]);
  guesser.socket.resetAndDestroy();
  const honest = wireTo(proxy);
  expect(await honest.say('AUTH', 'secret')).toBe('+OK');
  await waitFor(async () => (await proxy.metrics()).sum('heatsink_connected_clients') === 1);
  expect(await honest.say('PING')).toBe('+PONG');
});

describe('what is remembered of guesses', () => {
  it('doubles to the longest wait, and is forgotten after a quiet minute', () => {
    const guesses = new Guesses({ authDelay: 300 });
    const waits = [];
    for (let i = 0; i < 5; i++) {
      guesses.failed('10.0.0.1:5000', 1000);
      waits.push(guesses.waitOf('10.0.0.1:6000', 1000));
    }
    expect(waits).toEqual([50, 100, 200, 300, 300]);
    expect(guesses.waitOf('10.0.0.1:1', 1299)).toBe(1);
    expect(guesses.waitOf('10.0.0.1:1', 1300)).toBe(0);
    expect(guesses.waitOf('10.0.0.2:5000', 1000)).toBe(0);
    guesses.failed('10.0.0.1:5000', 70_000);
    expect(guesses.waitOf('10.0.0.1:1', 70_000)).toBe(50);
  });

  it('is of an address of IPv4, or of the 64 bits that one host of IPv6 has for itself', () => {
    const guesses = new Guesses({ authDelay: 300 });
    guesses.failed('::ffff:10.0.0.1:5000', 0);
    expect(guesses.waitOf('10.0.0.1:1', 0)).toBe(50);
    guesses.failed('2001:db8:0:1:2:3:4:5:5000', 0);
    expect(guesses.waitOf('2001:db8:0:1::7:1', 0)).toBe(50);
    expect(guesses.waitOf('2001:db8::1:0:0:0:9:1', 0)).toBe(50);
    expect(guesses.waitOf('2001:db8:0:2::7:1', 0)).toBe(0);
    expect(guesses.waitOf('2001:db8::7:1', 0)).toBe(0);
  });

  it('is bounded: those who were quiet for longest go first', () => {
    const guesses = new Guesses({ authDelay: 300 });
    for (let i = 0; i <= 10_000; i++) guesses.failed(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:1`, 0);
    expect(guesses.waitOf('10.0.0.0:1', 0)).toBe(0);
    expect(guesses.waitOf('10.0.0.1:1', 0)).toBe(50);
  });
});
