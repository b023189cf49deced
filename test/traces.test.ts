// Traces: some requests as OpenTelemetry's spans, when the environment asks for them; a real collector takes them.

import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTraceSettings } from '../src/config/traces.ts';
import { type ProxyProcess, spawnProxy } from './support/heatsink.ts';
import { type Collector, type SpanSeen, startCollector } from './support/otlp.ts';
import { freePort, type RedisProcess, startRedis, waitFor } from './support/redis.ts';

const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;
const EAGER = { 'hot-threshold': '20', 'hot-window': '500' };

let server: RedisProcess;
let collector: Collector;
const open: (() => unknown)[] = [];

beforeAll(async () => {
  [server, collector] = await Promise.all([startRedis(), startCollector()]);
  open.push(() => server.stop(), collector.close);
});
afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function proxy(env: NodeJS.ProcessEnv, flags: Record<string, string> = {}): Promise<ProxyProcess> {
  const started = await spawnProxy({
    upstream: server.url,
    flags: { workers: '1', ...EAGER, ...flags },
    env,
  });
  open.push(started.close);
  return started;
}

function clientOf({ port }: { port: number }): Redis {
  const redis = new Redis(port, { maxRetriesPerRequest: 1 });
  open.push(() => redis.disconnect());
  return redis;
}

function tracing(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { url } = collector;
  const everything = { OTEL_TRACES_SAMPLER: 'always_on', OTEL_BSP_SCHEDULE_DELAY: '20' };
  return { OTEL_EXPORTER_OTLP_ENDPOINT: url, ...everything, ...more };
}

