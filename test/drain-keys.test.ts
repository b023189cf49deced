// The names that hashes are put aside under, the patterns that find them, and the commands that move them: on one
// server, on a cluster, and through heatsink.

import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobList } from '../src/config/drain-types.ts';
import { parseKeyParts } from '../src/config/key-parts.ts';
import { parseUpstream } from '../src/config/upstream-url.ts';
import { nameAside, readAside } from '../src/drain/aside.ts';
import { runDrain } from '../src/drain/drain.ts';
import { connectRedis } from '../src/drain/redis.ts';
import { createStatus } from '../src/drain/status.ts';
import { slotOf } from '../src/upstream/slot.ts';
import { startProxy } from './support/heatsink.ts';
import { type PostgresProcess, startPostgres } from './support/postgres.ts';
import { type Cluster, startCluster } from './support/redis.ts';

/** Keys with braces in all places, among them those whose slot no braces around the key can give. */
const KEYS = [
  'views:1',
  '{views}:1',
  'a{views}:1',
  '{}views:1',
  'views}:1',
  '{views:1',
  'vi}e{ws:1',
  '}:{x}}:{y}',
];

describe('the name of a hash that is put aside', () => {
  const key = fc.oneof(
    fc.constantFrom(...KEYS).map((text) => Buffer.from(text)),
    fc
      .string({ unit: fc.constantFrom('{', '}', ':', 'a', '1', 'é'), minLength: 1 })
      .map((s) => Buffer.from(s)),
    fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  );

  it('has the slot of the key, and says what the key was', () => {
    fc.assert(
      fc.property(key, fc.integer({ min: 1, max: 1000 }), (name, parts) => {
        const aside = nameAside('my-job.1', name, parts);
        expect(slotOf(aside.name, 0, aside.name.length)).toBe(slotOf(name, 0, name.length));
        expect(readAside('my-job.1', aside.name)).toEqual(aside);
      }),
      { numRuns: 300 },
    );
  });

  it('is never the same', () => {
    const names = Array.from({ length: 100 }, () => nameAside('job', Buffer.from('k'), 1).name.toString());
    expect(new Set(names).size).toBe(100);
  });

  it('is told from what no drain has made', () => {
    for (const name of ['heatsink:drain:job:x', 'heatsink:drain:job:x:{a}:a', 'heatsink:drain:job:']) {
      expect(readAside('job', Buffer.from(name))).toBeNull();
    }
  });
});

describe('a pattern for keys', () => {
  it.each([
    ['views:{day}', 'views:*', 'views:2026-11-23', ['2026-11-23']],
    ['views:{day}', 'views:*', 'views:2026-11-23:old', null],
    ['{shop}:views:{day}', '*:views:*', 'a:views:b', ['a', 'b']],
    ['views:{{shop}}:{day}', 'views:{*}:*', 'views:{7}:today', ['7', 'today']],
    ['views:*:{day}', 'views:*:*', 'views:x:y:today', ['today']],
    ['v?ews:{day}', 'v*ews:*', 'views:today', ['today']],
    ['\\{a\\}[1]\\*:{day}', '{a}\\[1\\]\\*:*', '{a}[1]*:today', ['today']],
    ['plain', 'plain', 'plain', []],
    ['plain', 'plain', 'plainer', null],
  ])('%s is the glob %s, and reads %s as %j', (pattern, glob, key, values) => {
    const parts = parseKeyParts(pattern);
    expect(parts.glob).toBe(glob);
    expect(parts.match(key)).toEqual(values);
  });
});

describe('on a cluster', () => {
  let cluster: Cluster;
  let db: PostgresProcess;
  beforeAll(async () => {
    [cluster, db] = await Promise.all([startCluster(), startPostgres()]);
    await db.query('CREATE TABLE totals (tag text, id text, n bigint, PRIMARY KEY (tag, id))');
  });
  afterAll(() => Promise.all([cluster.stop(), db.stop()]));

  const drain = (url: string, from: string) =>
    runDrain({
      plan: {
        redis: parseUpstream(url),
        tls: null,
        to: { dialect: 'postgres', url: db.url },
        every: 1000,
        maxFields: 10,
        keepBatches: 3_600_000,
        jobs: jobList.parse([{ from, table: 'totals', keyColumn: 'id', column: 'n' }]),
      },
      status: createStatus(),
      log: pino({ level: 'silent' }),
      signal: new AbortController().signal,
      once: true,
    });

  async function gatherAll(through: { call(...args: string[]): Promise<unknown> } | null, tags: string[]) {
    for (const tag of tags) {
      const key = `views:{${tag}}`;
      const node = through ?? (await cluster.slotOwner(key)).client;
      for (let id = 0; id < 25; id++) await node.call('HINCRBY', key, `${id}`, '2');
      await node.call('EXPIRE', key, '3600');
    }
  }

  const tags = Array.from({ length: 12 }, (_, i) => `tag${i}`);

  it('takes hashes of all slots, each in its own, by cluster URL and through heatsink', async () => {
    const proxy = await startProxy({ upstream: cluster.url });
    for (const [round, url] of [cluster.url, proxy.url].entries()) {
      await gatherAll(null, tags);
      expect(await drain(url, 'views:{{tag}}')).toBe(true);
      const rows = await db.query('SELECT tag, COUNT(*) AS ids, SUM(n) AS sum FROM totals GROUP BY tag');
      expect(rows).toHaveLength(12);
      for (const row of rows) expect(row).toMatchObject({ ids: '25', sum: `${50 * (round + 1)}` });
      for (const node of cluster.nodes) expect(await node.call('DBSIZE')).toBe(0);
    }
    await proxy.close();
  });

  it('moves a key whatever its braces, and takes its expiry away', async () => {
    const redis = await connectRedis(parseUpstream(cluster.url), null);
    for (const text of KEYS) {
      const key = Buffer.from(text);
      const { client } = await cluster.slotOwner(text);
      await client.hset(key, '1', '5');
      await client.pexpire(key, 60_000);
      const { name } = nameAside('job', key, 1);
      expect(await redis.moveAside(key, name)).toBe(true);
      expect(await client.pttl(name)).toBe(-1);
      // It has gone: there is nothing to move.
      expect(await redis.moveAside(key, nameAside('job', key, 1).name)).toBe(false);
      await redis.remove(name);
    }
    redis.close();
  });
});
