// The admin server over real HTTP, with counters made up for the occasion.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metricsPage } from '../src/admin/metrics-table.ts';
import { type AdminServer, startAdmin } from '../src/admin/server.ts';
import type { AdminSource, Snapshot } from '../src/admin/snapshot.ts';
import { C, CounterMemory, countLatency } from '../src/counters.ts';
import { startProxy } from './support/heatsink.ts';
import { parseMetrics } from './support/metrics.ts';
import { startRedis, waitFor } from './support/redis.ts';

const counters = new CounterMemory(1).of(0);
let state: Snapshot;
let server: AdminServer;

const source: AdminSource = {
  info: { version: '1.2.3', thresholdPerSecond: 500, windowMs: 1000, top: 2 },
  snapshot: () => state,
  hotKeys: (top) =>
    [
      {
        key: Buffer.from('größe'),
        readsPerSecond: 900,
        hotSince: 0,
        hits: 5,
        bytes: 100,
        entries: 1,
        hot: true,
        writeHot: false,
        copies: 0,
        pinned: false,
        banned: false,
        node: null,
      },
      {
        key: Buffer.from([0xff, 0x00]),
        readsPerSecond: 600,
        hotSince: 0,
        hits: 0,
        bytes: 0,
        entries: 0,
        hot: true,
        writeHot: false,
        copies: 0,
        pinned: false,
        banned: false,
        node: null,
      },
      {
        key: Buffer.from('warm'),
        readsPerSecond: 40,
        hotSince: null,
        hits: 0,
        bytes: 0,
        entries: 0,
        hot: false,
        writeHot: false,
        copies: 0,
        pinned: false,
        banned: false,
        node: null,
      },
    ].slice(0, top),
  bigKeys: () => ({ top: 100, bytes: 10_240, elements: 5000, keys: [] }),
  slowCommands: () => ({ maxLen: 128, slowerThan: 10, entries: [] }),
};

beforeAll(async () => {
  state = {
    counters,
    tier: { bytes: 10, entries: 2, maxBytes: 1000 },
    hotKeys: 2,
    candidates: 3,
    replicas: [],
    nodes: [
      {
        address: '127.0.0.1:7000',
        connected: true,
        circuitOpen: false,
        pending: 4,
        requests: 0,
        spared: 0,
        tracking: 'on',
        proofAgeMs: 250,
      },
    ],
    ready: true,
    reasons: [],
    pinned: [],
    banned: [],
  };
  server = await startAdmin(source, { host: '127.0.0.1', port: 0 }, pino({ level: 'silent' }));
});

afterAll(() => server.close());

const get = (path: string, init?: RequestInit) => fetch(`http://${server.address}${path}`, init);
const hotKeys = async (query: string) =>
  (await (await get(`/hotkeys${query}`)).json()) as { threshold: number; keys: unknown[] };
const scrape = async () => parseMetrics(await (await get('/metrics')).text());

describe('/metrics', () => {
  it('shows the counters, the gauges and the process', async () => {
    counters[C.hit] = 7;
    counters[C.accepted] = 5;
    counters[C.closed] = 2;
    const metrics = await scrape();
    expect(metrics.sum('heatsink_requests_total', { outcome: 'tier_hit' })).toBe(7);
    expect(metrics.sum('heatsink_connected_clients')).toBe(3);
    expect(metrics.sum('heatsink_staleness_bound_seconds', { node: '127.0.0.1:7000' })).toBe(0.25);
    expect(metrics.sum('heatsink_build_info', { version: '1.2.3' })).toBe(1);
    expect(metrics.sum('process_resident_memory_bytes')).toBeGreaterThan(0);
  });

  it('shows the latency as a cumulative histogram with the right buckets', async () => {
    for (const micros of [10, 32, 33, 1000, 2_000_000, 90_000_000]) countLatency(counters, micros);
    const metrics = await scrape();
    const below = (le: string) => metrics.sum('heatsink_upstream_latency_seconds_bucket', { le });
    expect(below('0.000032')).toBe(2);
    expect(below('0.000064')).toBe(3);
    expect(below('0.001024')).toBe(4);
    expect(below('2.097152')).toBe(5);
    expect(below('4.194304')).toBe(5);
    expect(below('+Inf')).toBe(6);
    expect(metrics.sum('heatsink_upstream_latency_seconds_count')).toBe(6);
    expect(metrics.sum('heatsink_upstream_latency_seconds_sum')).toBeCloseTo(92.001075, 6);
  });

  it('is described in docs/metrics.md as it is (else: npm run docs)', () => {
    expect(readFileSync(new URL('../docs/metrics.md', import.meta.url), 'utf8')).toBe(metricsPage());
  });
});