describe('traces of requests', () => {
  let heatsink: ProxyProcess;
  let redis: Redis;

  beforeAll(async () => {
    heatsink = await proxy(
      tracing({
        OTEL_SERVICE_NAME: 'shop-redis',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      }),
    );
    redis = clientOf(heatsink);
  });

  const served = (name: string, outcome: string, fits: (span: SpanSeen) => boolean = () => true) =>
    waitFor(() =>
      collector.spans.find(
        (span) => span.name === name && span.attributes['heatsink.outcome'] === outcome && fits(span),
      ),
    );
  const under = ({ traceId, spanId }: SpanSeen) =>
    collector.spans.filter((span) => span.traceId === traceId && span.parent === spanId);

  it('show a forwarded request, and its round trip to the node as a part of it', async () => {
    await redis.set('secret-key', 'secret-value');
    const span = await served('SET', 'forwarded');
    expect(span).toMatchObject({ kind: SERVER, parent: '', status: 0 });
    expect(span.attributes).toEqual({
      'db.system.name': 'redis',
      'db.operation.name': 'SET',
      'db.namespace': '0',
      'server.address': '127.0.0.1',
      'server.port': heatsink.port,
      'heatsink.outcome': 'forwarded',
    });
    const [trip, ...others] = under(span);
    expect(others).toEqual([]);
    expect(trip).toMatchObject({ name: 'SET', kind: CLIENT, status: 0 });
    expect(trip.attributes).toEqual({
      'db.system.name': 'redis',
      'db.operation.name': 'SET',
      'db.namespace': '0',
      'server.address': server.host,
      'server.port': server.port,
    });
    expect(trip.start).toBeGreaterThanOrEqual(span.start);
    expect(trip.end).toBeGreaterThan(trip.start);
    expect(trip.end).toBeLessThanOrEqual(span.end);
    expect(Math.abs(Number(span.end / 1_000_000n) - Date.now())).toBeLessThan(60_000);
    expect(span.resource).toMatchObject({
      'service.name': 'shop-redis',
      'deployment.environment.name': 'test',
      'heatsink.worker': 0,
    });
  });

  it('show a hit of the tier as a request without a round trip', async () => {
    await waitFor(async () => {
      for (let i = 0; i < 50; i++) await redis.get('secret-key');
      return (await heatsink.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' }) > 0;
    });
    const span = await served('GET', 'tier_hit');
    expect(span).toMatchObject({ kind: SERVER, status: 0 });
    expect(under(span)).toEqual([]);
  });

  it('show who shared the read of another client', async () => {
    const others = Array.from({ length: 20 }, () => clientOf(heatsink));
    await Promise.all(others.map((other) => other.ping()));
    await waitFor(async () => {
      const key = `cold ${Math.random()}`;
      await Promise.all(others.map((other) => other.get(key)));
      return (await heatsink.metrics()).sum('heatsink_requests_total', { outcome: 'coalesced' }) > 0;
    });
    expect(under(await served('GET', 'coalesced'))).toEqual([]);
  });

  it('show errors by the first word of the reply, on the request and on the round trip', async () => {
    await expect(redis.hget('secret-key', 'field')).rejects.toThrow('WRONGTYPE');
    const span = await served('HGET', 'forwarded');
    for (const failed of [span, ...under(span)]) {
      expect(failed.status).toBe(ERROR);
      expect(failed.attributes).toMatchObject({
        'db.response.status_code': 'WRONGTYPE',
        'error.type': 'WRONGTYPE',
      });
    }
    expect(under(span)).toHaveLength(1);
  });

  it('show what heatsink answers itself or refuses, and what it does not know without its name', async () => {
    await redis.client('GETNAME');
    await expect(redis.call('SHUTDOWN')).rejects.toThrow();
    await expect(redis.call('SECRET-COMMAND')).rejects.toThrow('unknown command');
    expect((await served('CLIENT GETNAME', 'local')).status).toBe(0);
    const refused = await waitFor(() => collector.spans.find(({ name }) => name === 'SHUTDOWN'));
    expect(refused.status).toBe(ERROR);
    expect((await waitFor(() => collector.spans.find(({ name }) => name === '_OTHER'))).status).toBe(ERROR);
  });

  it('show the time for which a request had to wait as a part of it, and others meanwhile', async () => {
    const behind = clientOf(heatsink);
    const popped = behind.blpop('queue', 0);
    const read = behind.strlen('secret-key');
    await waitFor(async () => /blocked_clients:1/.test(String(await server.call('INFO', 'clients'))));
    await redis.rpush('queue', 'secret-value');
    const pushed = await served('RPUSH', 'forwarded');
    await Promise.all([popped, read]);
    const span = await served('STRLEN', 'forwarded');
    expect(span.start).toBeLessThan(pushed.start);
    expect(under(span)[0].start).toBeGreaterThan(pushed.start);
  });

  it('show a client that leaves before its reply', async () => {
    server.kill('SIGSTOP');
    const leaving = connect(heatsink.port, '127.0.0.1');
    leaving.write('LPUSH list value\r\n');
    await waitFor(async () => (await heatsink.metrics()).sum('heatsink_upstream_pending_requests') > 0);
    leaving.resetAndDestroy();
    const span = await served('LPUSH', 'forwarded');
    expect(span.attributes['error.type']).toBe('client_gone');
    server.kill('SIGCONT');
  });

  it('carry no key and no value', () => {
    const sent = collector.bodies();
    expect(sent).toContain('WRONGTYPE');
    for (const hidden of ['secret-key', 'secret-value', 'SECRET']) expect(sent).not.toContain(hidden);
  });
});

it('traces of all workers are sent before heatsink ends', async () => {
  const resource = 'run=short';
  const slow = { OTEL_BSP_SCHEDULE_DELAY: '60000', OTEL_RESOURCE_ATTRIBUTES: resource };
  const heatsink = await proxy(tracing(slow), { workers: '2' });
  const clients = Array.from({ length: 40 }, () => clientOf(heatsink));
  await Promise.all(clients.map((client, i) => client.set(`key ${i}`, i)));
  for (const client of clients) client.disconnect();
  const sets = () =>
    collector.spans.filter(
      ({ name, kind, resource }) => resource.run === 'short' && name === 'SET' && kind === SERVER,
    );
  expect(sets()).toEqual([]);
  expect(await heatsink.stop()).toBe(0);
  expect(sets()).toHaveLength(40);
  expect([...new Set(sets().map((span) => span.resource['heatsink.worker']))].sort()).toEqual([0, 1]);
});

it('a share of the requests is traced, one of a thousand unless more are asked for', async () => {
  const heatsink = await proxy({
    ...tracing({ OTEL_RESOURCE_ATTRIBUTES: 'run=share', OTEL_TRACES_SAMPLER: 'parentbased_traceidratio' }),
    OTEL_TRACES_SAMPLER_ARG: '0.1',
  });
  const redis = clientOf(heatsink);
  const pipeline = redis.pipeline();
  for (let i = 0; i < 5000; i++) pipeline.incr('counter');
  await pipeline.exec();
  redis.disconnect();
  await heatsink.stop();
  const traced = collector.spans.filter(
    ({ name, kind, resource }) => resource.run === 'share' && name === 'INCR' && kind === SERVER,
  );
  expect(traced.length).toBeGreaterThan(350);
  expect(traced.length).toBeLessThan(650);
});

it('a collector that is away is said once, and no client notices', async () => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${await freePort()}`;
  const heatsink = await proxy(tracing({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TIMEOUT: '300' }));
  const redis = clientOf(heatsink);
  const said = () => heatsink.output().split('traces cannot be exported').length - 1;
  await waitFor(async () => {
    expect(await redis.incr('visits')).toBeGreaterThan(0);
    return said() > 0;
  }, 15_000);
  for (let i = 0; i < 200; i++) await redis.incr('visits');
  expect(await redis.get('visits')).toBe(await server.call('GET', 'visits'));
  redis.disconnect();
  expect(await heatsink.stop()).toBe(0);
  expect(said()).toBe(1);
});

describe('what the environment asks for', () => {
  const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
  const shareOf = (env: Record<string, string>) => readTraceSettings(env).settings?.share ?? 0;

  it('is nothing unless an exporter is named', () => {
    expect(readTraceSettings({})).toEqual({ settings: null, warnings: [] });
    expect(shareOf({ OTEL_TRACES_SAMPLER: 'always_on', OTEL_SERVICE_NAME: 'x' })).toBe(0);
    expect(shareOf(ENDPOINT)).toBe(0.001);
    expect(shareOf({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' })).toBe(0.001);
    expect(shareOf({ OTEL_TRACES_EXPORTER: 'otlp' })).toBe(0.001);
    expect(shareOf({ ...ENDPOINT, OTEL_TRACES_EXPORTER: '' })).toBe(0.001);
    expect(shareOf({ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' })).toBe(0);
    expect(shareOf({ ...ENDPOINT, OTEL_SDK_DISABLED: 'True' })).toBe(0);
  });

  it('is a share by the samplers that there are', () => {
    const sampled = (OTEL_TRACES_SAMPLER: string, arg?: string) =>
      shareOf({ ...ENDPOINT, OTEL_TRACES_SAMPLER, ...(arg && { OTEL_TRACES_SAMPLER_ARG: arg }) });
    expect(sampled('always_on')).toBe(1);
    expect(sampled('parentbased_always_on')).toBe(1);
    expect(sampled('parentbased_always_off')).toBe(0);
    expect(sampled('traceidratio', '0.25')).toBe(0.25);
    expect(sampled('parentbased_traceidratio', '0.5')).toBe(0.5);
    expect(sampled('traceidratio')).toBe(1);
    expect(shareOf({ ...ENDPOINT, OTEL_TRACES_SAMPLER_ARG: '0.02' })).toBe(0.02);
  });

  it('is said to be wrong where it is, and costs no more than the traces', () => {
    const warned = (env: Record<string, string>) => readTraceSettings({ ...ENDPOINT, ...env });
    expect(warned({ OTEL_TRACES_SAMPLER_ARG: '7' })).toMatchObject({
      settings: { share: 0.001 },
      warnings: ['OTEL_TRACES_SAMPLER_ARG is 7, which it cannot be: 0.001 is taken'],
    });
    expect(warned({ OTEL_TRACES_SAMPLER: 'jaeger_remote' })).toMatchObject({
      settings: { share: 0.001 },
      warnings: ['OTEL_TRACES_SAMPLER is jaeger_remote, which heatsink does not have: 0.001 are traced'],
    });
    expect(warned({ OTEL_TRACES_EXPORTER: 'zipkin' })).toEqual({
      settings: null,
      warnings: ['OTEL_TRACES_EXPORTER is zipkin: it may be otlp or none; nothing is traced'],
    });
    expect(warned({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }).warnings).toEqual([
      'OTEL_EXPORTER_OTLP_PROTOCOL is grpc: traces are sent by http/protobuf',
    ]);
    expect(warned({ OTEL_BSP_MAX_QUEUE_SIZE: 'many' }).settings?.queue).toBe(2048);
  });
});

it('the libraries of OpenTelemetry are loaded by one file, and that one only when it is needed', () => {
  const src = new URL('../src/', import.meta.url);
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const saying = (what: RegExp) =>
    files.filter((name) => what.test(readFileSync(new URL(name, src), 'utf8')));
  expect(saying(/'@opentelemetry\//)).toEqual(['worker/spans.ts']);
  expect(saying(/from '[^']*\/spans\.ts'/)).toEqual([]);
  expect(saying(/import\('\.\/spans\.ts'\)/)).toEqual(['worker/traces.ts']);
});
