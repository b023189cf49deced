// A node that is out of reach or silent: its requests fail at once and clearly, nobody else's do, and it is in use
// again as soon as it answers.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { type Relay, startRelay } from './support/relay.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function redis(port?: number, args: string[] = []): Promise<RedisProcess> {
  const server = await startRedis({ args, ...(port === undefined ? {} : { port }) });
  open.push(() => server.stop());
  return server;
}

async function relayTo(server: RedisProcess): Promise<Relay> {
  const relay = await startRelay(server.port);
  open.push(() => relay.close());
  return relay;
}

async function proxyFor(upstream: string, flags: Record<string, string> = {}): Promise<RunningProxy> {
  const proxy = await startProxy({ upstream, flags });
  open.push(() => proxy.close());
  return proxy;
}

function wireTo({ port }: { port: number }, patience?: number): Wire {
  const wire = new Wire(port, patience);
  open.push(() => wire.close());
  return wire;
}

const UNREACHED = /^-ERR heatsink: cannot reach \S+ \(.+\); the command was not sent$/;

describe('a node that was killed', () => {
  it('fails the requests of a thousand clients at once, while one connection at a time looks for it', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url);
    const clients = Array.from({ length: 1000 }, () => wireTo(proxy));
    await Promise.all(clients.map((client) => client.say('PING')));
    await upstream.stop();
    await waitFor(async () => UNREACHED.test(await clients[0].say('GET', 'k')));
    const before = await proxy.metrics();
    expect(before.sum('heatsink_upstream_circuit_open')).toBe(1);
    expect(before.sum('heatsink_upstream_circuit_opened_total')).toBe(1);
    for (const command of [
      ['SET', 'k', 'v'],
      ['GET', 'k'],
      ['BLPOP', 'list', '0'],
      ['SUBSCRIBE', 'channel'],
    ]) {
      const replies = await Promise.all(clients.slice(0, 250).map((client) => client.say(...command)));
      for (const reply of replies) expect(reply, command[0]).toMatch(UNREACHED);
    }
    const after = await proxy.metrics();
    const grown = (name: string) => after.sum(name) - before.sum(name);
    expect(grown('heatsink_upstream_fast_failures_total')).toBeGreaterThanOrEqual(1000);
    expect(grown('heatsink_upstream_connects_total')).toBe(0);
    expect(grown('heatsink_upstream_circuit_opened_total')).toBe(0);
    await redis(upstream.port);
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_upstream_circuit_open') === 0);
    const back = await Promise.all(clients.map((client) => client.say('SET', 'k', 'v')));
    expect(new Set(back)).toEqual(new Set(['+OK']));
    expect((await proxy.metrics()).sum('heatsink_upstream_connected')).toBe(1);
  });

  it('is looked for no more once heatsink is closed', async () => {
    const upstream = await redis();
    const relay = await relayTo(upstream);
    const proxy = await proxyFor(`redis://127.0.0.1:${relay.port}`, { 'connect-timeout': '100' });
    relay.mute = true;
    relay.cut();
    await waitFor(async () => (await proxy.metrics()).sum('heatsink_upstream_circuit_open') === 1);
    await proxy.close();
    const before = relay.accepted;
    await sleep(500);
    expect(relay.accepted).toBe(before);
  });
});

describe('a port that accepts connections and never answers', () => {
  it('costs the first clients the connect timeout, and those after them nothing', async () => {
    const upstream = await redis();
    const relay = await relayTo(upstream);
    const proxy = await proxyFor(`redis://127.0.0.1:${relay.port}`, {
      'connect-timeout': '500',
      tier: 'off',
    });
    const clients = Array.from({ length: 100 }, () => wireTo(proxy));
    await Promise.all(clients.map((client) => client.ask('HELLO', 3)));
    relay.mute = true;
    relay.cut();
    const replies = await Promise.all(clients.map((client) => client.say('GET', 'k')));
    for (const reply of replies) expect(reply).toMatch(UNREACHED);
    // Should each of them wait for a connection of its own, the last would be silent for too long.
    for (const client of clients) expect(await client.say('SET', 'k', 'v')).toMatch(UNREACHED);
    expect((await proxy.metrics()).sum('heatsink_upstream_fast_failures_total')).toBeGreaterThan(90);
    relay.mute = false;
    await waitFor(async () => (await clients[0].say('SET', 'k', 'v')) === '+OK');
    expect(await clients[1].say('GET', 'k')).toBe('$1\r\nv');
  });
});

describe('a server that is alive and refuses', () => {
  it('does so in its own words, and is no node out of reach', async () => {
    const upstream = await redis(undefined, ['--busy-reply-threshold', '50']);
    const proxy = await proxyFor(upstream.url, { tier: 'off' });
    const [script, other] = [wireTo(proxy), wireTo(proxy)];
    await Promise.all([script.say('PING'), other.say('PING')]);
    script.sendAll([['EVAL', 'while true do end', '0']]);
    await waitFor(async () => (await other.say('GET', 'k')).startsWith('-BUSY'));
    // A lane for another database cannot be opened now.
    expect(await other.say('SELECT', '3')).toBe('+OK');
    expect(await other.say('GET', 'k')).toMatch(/^-BUSY /);
    expect(await other.say('GET', 'k')).toMatch(/^-BUSY /);
    const metrics = await proxy.metrics();
    expect(metrics.sum('heatsink_upstream_circuit_opened_total')).toBe(0);
    expect(await wireTo(proxy).say('SCRIPT', 'KILL')).toBe('+OK');
    expect((await script.replies(1)).toString()).toMatch(/^-ERR Script killed by user/);
    await waitFor(async () => (await other.say('GET', 'k')) === '$-1');
  });

  it('a user of a client refuses only that client', async () => {
    const upstream = await redis();
    await upstream.call('ACL', 'SETUSER', 'some', 'on', '>secret', '~*', '+@all');
    const proxy = await proxyFor(upstream.url, { auth: 'upstream' });
    const [user, other] = [wireTo(proxy), wireTo(proxy)];
    expect(await user.say('AUTH', 'some', 'secret')).toBe('+OK');
    expect(await user.say('GET', 'k')).toBe('$-1');
    await upstream.call('ACL', 'SETUSER', 'some', 'resetpass', '>another');
    await upstream.call('CLIENT', 'KILL', 'USER', 'some');
    await waitFor(async () => (await user.say('GET', 'k')).startsWith('-WRONGPASS'));
    expect(await other.say('SET', 'k', 'v')).toBe('+OK');
    expect((await proxy.metrics()).sum('heatsink_upstream_circuit_opened_total')).toBe(0);
  });
});
