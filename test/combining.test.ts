// Increments that go upstream together, by rule: every caller gets what it would have got one after the other.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryDir } from './support/children.ts';
import { type ProxyProcess, spawnProxy } from './support/heatsink-process.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis } from './support/redis.ts';
import { beginSlotMove } from './support/slot-move.ts';

const open: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of open.reverse()) await close();
});

const folder = temporaryDir('combining');
open.push(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'h.yaml');
writeFileSync(file, 'rules: [{ match: "n:*", combine: on }]\n');

async function heatsink(upstream: string, workers: number): Promise<ProxyProcess> {
  const proxy = await spawnProxy({ upstream, file, flags: { workers: `${workers}` } });
  open.push(() => proxy.close());
  return proxy;
}

function connect(port: number, count: number): Redis[] {
  const clients = Array.from({ length: count }, () => new Redis({ port, maxRetriesPerRequest: null }));
  open.push(() => {
    for (const client of clients) client.disconnect();
  });
  return clients;
}

/** What one client adds, and was answered. */
interface Step {
  readonly amount: number;
  readonly reply: number;
}

/**
 * Whether the steps can be put one behind the other from `first` to `last`, each from the value that the one before
 * it has left: an Eulerian trail over the values exists if as many steps lead to each as away from it, and all hang
 * together.
 */
function oneAfterTheOther(steps: readonly Step[], first: number, last: number): boolean {
  const balance = new Map<number, number>();
  const next = new Map<number, number[]>();
  const add = (value: number, by: number) => balance.set(value, (balance.get(value) ?? 0) + by);
  for (const { amount, reply } of steps) {
    add(reply - amount, 1);
    add(reply, -1);
    next.set(reply - amount, [...(next.get(reply - amount) ?? []), reply]);
  }
  add(first, -1);
  add(last, 1);
  if ([...balance.values()].some((value) => value !== 0)) return false;
  const seen = new Set([first]);
  for (const value of seen) for (const other of next.get(value) ?? []) seen.add(other);
  return steps.every(({ amount, reply }) => seen.has(reply - amount));
}

