// The names that hashes are put aside under, the patterns that find them, and the commands that move them: on one
// server, on a cluster, and through heatsink.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobList } from '../src/config/drain-types.ts';
import { parseKeyParts } from '../src/config/key-parts.ts';
import { nameAside, readAside } from '../src/drain/aside.ts';
import { connectRedis } from '../src/drain/redis.ts';
import { slotOf } from '../src/upstream/slot.ts';
import { createAuthority } from './support/certificates.ts';
import { drainOnce, redisAt } from './support/drain.ts';
import { startProxy } from './support/heatsink.ts';
import { type PostgresProcess, startPostgres } from './support/postgres.ts';
import { type Cluster, startCluster, startRedis } from './support/redis.ts';
import { startWatched } from './support/sentinel.ts';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const run = promisify(execFile);

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
    drainOnce({
      redis: redisAt(url),
      to: { dialect: 'postgres', url: db.url },
      every: 1000,
      maxFields: 10,
      keepBatches: 3_600_000,
      jobs: jobList.parse([{ from, table: 'totals', keyColumn: 'id', column: 'n' }]),
    });

  async function increment(): Promise<void> {
    for (let tag = 0; tag < 12; tag++) {
      const key = `views:{tag${tag}}`;
      const node = await cluster.slotOwner(key);
      for (let id = 0; id < 25; id++) await node.call('HINCRBY', key, id, 2);
    }
  }

  it('takes hashes of all slots, each in its own, by cluster URL and through heatsink', async () => {
    const proxy = await startProxy({ upstream: cluster.url });
    for (const [round, url] of [cluster.url, proxy.url].entries()) {
      await increment();
      expect(await drain(url, 'views:{{tag}}')).toBe(true);
      const rows = await db.query('SELECT tag, COUNT(*) AS ids, SUM(n) AS sum FROM totals GROUP BY tag');
      expect(rows).toHaveLength(12);
      for (const row of rows) expect(row).toMatchObject({ ids: '25', sum: `${50 * (round + 1)}` });
      for (const node of cluster.nodes) expect(await node.call('DBSIZE')).toBe(0);
    }
    await proxy.close();
  });

  it('moves a key whatever its braces, and takes its expiry away', async () => {
    const redis = await connectRedis(redisAt(cluster.url));
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

it('reaches a server, a cluster and the master behind sentinels by TLS, with the certificates of the nodes', async () => {
  const authority = createAuthority();
  const tls = { ca: authority.ca, ...authority.issue('node') };
  const secrets = { password: 'for-nodes', sentinelPassword: 'for-sentinels' };
  const [db, server, cluster, watched] = await Promise.all([
    startPostgres(),
    startRedis({ tls }),
    startCluster({ tls }),
    startWatched({ replicas: 0, sentinels: 1, ...secrets, tls }),
  ]);
  const env = {
    ...process.env,
    HEATSINK_NODES_TLS_CA: tls.ca,
    HEATSINK_NODES_TLS_CERT: tls.cert,
    HEATSINK_NODES_TLS_KEY: tls.key,
  };
  const masters = [server, await cluster.slotOwner('views:a'), watched.nodes[0]];
  for (const [i, url] of [server.url, cluster.url, watched.url].entries()) {
    await masters[i].client.hset('views:a', { 1: 5 });
    const to = ['--to', db.url, '--from', 'views:*', '--table', 't', '--key-column', 'id', '--column', 'n'];
    const more = i === 2 ? { HEATSINK_SENTINEL_PASSWORD: secrets.sentinelPassword } : {};
    const args = [CLI, 'drain', '--redis', url, ...to, '--dry-run'];
    const { stdout } = await run(process.execPath, args, { env: { ...env, ...more } });
    expect(stdout).toBe('t: views:* -> t.n\n  views:a: 1 rows, sum 5\n');
  }
  await Promise.all([db.stop(), server.stop(), cluster.stop(), watched.stop()]);
  authority.remove();
});
