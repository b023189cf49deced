// What operators see and do over HTTP: the state of heatsink from second to second, keys pinned and banned, the tier
// cleared.

import { once } from 'node:events';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ProxyOptions, type RunningProxy, startProxy } from './support/heatsink.ts';
import { cmdstat, type RedisProcess, startRedis, waitFor } from './support/redis.ts';

const open: (() => unknown)[] = [];
let redis: RedisProcess;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  for (const close of open.splice(0).reverse()) await close();
  await redis.stop();
});

interface State {
  readonly requests: Record<string, number>;
  readonly hit_ratio: number | null;
  readonly latency_ms: { p50: number; p99: number } | null;
  readonly clients: number;
  readonly tier: { entries: number };
  readonly nodes: { address: string; requests: number; saved: number }[];
  readonly hot_keys: {
    key: string;
    encoding?: string;
    state: string;
    share: number;
    node: string;
    node_share: number;
    pinned: boolean;
    banned: boolean;
  }[];
  readonly pinned: object[];
  readonly banned: object[];
  readonly token_required: boolean;
}

async function proxyFor(options: Partial<ProxyOptions> = {}): Promise<RunningProxy> {
  const proxy = await startProxy({ upstream: redis.url, ...options });
  open.push(() => proxy.close());
  return proxy;
}

function clientOf(proxy: RunningProxy): Redis {
  const client = new Redis({ port: proxy.port, enableReadyCheck: false });
  open.push(() => client.disconnect());
  return client;
}

const stateOf = async (proxy: RunningProxy) => (await proxy.admin('/state')).body as State;

