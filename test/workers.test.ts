// Several worker threads behind one port: to clients they are one heatsink, and one of them may crash.

import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config/load.ts';
import { type Heatsink, startHeatsink } from '../src/heatsink.ts';
import { describeProxy, spawnProxy } from './support/heatsink-process.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const WORKERS = 3;
/** So many clients that none of the workers is left without one, but once in a hundred million runs. */
const CLIENTS = 48;

let redis: RedisProcess;
let heatsink: Heatsink;
let port: number;
let metrics: () => Promise<{ sum(name: string, labels?: Record<string, string>): number }>;
let adminPort: number;
const wires: Wire[] = [];

beforeAll(async () => {
  redis = await startRedis();
  const flags = { workers: `${WORKERS}`, listen: '127.0.0.1:0', admin: '127.0.0.1:0', upstream: redis.url };
  const config = loadConfig({ flags: { ...flags, 'hot-threshold': '300' }, env: {} });
  heatsink = await startHeatsink(config, { log: pino({ level: 'silent' }) });
  port = portOf(heatsink.address);
  adminPort = portOf(heatsink.adminAddress as string);
  metrics = describeProxy('127.0.0.1', port, adminPort).metrics;
});

afterEach(() => {
  for (const wire of wires.splice(0)) wire.close();
});

afterAll(async () => {
  await heatsink.close();
  await redis.stop();
});

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

function client(): Wire {
  const wire = new Wire(port);
  wires.push(wire);
  return wire;
}

/** Clients that are connected, on all workers. */
async function crowd(count = CLIENTS): Promise<Wire[]> {
  const all = Array.from({ length: count }, client);
  await Promise.all(all.map((wire) => wire.say('PING')));
  return all;
}

const idOf = async (wire: Wire) => (await wire.say('CLIENT', 'ID')).slice(1);

