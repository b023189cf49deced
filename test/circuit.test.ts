// A node that is out of reach or silent: its requests fail at once and clearly, nobody else's do, and it is in use
// again as soon as it answers.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
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

/** Waits until one client waits for a list there. */
async function blockedAt(server: RedisProcess): Promise<void> {
  await waitFor(async () => String(await server.call('INFO', 'clients')).includes('blocked_clients:1'));
}

const LOST =
  /^-ERR heatsink: the connection to \S+ \(.+\) broke before the reply; the command may have been executed$/;
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

describe('a node that is silent', () => {
  const QUICK = { 'reply-timeout': '500', 'connect-timeout': '1000' };

  it('keeps no pile of clients waiting, is out of reach for those that come, and is found again', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url, QUICK);
    const clients = Array.from({ length: 1000 }, () => wireTo(proxy));
    await Promise.all(clients.map((client) => client.say('PING')));
    const waiter = wireTo(proxy);
    waiter.sendAll([['BLPOP', 'list', '0']]);
    await blockedAt(upstream);
    upstream.kill('SIGSTOP');
    const replies = await Promise.all(
      clients.map((client, i) => (i % 2 ? client.say('GET', `k${i}`) : client.say('INCR', 'n'))),
    );
    replies.forEach((reply, i) => {
      expect(reply).toMatch(i % 2 ? UNREACHED : LOST);
    });
    expect((await waiter.replies(1)).toString()).toMatch(/^-ERR heatsink: the connection to .+ broke/);
    for (const client of clients.slice(0, 100)) expect(await client.say('SET', 'k', 'v')).toMatch(UNREACHED);
    expect((await proxy.metrics()).sum('heatsink_upstream_circuit_open')).toBe(1);
    expect((await proxy.metrics()).sum('heatsink_upstream_fast_failures_total')).toBeGreaterThanOrEqual(100);
    upstream.kill('SIGCONT');
    await waitFor(async () => (await clients[0].say('SET', 'k', 'v')) === '+OK');
    for (const client of clients.slice(0, 100)) expect(await client.say('GET', 'k')).toBe('$1\r\nv');
  });

  it('is told from one that runs a long script, whose clients all get their replies', async () => {
    const upstream = await redis(undefined, ['--busy-reply-threshold', '100']);
    const proxy = await proxyFor(upstream.url, QUICK);
    const [script, other, waiter] = [wireTo(proxy), wireTo(proxy), wireTo(proxy)];
    await Promise.all([script.say('PING'), other.say('PING')]);
    waiter.sendAll([['BLPOP', 'list', '0']]);
    await blockedAt(upstream);
    const long = `local t = redis.call('TIME') local till = t[1] + t[2] / 1e6 + 3
      repeat t = redis.call('TIME') until t[1] + t[2] / 1e6 > till return 'done'`;
    script.sendAll([['EVAL', long, '0']]);
    await waitFor(async () => (await other.say('GET', 'k')).startsWith('-BUSY'));
    expect((await script.replies(1)).toString()).toBe('$4\r\ndone\r\n');
    expect(await other.say('LPUSH', 'list', 'x')).toBe(':1');
    expect((await waiter.replies(1)).toString()).toContain('list');
    expect((await proxy.metrics()).sum('heatsink_upstream_circuit_opened_total')).toBe(0);
  });

  it('costs those nothing that wait on purpose while it is alive', async () => {
    const upstream = await redis();
    const proxy = await proxyFor(upstream.url, { ...QUICK, tier: 'off' });
    const [waiter, other] = [wireTo(proxy), wireTo(proxy)];
    waiter.sendAll([['BLPOP', 'list', '0']]);
    await waitFor(
      async () => (await proxy.metrics()).sum('heatsink_upstream_requests_total', { purpose: 'probe' }) > 0,
    );
    await sleep(500);
    expect(await other.say('LPUSH', 'list', 'x')).toBe(':1');
    expect((await waiter.replies(1)).toString()).toBe('*2\r\n$4\r\nlist\r\n$1\r\nx\r\n');
  });

  it('holds up nobody who asks the other nodes of its cluster', async () => {
    // The others serve their slots whatever becomes of this one.
    const cluster: Cluster = await startCluster({ args: ['--cluster-require-full-coverage', 'no'] });
    open.push(() => cluster.stop());
    const proxy = await proxyFor(cluster.url, QUICK);
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const dead = await cluster.slotOwner('a');
    const owners = await Promise.all(keys.map((key) => cluster.slotOwner(key)));
    const elsewhere = keys.filter((_, i) => owners[i] !== dead);
    expect(elsewhere.length).toBeGreaterThan(0);
    const [stuck, other] = [wireTo(proxy), wireTo(proxy)];
    await Promise.all(
      [stuck, other].map((client) => client.say('MSET', ...keys.flatMap((key) => [key, key]))),
    );
    dead.kill('SIGSTOP');
    stuck.sendAll([['INCR', '{a}n']]);
    let failed = false;
    const reply = stuck.replies(1).finally(() => {
      failed = true;
    });
    let served = 0;
    while (!failed) {
      for (const key of elsewhere) {
        expect(await other.say('GET', key)).toBe(`$1\r\n${key}`);
        served++;
      }
    }
    expect(served).toBeGreaterThan(100);
    expect((await reply).toString().trim()).toMatch(LOST);
    // The cluster calls itself down in time: its own words are as good.
    expect(await stuck.say('GET', 'a')).toMatch(/^-(ERR heatsink: cannot reach|CLUSTERDOWN)/);
    expect((await proxy.admin('/readyz')).status).toBe(200);
    dead.kill('SIGCONT');
    await waitFor(async () => (await stuck.say('GET', 'a')) === '$1\r\na', 15_000);
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