interface Asked {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

async function post(proxy: RunningProxy, path: string, { body = {}, headers = {} }: Asked = {}) {
  const response = await fetch(`http://127.0.0.1:${proxy.adminPort}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

/** How many of that many reads reach the server. */
async function reachServer(client: Redis, key: string, times = 20): Promise<number> {
  const before = await cmdstat(redis, 'get');
  for (let i = 0; i < times; i++) await client.get(key);
  return (await cmdstat(redis, 'get')) - before;
}

describe.each(['1', '2'])('with %s worker(s)', (workers) => {
  it('a key that is pinned is served from memory at any rate, until it is unpinned', async () => {
    const proxy = await proxyFor({ flags: { workers } });
    const client = clientOf(proxy);
    await client.set('quiet', 'v1');
    expect(await reachServer(client, 'quiet')).toBe(20);
    const pinned = await post(proxy, '/keys/pin', { body: { key: 'quiet' } });
    expect(pinned).toMatchObject({ status: 200, body: { done: 'pinned', key: 'quiet' } });
    await client.get('quiet');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await reachServer(client, 'quiet')).toBe(0);
    expect(await client.set('quiet', 'v2')).toBe('OK');
    expect(await client.get('quiet')).toBe('v2');
    const state = await stateOf(proxy);
    expect(state.pinned).toEqual([{ key: 'quiet' }]);
    expect(state.hot_keys.find(({ key }) => key === 'quiet')).toMatchObject({ state: 'tier', pinned: true });

    await post(proxy, '/keys/unpin', { body: { key: 'quiet' } });
    await waitFor(async () => (await reachServer(client, 'quiet', 2)) === 2);
    expect((await stateOf(proxy)).pinned).toEqual([]);
  });

  it('nothing is kept of a key that is banned, however hot, until it is unbanned', async () => {
    const proxy = await proxyFor({ flags: { workers, 'hot-threshold': '20' } });
    const client = clientOf(proxy);
    await client.set('loud', 'v');
    await waitFor(async () => (await reachServer(client, 'loud', 50)) === 0);
    expect((await post(proxy, '/keys/ban', { body: { key: 'loud' } })).status).toBe(200);
    expect(await reachServer(client, 'loud', 50)).toBe(50);
    const hot = (await stateOf(proxy)).hot_keys.find(({ key }) => key === 'loud');
    expect(hot).toMatchObject({ state: 'banned', banned: true });
    await post(proxy, '/keys/unban', { body: { key: 'loud' } });
    await waitFor(async () => (await reachServer(client, 'loud', 50)) === 0);
  });

  it('the tier is empty after it was cleared', async () => {
    const proxy = await proxyFor({ flags: { workers } });
    const client = clientOf(proxy);
    await client.set('kept', 'v');
    await post(proxy, '/keys/pin', { body: { key: 'kept' } });
    await waitFor(async () => (await reachServer(client, 'kept', 2)) === 0);
    expect((await post(proxy, '/tier/clear')).status).toBe(200);
    expect((await proxy.metrics()).sum('heatsink_tier_entries')).toBe(0);
    expect(await reachServer(client, 'kept', 3)).toBe(1);
  });

  it('the state tells who gets how much of the load, and what each node was spared', async () => {
    const proxy = await proxyFor({ flags: { workers } });
    const client = clientOf(proxy);
    await client.set('asked', 'v');
    await post(proxy, '/keys/pin', { body: { key: 'asked' } });
    let going = true;
    const load = (async () => {
      while (going) await Promise.all(Array.from({ length: 20 }, () => client.get('asked')));
    })();
    // Rates and the window of reads are of times that differ a little, much on a busy machine.
    const state = await waitFor(async () => {
      const now = await stateOf(proxy);
      const [[node], [hot]] = [now.nodes, now.hot_keys];
      const fits =
        (now.hit_ratio ?? 0) > 0.9 &&
        node.saved > node.requests &&
        Math.abs(now.requests.tier_hit - node.saved) < node.saved / 2 &&
        hot.share > 0.5 &&
        hot.node_share > 0.5;
      return fits ? now : null;
    }, 15_000);
    going = false;
    await load;
    const [node] = state.nodes;
    expect(node.address).toBe(`127.0.0.1:${redis.port}`);
    expect(state.clients).toBe(1);
    expect(state.hot_keys[0]).toMatchObject({ key: 'asked', node: node.address });
    const { points } = (await proxy.admin('/history')).body as { points: { nodes: object; t: number }[] };
    expect(Object.keys(points.at(-1)?.nodes ?? {})).toEqual([node.address]);
  });
});

it('a worker that was replaced knows what was pinned and banned', async () => {
  const { loadConfig } = await import('../src/config/load.ts');
  const { startHeatsink } = await import('../src/heatsink.ts');
  const { pino } = await import('pino');
  const flags = { upstream: redis.url, listen: '127.0.0.1:0', admin: '127.0.0.1:0', workers: '2' };
  const heatsink = await startHeatsink(loadConfig({ flags, env: {} }), { log: pino({ level: 'silent' }) });
  open.push(() => heatsink.close());
  const admin = `http://${heatsink.adminAddress}`;
  const headers = { 'content-type': 'application/json' };
  const mark = (how: string, key: string) =>
    fetch(`${admin}/keys/${how}`, { method: 'POST', headers, body: JSON.stringify({ key }) });
  await mark('pin', 'p');
  await mark('ban', 'b');
  heatsink.crashWorker(0);
  const state = async () => (await (await fetch(`${admin}/state`)).json()) as State;
  heatsink.crashWorker(1);
  await waitFor(async () => (await state()).pinned.length === 1, 15_000);
  expect(await state()).toMatchObject({ pinned: [{ key: 'p' }], banned: [{ key: 'b' }] });
});

it('keys that are no text are marked and shown in base64', async () => {
  const proxy = await proxyFor();
  const key = Buffer.from([0xff, 0x00, 0x0a]).toString('base64');
  await post(proxy, '/keys/pin', { body: { key, encoding: 'base64' } });
  await waitFor(async () => (await stateOf(proxy)).pinned.length === 1);
  expect((await stateOf(proxy)).pinned).toEqual([{ key, encoding: 'base64' }]);
});

it('nothing is done without the token when there is one, and nothing is shown of it', async () => {
  const proxy = await proxyFor({ flags: { 'admin-token': 'sesame' } });
  const pin = (headers: Record<string, string>) => post(proxy, '/keys/pin', { body: { key: 'k' }, headers });
  expect(await pin({})).toMatchObject({ status: 401, body: { error: expect.stringContaining('Bearer') } });
  expect(await pin({ authorization: 'Bearer open' })).toMatchObject({ status: 401 });
  expect(await pin({ authorization: 'Bearer sesame' })).toMatchObject({ status: 200 });
  await waitFor(async () => (await stateOf(proxy)).token_required === true);
  expect((await clientOf(proxy).config('GET', 'heatsink.adminToken')) as string[]).toContain('***');
});

it('who is not on the same machine may do nothing without a token', async () => {
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((face) => face?.family === 'IPv4' && !face.internal)?.address;
  if (outside === undefined) return;
  const proxy = await proxyFor({ flags: { admin: '0.0.0.0:0' } });
  const response = await fetch(`http://${outside}:${proxy.adminPort}/tier/clear`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  expect(response.status).toBe(403);
});

it.each([
  ['localhost', 200],
  ['127.0.0.1', 200],
  ['[::1]', 200],
  // A page whose name has come to lead here since it was loaded (DNS rebinding).
  ['evil.example', 403],
  ['127.0.0.1.evil.example', 403],
  ['', 403],
])('a page of this machine at %j is answered %i without a token', async (name, status) => {
  const proxy = await proxyFor();
  const host = `${name}:${proxy.adminPort}`;
  // `fetch` says by itself where it goes.
  const asked = request({
    ...{ port: proxy.adminPort, path: '/tier/clear', method: 'POST' },
    headers: { host, origin: `http://${host}`, 'content-type': 'application/json' },
  });
  asked.end('{}');
  const [response] = await once(asked, 'response');
  response.resume();
  expect(response.statusCode).toBe(status);
});

it.each([
  ['another page asks', { headers: { origin: 'http://evil.example' } }, 403],
  ['a form is sent', { headers: { 'content-type': 'text/plain' } }, 415],
  ['there is no key', { body: {} }, 400],
  ['the key is empty', { body: { key: '' } }, 400],
  ['something else is said', { body: { key: 'k', until: 5 } }, 400],
])('nothing is done when %s', async (_, asked: Asked, status) => {
  const proxy = await proxyFor();
  const answer = await post(proxy, '/keys/ban', { body: { key: 'k' }, ...asked });
  expect(answer.status).toBe(status);
  expect(answer.body.error).toBeTypeOf('string');
  expect((await proxy.admin('/keys/ban')).status).toBe(405);
});

it('the state comes each second as an event, and those who listen do not hold up the end', async () => {
  const proxy = await startProxy({ upstream: redis.url });
  const response = await fetch(`http://127.0.0.1:${proxy.adminPort}/events`);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const events: State[] = [];
  let rest = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    rest += Buffer.from(chunk).toString();
    const parts = rest.split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const data = /^event: state\ndata: (.+)$/.exec(part)?.[1];
      if (data !== undefined) events.push(JSON.parse(data));
    }
    if (events.length >= 2) break;
  }
  expect(events[1]).toMatchObject({ mode: 'serve', ready: true, nodes: [{ connected: true }] });
  const listening = await fetch(`http://127.0.0.1:${proxy.adminPort}/events`);
  await proxy.close();
  await listening.text().catch(() => {});
});
