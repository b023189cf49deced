// `heatsink invalidator` as a process of its own, beside heatsink.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addInvalidatorFlags, loadInvalidator } from '../src/config/invalidator-flags.ts';
import type { ConfigError } from '../src/config/load.ts';
import { createAuthority } from './support/certificates.ts';
import type { Child } from './support/children.ts';
import { spawnCli, spawnProxy, startProxy } from './support/heatsink.ts';
import { parseMetrics } from './support/metrics.ts';
import { installTrigger, type PostgresProcess, startPostgres } from './support/postgres.ts';
import { freePort, type RedisProcess, startRedis, waitFor } from './support/redis.ts';

const open: (() => unknown)[] = [];
let database: PostgresProcess;
let upstream: RedisProcess;

beforeAll(async () => {
  [database, upstream] = await Promise.all([startPostgres(), startRedis()]);
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
  await Promise.all([database.stop(), upstream.stop()]);
});

const gone = (key: string) => waitFor(async () => (await upstream.client.exists(key)) === 0, 10_000);

/** Starts it and waits until it listens. */
async function invalidator(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Child> {
  const child = await spawnCli(['invalidator', '--postgres', database.url, ...args], {
    ready: (output) => output.includes('listening to PostgreSQL'),
    env: { ...process.env, ...env },
  });
  open.push(() => child.stop());
  return child;
}

it('deletes through heatsink what rows that change are cached as, and shows how it is', async () => {
  await database.query('CREATE TABLE products (id bigint, store_id int)');
  const variables = { table: 'products', channel: 'product_changes', columns: 'store_id' };
  await installTrigger(database, variables);
  const proxy = await startProxy({ upstream: upstream.url });
  open.push(() => proxy.close());
  const admin = await freePort();
  const templates = ['--delete', 'store_catalog:{store_id}', '--delete', 'a,b:{store_id}'];
  const channels = ['--channel', 'product_changes', '--channel', 'more'];
  const flags = [...channels, ...templates, '--heatsink', proxy.url, '--admin', `127.0.0.1:${admin}`];
  const child = await invalidator(flags);
  await upstream.client.mset('store_catalog:7', 'x', 'store_catalog:8', 'x', 'a,b:7', 'x');
  await database.query('INSERT INTO products VALUES (1, 7), (2, 7)');
  await gone('store_catalog:7');
  await gone('a,b:7');
  expect(await upstream.client.get('store_catalog:8')).toBe('x');
  await database.query('NOTIFY more, \'{"store_id": 8}\'');
  await gone('store_catalog:8');

  const get = (path: string) => fetch(`http://127.0.0.1:${admin}${path}`);
  const metrics = parseMetrics(await (await get('/metrics')).text());
  expect(metrics.sum('heatsink_invalidator_notifications_total', { result: 'applied' })).toBe(2);
  expect(metrics.sum('heatsink_invalidator_deletes_total')).toBe(4);
  expect(metrics.sum('heatsink_invalidator_connected')).toBe(1);
  expect(() => metrics.sum('heatsink_tier_bytes')).toThrow();
  expect(await (await get('/readyz')).json()).toEqual({ ready: true, reasons: [] });
  expect((await get('/healthz')).status).toBe(200);
  expect(await child.stop('SIGTERM')).toBe(0);
  expect(child.output()).toContain('stopped');
});

it('keeps what it cannot delete while heatsink is away, and when it is asked to stop', async () => {
  const proxy = await spawnProxy({ upstream: upstream.url });
  const listen = `127.0.0.1:${proxy.port}`;
  const flags = ['--channel', 'away', '--delete', 'away:{payload}', '--heatsink', proxy.url];
  const child = await invalidator(flags);
  await upstream.client.mset('away:1', 'x', 'away:2', 'x', 'away:3', 'x');
  await proxy.stop('SIGKILL');
  for (let i = 1; i <= 3; i++) await database.query('SELECT pg_notify($1, $2)', ['away', `${i}`]);
  await waitFor(() => child.output().includes(`"reason":"${listen} (ECONNREFUSED)"`));
  const stopped = child.stop('SIGTERM');
  const again = await spawnCli(['serve', '--listen', listen, '--admin', 'off', '--upstream', upstream.url]);
  open.push(() => again.stop());
  for (let i = 1; i <= 3; i++) await gone(`away:${i}`);
  expect(await stopped).toBe(0);
});

it('comes in with a password and a certificate', async () => {
  const authority = createAuthority();
  open.push(() => authority.remove());
  const [server, client] = [authority.issue('server'), authority.issue('client')];
  const guarded = await startRedis({ args: ['--requirepass', 'secret'] });
  open.push(() => guarded.stop());
  guarded.client.options.password = 'secret';
  const proxy = await startProxy({
    upstream: guarded.url.replace('://', '://:secret@'),
    flags: { auth: 'upstream', 'tls-cert': server.cert, 'tls-key': server.key, 'tls-ca': authority.ca },
  });
  open.push(() => proxy.close());
  await guarded.call('SET', 'locked:1', 'x');
  const tls = ['--tls-ca', authority.ca, '--tls-cert', client.cert, '--tls-key', client.key];
  const url = `rediss://:secret@localhost:${proxy.port}`;
  const flags = ['--channel', 'locked', '--delete', 'locked:{payload}', ...tls];
  await invalidator(flags, { HEATSINK_INVALIDATOR_HEATSINK: url });
  await database.query("NOTIFY locked, '1'");
  await waitFor(async () => (await guarded.client.exists('locked:1')) === 0);
  const wrong = await invalidator(flags, { HEATSINK_INVALIDATOR_HEATSINK: url.replace('secret', 'wrong') });
  await guarded.call('SET', 'locked:2', 'x');
  await database.query("NOTIFY locked, '2'");
  await waitFor(() => /keys cannot be deleted.*/.test(wrong.output()));
  expect(wrong.output()).toMatch(/WRONGPASS|NOAUTH/);
});

describe('a mistake ends with exit code 2 and a line that says what is wrong', () => {
  const postgres = ['--postgres', 'postgres://localhost/shop'];
  const problems = (args: string[]) => {
    const command = addInvalidatorFlags(new Command()).parse(args, { from: 'user' });
    try {
      loadInvalidator(command.opts(), {});
      return [];
    } catch (error) {
      return (error as ConfigError).lines;
    }
  };

  it.each([
    [[], '--postgres is missing: the database to listen to'],
    [['--channel', 'c'], '--channel: it needs --postgres as well'],
    [[...postgres, '--channel', 'c'], '--postgres: it needs --delete as well'],
    [
      ['--postgres', 'mysql://u:secret@h'],
      '--postgres: "mysql://u:***@h" is not accepted; accepted: postgres://',
    ],
    [['--delete', 'a:{b'], '--delete: ["a:{b"] is not accepted: in "a:{b" the brace "{" has no partner'],
    [['--delete', 'a:{}'], '--delete: ["a:{}"] is not accepted: in "a:{}" "{}" names no field'],
    [['--channel', 'x'.repeat(64)], 'is not accepted; accepted: names of at most 63 bytes'],
    [['--sweep', 'SELECT $2'], '--sweep: "SELECT $2" is not accepted; accepted: a SELECT'],
    [['--keepalive', 'often'], '--keepalive: "often" is not accepted; accepted: a whole number'],
    [['--heatsink', 'localhost'], '--heatsink: "localhost" is not accepted'],
    [
      ['--heatsink', 'redis+cluster://a', ...postgres, '--channel', 'c', '--delete', 'd'],
      '--heatsink: it is no address of a heatsink; accepted: redis://',
    ],
  ])('%j', (flags, message) => {
    expect(problems(flags)[0]).toContain(message);
  });

  it.each([['invalidator'], ['serve', '--invalidator-channel', 'c']])('on %s', async (...args) => {
    const env = { ...process.env, HEATSINK_INVALIDATOR_DELETE: '}' };
    const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
    const failed = await promisify(execFile)(process.execPath, [cli, ...args], { env }).catch(
      (error) => error,
    );
    expect(failed).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        'heatsink: HEATSINK_INVALIDATOR_DELETE: "}" is not accepted: in "}" the brace "}" has no partner',
      ),
    });
  });
});