describe('health', () => {
  it('is ready, and says why when it is not', async () => {
    expect((await get('/healthz')).status).toBe(200);
    expect(await (await get('/readyz')).json()).toEqual({ ready: true, reasons: [] });
    state = { ...state, ready: false, reasons: ['no upstream'] };
    const response = await get('/readyz');
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ ready: false, reasons: ['no upstream'] });
    expect((await get('/healthz')).status).toBe(200);
  });
});

it('is not ready while the upstream is gone, and is again when it is back', async () => {
  const upstream = await startRedis();
  const proxy = await startProxy({ upstream: upstream.url });
  const status = async () => (await proxy.admin('/readyz')).status;
  expect(await status()).toBe(200);
  await upstream.stop();
  await waitFor(async () => (await status()) === 503, 5000);
  const again = await startRedis({ port: upstream.port });
  await waitFor(async () => (await status()) === 200, 5000);
  await proxy.close();
  await again.stop();
});

it('counts no round trip to the upstream that took longer than heatsink is up', async () => {
  const upstream = await startRedis();
  const begun = performance.now();
  const proxy = await startProxy({ upstream: upstream.url });
  const latencies = async (what: string) =>
    (await proxy.metrics()).sum(`heatsink_upstream_latency_seconds_${what}`);
  const count = await waitFor(() => latencies('count'), 5000);
  const sum = await latencies('sum');
  expect(sum / count).toBeLessThan((performance.now() - begun) / 1000);
  await proxy.close();
  await upstream.stop();
});

describe('/hotkeys', () => {
  it('lists the most read keys, those that are not text in base64', async () => {
    const { keys, threshold } = await hotKeys('?top=3');
    expect(threshold).toBe(500);
    expect(keys).toMatchObject([
      { key: 'größe', reads_per_second: 900, state: 'tier', hot_since: '1970-01-01T00:00:00.000Z' },
      { key: '/wA=', encoding: 'base64', state: 'hot' },
      { key: 'warm', state: 'candidate', hot_since: null },
    ]);
  });

  it('lists as many as configured unless asked for more, and refuses nonsense', async () => {
    expect((await hotKeys('')).keys).toHaveLength(2);
    for (const top of ['0', '-1', 'x', '1.5']) expect((await get(`/hotkeys?top=${top}`)).status).toBe(400);
  });
});

it('serves GET and HEAD of known paths only', async () => {
  expect((await get('/')).status).toBe(200);
  const head = await get('/metrics', { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
  expect((await get('/metrics', { method: 'POST' })).status).toBe(405);
  expect((await get('/nowhere')).status).toBe(404);
});

it('says what is wrong with an odd request target, and takes no host for a path', async () => {
  const log: string[] = [];
  const own = await startAdmin(
    source,
    { host: '127.0.0.1', port: 0 },
    pino({}, { write: (line) => log.push(line) }),
  );
  const status = async (path: string) => {
    // Not fetch: it would tidy the target up before it sends it.
    const [host, port] = own.address.split(':');
    const [response] = await once(request({ host, port, path }).end(), 'response');
    response.resume();
    return response.statusCode;
  };
  expect(await status('//')).toBe(404);
  expect(await status('//metrics')).toBe(404);
  expect(await status('http://[bad/')).toBe(400);
  expect(await status(`http://${own.address}/healthz`)).toBe(200);
  expect(log).toEqual([]);
  await own.close();
});

it('closes at once, however many connections are idle or wait for an answer', async () => {
  let asked = () => {};
  const reached = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const stuck: AdminSource = {
    ...source,
    snapshot() {
      asked();
      return new Promise(() => {});
    },
  };
  const own = await startAdmin(stuck, { host: '127.0.0.1', port: 0 }, pino({ level: 'silent' }));
  const [host, port] = own.address.split(':');
  const idle = connect(Number(port), host);
  await once(idle, 'connect');
  const waiting = fetch(`http://${own.address}/metrics`).then(
    () => 'answered',
    () => 'cut',
  );
  await reached;
  const gone = once(idle, 'close');
  const begun = performance.now();
  await own.close();
  expect(performance.now() - begun).toBeLessThan(1000);
  expect(await waiting).toBe('cut');
  await gone;
});
