// No write is executed twice, whatever becomes of its connection: each one counts for itself at the server.

import { afterAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { startRelay } from './support/relay.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

const LOST =
  /^-ERR heatsink: the connection to .+ broke before the reply; the command may have been executed/;
const UNREACHED = /^-ERR heatsink: cannot reach .+; the command was not sent/;

/** Writes that know what became of them: each has a key of its own, which counts how often it was executed. */
class Writes {
  readonly acknowledged: string[] = [];
  readonly unknown: string[] = [];
  readonly unsent: string[] = [];
  readonly other: string[] = [];
  stop = false;
  readonly #proxy: RunningProxy;
  #last = 0;

  constructor(proxy: RunningProxy) {
    this.#proxy = proxy;
  }

  get count(): number {
    return this.acknowledged.length + this.unknown.length + this.unsent.length;
  }

  /** One client: pipelines of plain writes with reads of hot and cold keys among them, and transactions. */
  async run(): Promise<void> {
    const client = new Wire(this.#proxy.port);
    open.push(() => client.close());
    while (!this.stop) {
      const ids = Array.from({ length: 8 }, () => `write:${this.#last++}`);
      client.sendAll(
        ids.flatMap((id) => [
          ['INCR', id],
          ['GET', 'hot'],
          ['GET', id],
        ]),
      );
      const replies = await client.replies(24);
      for (const [i, id] of ids.entries()) this.#note(id, replies[i * 3].toString());
      const inside = `write:${this.#last++}`;
      client.sendAll([['MULTI'], ['INCR', inside], ['EXEC']]);
      const [begun, , done] = (await client.replies(3)).map(String);
      // Without MULTI the command goes by itself, which is not what this is about.
      if (begun === '+OK\r\n') this.#note(inside, done.replace(/^\*1\r\n/, ''));
    }
    client.close();
  }

  #note(id: string, reply: string): void {
    if (reply.startsWith(':')) this.acknowledged.push(id);
    else if (LOST.test(reply)) this.unknown.push(id);
    else if (UNREACHED.test(reply)) this.unsent.push(id);
    else if (!reply.startsWith('-EXECABORT')) this.other.push(reply);
  }
}

async function counts(server: RedisProcess, ids: readonly string[]): Promise<(number | null)[]> {
  if (ids.length === 0) return [];
  const values = (await server.call('MGET', ...ids)) as (string | null)[];
  return values.map((value) => (value === null ? null : Number(value)));
}

async function check(server: RedisProcess, writes: Writes): Promise<void> {
  expect(writes.other.slice(0, 5)).toEqual([]);
  const acknowledged = await counts(server, writes.acknowledged);
  expect(acknowledged.filter((count) => count !== 1)).toEqual([]);
  const unknown = await counts(server, writes.unknown);
  expect(unknown.filter((count) => count !== null && count !== 1)).toEqual([]);
  expect((await counts(server, writes.unsent)).filter((count) => count !== null)).toEqual([]);
}

describe('a write', () => {
  it('is executed once at the most, though connections are cut right after the server has received it', async () => {
    const server = await startRedis();
    open.push(() => server.stop());
    const relay = await startRelay(server.port);
    open.push(() => relay.close());
    const proxy = await startProxy({
      upstream: `redis://127.0.0.1:${relay.port}`,
      flags: { 'hot-threshold': '10' },
    });
    open.push(() => proxy.close());
    const writes = new Writes(proxy);
    const clients = Array.from({ length: 20 }, () => writes.run());
    for (let i = 0; i < 100; i++) {
      const before = writes.count;
      await waitFor(() => writes.count > before + 50);
      if (i % 4 === 3) relay.cut();
      else relay.cuts = 1 + (i % 3);
    }
    relay.cuts = 0;
    writes.stop = true;
    await Promise.all(clients);
    expect(writes.acknowledged.length).toBeGreaterThan(200);
    expect(writes.unknown.length).toBeGreaterThan(20);
    // Some of these were executed: the connection was cut behind them.
    const executed = (await counts(server, writes.unknown)).filter((count) => count === 1);
    expect(executed.length).toBeGreaterThan(2);
    await check(server, writes);
  });

  it('is executed once at the most by a server that is killed under load, and none of the old one by the next', async () => {
    let server = await startRedis();
    open.push(() => server.stop());
    const proxy = await startProxy({ upstream: server.url, flags: { 'hot-threshold': '10' } });
    open.push(() => proxy.close());
    for (let round = 0; round < 5; round++) {
      const writes = new Writes(proxy);
      const clients = Array.from({ length: 20 }, () => writes.run());
      await waitFor(() => writes.acknowledged.length > 500);
      await server.stop();
      await waitFor(() => writes.unsent.length > 20);
      writes.stop = true;
      await Promise.all(clients);
      const before = writes.acknowledged.concat(writes.unknown, writes.unsent);
      expect(writes.other.slice(0, 5)).toEqual([]);
      server = await startRedis({ port: server.port });
      open.push(() => server.stop());
      const probe = new Wire(proxy.port);
      await waitFor(async () => (await probe.say('PING')) === '+PONG');
      probe.close();
      // It began empty, and what clients were told of has not been sent to it.
      expect((await counts(server, before)).filter((count) => count !== null)).toEqual([]);
    }
  });
});

describe('reads', () => {
  it('are sent again within a budget, and beyond it fail with what is known of them', async () => {
    const server = await startRedis();
    open.push(() => server.stop());
    const relay = await startRelay(server.port);
    open.push(() => relay.close());
    const proxy = await startProxy({
      upstream: `redis://127.0.0.1:${relay.port}`,
      flags: { 'retry-budget': '10', tier: 'off', consistency: 'off' },
    });
    open.push(() => proxy.close());
    const clients = Array.from({ length: 50 }, () => new Wire(proxy.port));
    open.push(() => {
      for (const client of clients) client.close();
    });
    await Promise.all(clients.map((client) => client.say('PING')));
    const metric = async (name: string) => (await proxy.metrics()).sum(name);
    relay.mute = true;
    const replies = clients.map((client, i) => client.say('GET', `k${i}`));
    await waitFor(async () => (await metric('heatsink_upstream_pending_requests')) >= 50);
    relay.cut();
    await waitFor(async () => (await metric('heatsink_read_retries_refused_total')) > 0);
    relay.mute = false;
    const said = await Promise.all(replies);
    const lost = said.filter((reply) => LOST.test(reply)).length;
    const answered = said.filter((reply) => reply === '$-1').length;
    expect(lost + answered).toBe(50);
    expect(answered).toBe(10);
    expect(await metric('heatsink_read_retries_total')).toBe(10);
    expect(await metric('heatsink_read_retries_refused_total')).toBe(40);
  });
});