async function calls(redis: RedisProcess): Promise<number> {
  const stats = `${await redis.call('INFO', 'commandstats')}`;
  const counts = [...stats.matchAll(/cmdstat_h?(?:incr|incrby|decr|decrby):calls=(\d+)/g)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

describe.each([1, 2])('with %i worker(s)', (workers) => {
  let redis: RedisProcess;
  let proxy: ProxyProcess;
  let clients: Redis[];
  const direct = (...command: [string, ...(string | number)[]]) => redis.call(...command);

  beforeAll(async () => {
    redis = await startRedis();
    open.push(() => redis.stop());
    proxy = await heatsink(redis.url, workers);
    clients = connect(proxy.port, 40);
    await Promise.all(clients.map((client) => client.ping()));
  });

  it('every value from 1 to 10,000 comes exactly once, for far fewer commands upstream', async () => {
    const before = await calls(redis);
    const replies = await Promise.all(
      clients.map((client) => Promise.all(Array.from({ length: 250 }, () => client.incr('n:all')))),
    );
    const expected = Array.from({ length: 10_000 }, (_, i) => i + 1);
    expect(replies.flat().sort((a, b) => a - b)).toEqual(expected);
    for (const own of replies) expect(own).toEqual([...own].sort((a, b) => a - b));
    expect((await calls(redis)) - before).toBeLessThan(2500);
    const metrics = await proxy.metrics();
    expect(metrics.sum('heatsink_combined_increments_total')).toBeGreaterThan(7500);
    expect(metrics.sum('heatsink_combined_increment_requests_total')).toBeLessThan(2500);
  });

  it('without a rule each goes by itself', async () => {
    const before = await calls(redis);
    await Promise.all(clients.map((client) => client.incr('other')));
    expect((await calls(redis)) - before).toBe(40);
  });

  it('any mix of increments is answered as if one came after the other', async () => {
    const step = fc.record({
      client: fc.nat({ max: 4 }),
      counter: fc.nat({ max: 1 }),
      verb: fc.constantFrom('incr', 'decr', 'incrby', 'decrby'),
      amount: fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constantFrom(2 ** 40, -(2 ** 40))),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer(), async (asked, first) => {
        const keys = [`n:mix:${run}:0`, `n:mix:${run++}:1`];
        for (const key of keys) await direct('SET', key, first);
        const done = asked.map(async ({ client, counter, verb, amount }) => {
          const single = verb === 'incr' || verb === 'decr';
          const args = single ? [keys[counter]] : [keys[counter], amount];
          const reply = Number(await clients[client].call(verb, ...args));
          const sign = verb.startsWith('decr') ? -1 : 1;
          return { counter, step: { amount: sign * (single ? 1 : amount), reply } };
        });
        const steps = await Promise.all(done);
        for (const [counter, key] of keys.entries()) {
          const own = steps.filter((found) => found.counter === counter).map((found) => found.step);
          expect(oneAfterTheOther(own, first, Number(await direct('GET', key)))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('fields of a hash are counters of their own', async () => {
    const fields = ['a', 'b', 'c'];
    const replies = await Promise.all(
      fields.map(async (field) =>
        Promise.all(clients.map((client, i) => client.hincrby('n:hash', field, (i % 3) + 1))),
      ),
    );
    for (const [i, own] of replies.entries()) {
      const steps = own.map((reply, client) => ({ amount: (client % 3) + 1, reply }));
      expect(oneAfterTheOther(steps, 0, Number(await direct('HGET', 'n:hash', fields[i])))).toBe(true);
    }
  });

  it('past the end of the range some succeed, and the others get their error', async () => {
    const most = 2n ** 63n - 1n;
    await direct('SET', 'n:full', `${most - 5n}`);
    const settled = await Promise.allSettled(clients.map((client) => client.call('INCR', 'n:full')));
    const words = settled.flatMap((result) => (result.status === 'rejected' ? [result.reason.message] : []));
    expect(words).toEqual(Array(35).fill('ERR increment or decrement would overflow'));
    expect(await direct('GET', 'n:full')).toBe(`${most}`);
  });

  it('values beyond 2^53 are exact', async () => {
    await direct('SET', 'n:huge', '9007199254740993');
    const raw = connect(proxy.port, 20);
    const replies = await Promise.all(raw.map((client) => client.call('INCRBY', 'n:huge', 2)));
    expect(await direct('GET', 'n:huge')).toBe('9007199254741033');
    expect(replies).toHaveLength(20);
  });

  it.each<[string, ...string[]]>([
    ['INCR', 'n:list'],
    ['HINCRBY', 'n:hash', 'text', '1'],
    ['INCRBY', 'n:text', '7'],
    ['INCRBY', 'n:number', '07'],
    ['INCRBY', 'n:number', '1.5'],
    ['INCR', 'n:number', '5'],
    ['HINCRBY', 'n:hash', 'a'],
  ])('%s %s %s %s gets the words of Redis for each', async (...command) => {
    await direct('RPUSH', 'n:list', 'x');
    await direct('HSET', 'n:hash', 'text', 'x');
    await direct('SET', 'n:text', 'x');
    const words = await direct(...command).catch((error) => error.message);
    const settled = await Promise.allSettled(clients.map((client) => client.call(...command)));
    expect(settled.map((result) => result.status === 'rejected' && result.reason.message)).toEqual(
      clients.map(() => words),
    );
  });

  it('no client sees its own commands in another order', async () => {
    const rounds = clients.map(async (client, i) => {
      for (let round = 0; round < 20; round++) {
        const fresh = `n:fresh:${i}:${round}`;
        const [, rose, read, , own, ttl, gone] = (
          (await client
            .pipeline()
            .decr('n:order')
            .incrby('n:order', 3)
            .get('n:order')
            .incr('n:order')
            .incr(fresh)
            .expire(fresh, 100)
            .del(fresh)
            .exec()) ?? []
        ).map(([, value]) => value);
        expect(Number(read)).toBeGreaterThanOrEqual(Number(rose) - clients.length);
        expect([own, ttl, gone]).toEqual([1, 1, 1]);
      }
    });
    await Promise.all(rounds);
    expect(await direct('GET', 'n:order')).toBe(`${clients.length * 20 * 3}`);
  });

  it('transactions count by themselves, and see what was counted before', async () => {
    const results = await Promise.all(
      clients.map(async (client) => {
        const before = client.incr('n:tx');
        const counted = client.multi().incr('n:tx').get('n:tx').exec();
        return { before: await before, counted: ((await counted) ?? []).map(([, value]) => value) };
      }),
    );
    for (const { before, counted } of results) {
      expect(Number(counted[0])).toBeGreaterThan(before);
      expect(counted[1]).toBe(`${counted[0]}`);
    }
    expect(await direct('GET', 'n:tx')).toBe('80');
  });

  it('what connections lose is said, never counted twice, and what was acknowledged is there', async () => {
    let acknowledged = 0;
    let lost = 0;
    const values = new Set<number>();
    const rounds = clients.map(async (client) => {
      for (let i = 0; i < 100; i++) {
        const reply = await client.incr('n:cut').catch((error) => error.message as string);
        if (typeof reply === 'number') {
          acknowledged++;
          values.add(reply);
        } else {
          expect(reply).toMatch(/^ERR heatsink: /);
          lost++;
        }
      }
    });
    const cuts = setInterval(() => void direct('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'), 15);
    await Promise.all(rounds);
    clearInterval(cuts);
    const total = Number(await direct('GET', 'n:cut'));
    expect(values.size).toBe(acknowledged);
    expect(total).toBeGreaterThanOrEqual(acknowledged);
    expect(total).toBeLessThanOrEqual(acknowledged + lost);
  });
});

it('follows a counter to the master that its slot moves to', async () => {
  const cluster: Cluster = await startCluster();
  open.push(() => cluster.stop());
  const proxy = await heatsink(cluster.url, 1);
  const clients = connect(proxy.port, 20);
  const key = 'n:{moving}';
  let moving = true;
  const replies: number[] = [];
  const rounds = clients.map(async (client) => {
    while (moving) replies.push(await client.incr(key));
  });
  const move = await beginSlotMove(cluster, key);
  await move.migrate();
  await move.finish();
  moving = false;
  await Promise.all(rounds);
  expect(replies.sort((a, b) => a - b)).toEqual(Array.from({ length: replies.length }, (_, i) => i + 1));
});