describe('clients of all workers', () => {
  it('have ids of their own and are in one CLIENT LIST, one INFO and one metric', async () => {
    const all = await crowd();
    const ids = await Promise.all(all.map(idOf));
    expect(new Set(ids).size).toBe(CLIENTS);
    const listed = [...(await all[0].say('CLIENT', 'LIST')).matchAll(/\bid=(\d+) /g)].map(([, id]) => id);
    expect(listed).toEqual([...ids].sort((a, b) => Number(a) - Number(b)));
    expect(await all[1].say('CLIENT', 'LIST', 'ID', ids[3], ids[2])).toMatch(
      new RegExp(`id=${ids[3]} [^]*id=${ids[2]} `),
    );
    expect(await all[2].say('INFO', 'clients')).toContain(`connected_clients:${CLIENTS}\r\n`);
    expect((await metrics()).sum('heatsink_connected_clients')).toBe(CLIENTS);
  });

  it('can be killed from any of them', async () => {
    const all = await crowd();
    const ids = await Promise.all(all.map(idOf));
    expect(await all[0].say('CLIENT', 'KILL', 'ID', ids[20])).toBe(':1');
    await waitFor(() => all[20].closed);
    expect(await all[0].say('CLIENT', 'KILL', 'ID', ids[20])).toBe(':0');
    expect(await all[0].say('CLIENT', 'KILL', 'USER', 'nobody')).toBe("-ERR No such user 'nobody'");
    expect(await all[0].say('CLIENT', 'KILL', 'TYPE', 'normal')).toBe(`:${CLIENTS - 2}`);
    await waitFor(() => all.filter(({ closed }) => closed).length === CLIENTS - 1);
  });

  it('are paused together, and go on together', async () => {
    const all = await crowd();
    expect(await all[0].say('CLIENT', 'PAUSE', '100000', 'WRITE')).toBe('+OK');
    for (const wire of all.slice(1)) wire.sendAll([['INCR', 'paused']]);
    await waitFor(async () =>
      (await all[0].say('INFO', 'clients')).includes(`blocked_clients:${CLIENTS - 1}`),
    );
    expect(await redis.call('GET', 'paused')).toBeNull();
    expect(await all[0].say('GET', 'paused')).toBe('$-1');
    expect(await all[0].say('CLIENT', 'UNPAUSE')).toBe('+OK');
    await Promise.all(all.slice(1).map((wire) => wire.replies(1)));
    expect(await redis.call('GET', 'paused')).toBe(`${CLIENTS - 1}`);
  });

  it('are unblocked from any of them', async () => {
    const [asks, ...all] = await crowd(16);
    for (const wire of all) {
      const id = await idOf(wire);
      wire.sendAll([['BLPOP', 'nothing', '0']]);
      await waitFor(async () => (await asks.say('CLIENT', 'UNBLOCK', id, 'ERROR')) === ':1');
      expect(`${(await wire.replies(1))[0]}`).toContain('UNBLOCKED');
    }
  });

  it('get the invalidations that clients of other workers redirect to them', async () => {
    const [asks, ...all] = await crowd(9);
    for (const [i, wire] of all.entries()) {
      const id = await idOf(wire);
      await wire.say('SUBSCRIBE', '__redis__:invalidate');
      expect(await asks.say('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id)).toBe('+OK');
      await asks.say('GET', `told:${i}`);
      await redis.call('SET', `told:${i}`, 'x');
      expect(`${(await wire.replies(1))[0]}`).toContain(`told:${i}`);
      expect(await asks.say('CLIENT', 'TRACKING', 'OFF')).toBe('+OK');
    }
  });

  it('see an option change that one of them has made', async () => {
    const all = await crowd();
    expect(await all[0].say('CONFIG', 'SET', 'heatsink.tier.ttl', '12345')).toBe('+OK');
    const seen = await Promise.all(all.map((wire) => wire.say('CONFIG', 'GET', 'heatsink.tier.ttl')));
    expect(new Set(seen)).toEqual(new Set(['*2\r\n$17\r\nheatsink.tier.ttl\r\n$5\r\n12345']));
  });
});

describe('a key', () => {
  it('is hot by the reads of all workers together', async () => {
    const all = await crowd();
    await all[0].say('SET', 'shared', 'v');
    const hits = async () => (await metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
    // 480 reads within the window, of which each worker has seen about a third: less than a hot key has.
    const before = await hits();
    await waitFor(async () => {
      // The reads of an earlier try have left the window.
      await sleep(1100);
      for (let i = 0; i < 10; i++) await Promise.all(all.map((wire) => wire.say('GET', 'shared')));
      const { body } = await describeProxy('127.0.0.1', port, adminPort).admin('/hotkeys');
      const [hottest] = (body as { keys: { key: string; state: string; entries: number }[] }).keys;
      return hottest.key === 'shared' && hottest.state === 'tier' && hottest.entries === WORKERS;
    });
    expect(await hits()).toBeGreaterThan(before);
  });

  it('that is written through one worker is old in the tiers of all', async () => {
    const all = await crowd();
    for (let round = 0; round < 50; round++) {
      const writer = all[round % CLIENTS];
      await writer.say('SET', 'everywhere', `${round}`);
      const seen = await Promise.all(all.map((wire) => wire.say('GET', 'everywhere')));
      expect(new Set(seen)).toEqual(new Set([`$${`${round}`.length}\r\n${round}`]));
    }
    expect((await metrics()).sum('heatsink_tier_entries')).toBeGreaterThan(0);
  });
});

describe('a worker that crashes', () => {
  it("is replaced, and the other workers' clients notice nothing", async () => {
    const all = await crowd();
    await all[0].say('CONFIG', 'SET', 'heatsink.tier.ttl', '54321');
    // A write whose worker is gone before its reply must not keep the key out of the tiers for ever.
    await redis.call('CLIENT', 'PAUSE', '600', 'WRITE');
    for (const wire of all) wire.sendAll([['SET', 'everywhere', 'last']]);
    await sleep(100);
    heatsink.crashWorker(1);
    await waitFor(() => all.some(({ closed }) => closed));
    const left = all.filter(({ closed }) => !closed);
    for (const wire of left) expect(`${(await wire.replies(1))[0]}`).toBe('+OK\r\n');
    expect(left.length).toBeGreaterThan(0);
    await waitFor(async () => (await metrics()).sum('heatsink_connected_clients') === left.length);

    await waitFor(async () => {
      const { body } = await describeProxy('127.0.0.1', port, adminPort).admin('/readyz');
      return (body as { reasons: string[] }).reasons.length === 0;
    });
    const again = await crowd();
    const seen = await Promise.all(again.map((wire) => wire.say('CONFIG', 'GET', 'heatsink.tier.ttl')));
    expect(new Set(seen).size).toBe(1);
    await waitFor(async () => {
      await Promise.all([...again, ...left].map((wire) => wire.say('GET', 'everywhere')));
      const { body } = await describeProxy('127.0.0.1', port, adminPort).admin('/hotkeys');
      const { keys } = body as { keys: { key: string; entries: number }[] };
      return keys.find(({ key }) => key === 'everywhere')?.entries === WORKERS;
    });
  });
});

describe('a port', () => {
  it('that another program has is not shared with it', async () => {
    const flags = { workers: '2', listen: `127.0.0.1:${port}`, admin: 'off', upstream: redis.url };
    const config = loadConfig({ flags, env: {} });
    await expect(startHeatsink(config, { log: pino({ level: 'silent' }) })).rejects.toThrow('EADDRINUSE');
  });
});

describe('SIGTERM', () => {
  it('lets all workers answer what is in flight, accepts nobody, and ends the process', async () => {
    const proxy = await spawnProxy({ upstream: redis.url, flags: { workers: '2' } });
    const all = Array.from({ length: 16 }, () => new Wire(proxy.port));
    await Promise.all(all.map((wire) => wire.say('PING')));
    await redis.call('CLIENT', 'PAUSE', '500', 'WRITE');
    for (const wire of all) wire.sendAll([['INCR', 'drained']]);
    await sleep(100);
    const ended = proxy.stop();
    await waitFor(() => refused(proxy.port));
    await Promise.all(all.map((wire) => wire.replies(1)));
    expect(await ended).toBe(0);
    expect(await redis.call('GET', 'drained')).toBe('16');
    for (const wire of all) wire.close();
  });
});

function refused(to: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(to, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}
