// The dashboard's files over HTTP: what is served, how browsers keep it, and that nothing else can be had.

import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';

const PAGE = fileURLToPath(new URL('../src/admin/page', import.meta.url));
let redis: RedisProcess;
let proxy: RunningProxy;

beforeAll(async () => {
  redis = await startRedis();
  proxy = await startProxy({ upstream: redis.url });
});
afterAll(async () => {
  await proxy.close();
  await redis.stop();
});

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${proxy.adminPort}${path}`, { headers });

/** As it is: fetch would shorten it first. */
function statusOf(path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: proxy.adminPort, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on('error', reject).end();
  });
}

it('serves every file of the page with its type', async () => {
  const types: Record<string, string> = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
  const names = readdirSync(PAGE).filter((name) => /(?<!\.d)\.(js|css|svg)$/.test(name));
  expect(names.length).toBeGreaterThan(20);
  for (const name of [...names, 'uplot.js', 'uplot.css']) {
    const response = await get(`/assets/${name}`);
    expect([name, response.status]).toEqual([name, 200]);
    expect(response.headers.get('content-type')).toContain(types[String(name.split('.').at(-1))]);
    expect((await response.text()).length).toBeGreaterThan(0);
  }
  expect((await get('/')).headers.get('content-type')).toBe('text/html; charset=utf-8');
});

it('lets the page run nothing but its own files, and nobody frame it', async () => {
  const policy = (await get('/')).headers.get('content-security-policy');
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self';");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain('unsafe');
  expect((await get('/assets/main.js')).headers.get('x-content-type-options')).toBe('nosniff');
});

it('sends a file again only when it has changed, and zipped to those who can unzip', async () => {
  const first = await get('/assets/uplot.js', { 'accept-encoding': 'gzip' });
  expect(first.headers.get('content-encoding')).toBe('gzip');
  const plain = await get('/assets/uplot.js', { 'accept-encoding': 'identity' });
  expect(plain.headers.get('content-encoding')).toBeNull();
  expect(await plain.text()).toBe(await first.text());
  const etag = String(first.headers.get('etag'));
  expect((await get('/assets/uplot.js', { 'if-none-match': etag })).status).toBe(304);
  expect((await get('/assets/main.js', { 'if-none-match': etag })).status).toBe(200);
});

it('serves no other file, whatever the path', async () => {
  const paths = [
    '/assets/',
    '/assets/nothing.js',
    '/assets/state.d.ts',
    '/assets/tsconfig.json',
    '/assets/../server.ts',
    '/assets/..%2fserver.ts',
    '/assets/%2e%2e/server.ts',
    '/assets/..\\server.ts',
    '/assets//etc/passwd',
    '/assets/__proto__',
  ];
  for (const path of paths) expect([path, await statusOf(path)]).toEqual([path, 404]);
});

it('lists all paths as text under /help', async () => {
  const text = await (await get('/help')).text();
  for (const path of ['/metrics', '/state', '/events', 'POST /keys/pin']) expect(text).toContain(path);
});
