// Two heatsinks behind HAProxy, as in deploy/haproxy/heatsink.cfg: one is ended and started again, then the other,
// and clients notice nothing.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, expect, it } from 'vitest';
import { startChild } from './support/children.ts';
import { type ProxyProcess, spawnProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { answersPing, freePort } from './support/wait.ts';
import { Wire } from './support/wire.ts';

const CONFIG = fileURLToPath(new URL('../deploy/haproxy/heatsink.cfg', import.meta.url));
const CLIENTS = 12;
/** Keeps the server busy for 0.3 s. */
const BUSY = `local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end
local from = now()
repeat until now() - from > 300000
return 'done'`;
const open: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** HAProxy by the file that comes with heatsink, with other addresses and quicker checks. */
async function startHaproxy(servers: readonly ProxyProcess[]): Promise<number> {
  const port = await freePort();
  const lines = servers.map(({ port, adminPort }, i) => `server s${i} 127.0.0.1:${port} port ${adminPort}`);
  const text = readFileSync(CONFIG, 'utf8')
    .replace('bind :6379', `bind 127.0.0.1:${port}`)
    .replace('inter 250ms', 'inter 50ms')
    .replace(/( {4}server .*\n)+/, `    ${lines.join('\n    ')}\n`);
  const file = join(mkdtempSync(join(tmpdir(), 'heatsink-haproxy-')), 'haproxy.cfg');
  writeFileSync(file, text);
  const path = `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin`;
  const haproxy = await startChild('haproxy', ['-db', '-f', file], {
    ready: () => answersPing(port),
    env: { ...process.env, PATH: path },
  });
  open.push(() => haproxy.stop());
  return port;
}

/** Counts on and on, and never twice: every reply must be the next number. */
class Counting {
  readonly failures: string[] = [];
  done = 0;
  #going = true;
  readonly #client: Redis;
  readonly #key: string;
  readonly #loop: Promise<void>;

  constructor(port: number, key: string) {
    this.#key = key;
    // Nothing but ioredis's own defaults.
    this.#client = new Redis(port);
    this.#client.on('error', () => {});
    this.#loop = this.#count();
  }

  async #count(): Promise<void> {
    while (this.#going) {
      const all = Array.from({ length: 5 }, () => this.#client.incr(this.#key));
      for (const result of await Promise.allSettled(all)) {
        if (result.status === 'rejected') this.failures.push(String(result.reason));
        else if (result.value !== ++this.done) {
          this.failures.push(`${result.value} instead of ${this.done}`);
          this.done = result.value;
        }
      }
      if (String(await this.#client.get(this.#key)) !== `${this.done}`) this.failures.push('an old value');
    }
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#loop;
    this.#client.disconnect();
  }
}

async function heatsinkFor(redis: RedisProcess, at?: ProxyProcess): Promise<ProxyProcess> {
  const flags = { workers: '2', 'shutdown-delay': '400', 'hot-threshold': '50' };
  const heatsink = await spawnProxy({ upstream: redis.url, flags, at });
  open.push(() => heatsink.close());
  return heatsink;
}

async function readiness(heatsink: ProxyProcess): Promise<number> {
  return (await heatsink.admin('/readyz').catch(() => ({ status: 0 }))).status;
}

it('no request fails, and none is executed twice, while one heatsink after the other is replaced', async () => {
  const redis = await startRedis();
  open.push(() => redis.stop());
  const first = [await heatsinkFor(redis), await heatsinkFor(redis)];
  const port = await startHaproxy(first);
  const counting = Array.from({ length: CLIENTS }, (_, i) => new Counting(port, `count:${i}`));
  const progress = () => counting.reduce((sum, { done }) => sum + done, 0);
  const goOn = async () => {
    const from = progress();
    await waitFor(() => progress() > from + 2000);
  };
  await goOn();
  for (const old of first) {
    const ended = old.stop();
    await waitFor(async () => (await readiness(old)) === 503, 2000, 5);
    await goOn();
    expect(await ended).toBe(0);
    await goOn();
    const next = await heatsinkFor(redis, old);
    await waitFor(async () => (await readiness(next)) === 200);
    await goOn();
  }
  for (const one of counting) await one.stop();
  expect(counting.flatMap(({ failures }) => failures)).toEqual([]);
  for (const [i, { done }] of counting.entries())
    expect(await redis.call('GET', `count:${i}`)).toBe(`${done}`);
});

it.each(['1', '2'])(
  'with %s worker(s) it is not ready from the signal on, and serves until the delay is over',
  async (workers) => {
    const redis = await startRedis();
    open.push(() => redis.stop());
    const heatsink = await spawnProxy({ upstream: redis.url, flags: { workers, 'shutdown-delay': '1500' } });
    open.push(() => heatsink.close());
    const client = new Redis(heatsink.port);
    open.push(() => client.disconnect());
    expect(await client.set('k', 'v')).toBe('OK');
    expect(await readiness(heatsink)).toBe(200);
    const ended = heatsink.stop();
    await waitFor(async () => (await readiness(heatsink)) === 503, 1000, 5);
    expect((await heatsink.admin('/readyz')).body).toEqual({
      ready: false,
      reasons: ['heatsink is shutting down'],
    });
    expect(await client.get('k')).toBe('v');
    const another = new Redis(heatsink.port);
    expect(await another.get('k')).toBe('v');
    another.disconnect();
    client.disconnect();
    expect(await ended).toBe(0);
  },
);

it('what is in flight is answered, and what comes behind it does not cost its sender the reply', async () => {
  const redis = await startRedis();
  open.push(() => redis.stop());
  const proxy = await startProxy({ upstream: redis.url });
  const wire = new Wire(proxy.port);
  await wire.ask('PING');
  // The server is busy for a while, and what is sent meanwhile is not read by anybody.
  wire.sendAll([['EVAL', BUSY, '0']]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = proxy.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  wire.sendAll([['SET', 'late', 'x'.repeat(100_000)]]);
  expect((await wire.replies(1)).map(String)).toEqual(['$4\r\ndone\r\n']);
  expect((await wire.rest()).length).toBe(0);
  await closed;
  expect(await redis.call('EXISTS', 'late')).toBe(0);
});
