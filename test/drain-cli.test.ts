// heatsink drain as its command line: exit codes, mistakes, metrics, and the end by a signal.

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryDir } from './support/children.ts';
import { spawnCli } from './support/heatsink-process.ts';
import { parseMetrics } from './support/metrics.ts';
import { type PostgresProcess, startPostgres } from './support/postgres.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { freePort, waitFor } from './support/wait.ts';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const folder = temporaryDir('drain-cli');
const file = join(folder, 'heatsink.yaml');

let redis: RedisProcess;
let db: PostgresProcess;
beforeAll(async () => {
  [redis, db] = await Promise.all([startRedis(), startPostgres()]);
  await db.query('CREATE TABLE product_views (product_id bigint PRIMARY KEY, views bigint NOT NULL)');
});
afterAll(() => Promise.all([redis.stop(), db.stop()]));

interface Ended {
  code: number;
  stdout: string;
  lines: string[];
}

function heatsink(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, 'drain', ...args], (error, stdout, stderr) => {
      const lines = stderr.split('\n').filter((line) => line !== '');
      resolve({ code: error === null ? 0 : Number(error.code), stdout, lines });
    });
  });
}

const job = [
  '--from',
  'views:*',
  '--table',
  'product_views',
  '--key-column',
  'product_id',
  '--column',
  'views',
];
const ends = () => ['--redis', redis.url, '--to', db.url];

describe('heatsink drain --once', () => {
  it('ends with 0 when all is applied, by flags and by file', async () => {
    await redis.client.hset('views:a', { 1: 5 });
    expect(await heatsink(...ends(), ...job, '--once')).toMatchObject({ code: 0, lines: [] });
    await redis.client.hset('views:b', { 1: 6 });
    writeFileSync(
      file,
      `upstream: ${redis.url}
drain:
  to: ${db.url}
  every: 1m
  jobs:
    - { name: views, from: 'views:*', table: public.product_views, keyColumn: product_id, column: views }
`,
    );
    expect(await heatsink('--config', file, '--once')).toMatchObject({ code: 0, lines: [] });
    expect(await db.query('SELECT views FROM product_views')).toEqual([{ views: '11' }]);
    expect(await redis.client.keys('*')).toEqual([]);
  });

  it('ends with 1 when Redis or the database is away, and says which', async () => {
    await redis.client.hset('views:a', { 1: 5 });
    const noRedis = await heatsink('--redis', 'redis://127.0.0.1:1', '--to', db.url, ...job, '--once');
    expect(noRedis.code).toBe(1);
    expect(noRedis.stdout).toContain('Redis at 127.0.0.1:1: connect ECONNREFUSED');
    const noDatabase = await heatsink(
      '--redis',
      redis.url,
      '--to',
      'postgres://127.0.0.1:1/x',
      ...job,
      '--once',
    );
    expect(noDatabase.code).toBe(1);
    expect(noDatabase.stdout).toContain('the database at 127.0.0.1:1: connect ECONNREFUSED');
    expect(await redis.client.hgetall('views:a')).toEqual({ 1: '5' });
  });

  it('changes nothing with --dry-run', async () => {
    const { code, stdout } = await heatsink(...ends(), ...job, '--dry-run');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'product_views: views:* -> product_views.views\n  views:a: 1 rows, sum 5\n',
    });
    expect(await redis.client.keys('*')).toEqual(['views:a']);
  });

  it('prints the SQL of its tables, which the database takes', async () => {
    for (const url of ['mysql://h/d', 'mariadb://h/d', db.url]) {
      const { code, stdout } = await heatsink('--to', url, '--print-sql');
      expect(code).toBe(0);
      expect(stdout).toContain('CREATE TABLE IF NOT EXISTS heatsink_drain_batches');
      if (url === db.url) await db.query(stdout);
    }
  });
});

describe('a mistake', () => {
  it('in flags ends with 2 and a line for each', async () => {
    expect(await heatsink('--from', 'v:{x}{x}', '--every', 'often', '--to', 'oracle://u:secret@h/d')).toEqual(
      {
        code: 2,
        stdout: '',
        lines: [
          'heatsink: --to: "oracle://u:***@h/d" is not accepted; accepted: postgres://[user[:password]@]host[:port]/database, or the same with mysql:// or mariadb://',
          'heatsink: --every: "often" is not accepted; accepted: a time from 100ms to 7d: milliseconds, or such as 10s, 5m, 1h or 7d',
          'heatsink: --from: "v:{x}{x}" is not accepted for drain.jobs[0].from; accepted: a pattern in which every column stands once: {x} stands in it twice',
          'heatsink: --table: nothing is not accepted for drain.jobs[0].table; accepted: the name of a table',
          'heatsink: --key-column: nothing is not accepted for drain.jobs[0].keyColumn; accepted: the name of the column that the fields go to',
          'heatsink: --column: nothing is not accepted for drain.jobs[0].column; accepted: the name of the column that is added to',
        ],
      },
    );
    expect((await heatsink('--to', db.url)).lines).toEqual([
      'heatsink: no Redis is named: use --redis, or drain.redis in the file',
      'heatsink: there is no job: use --from and what goes with it, or drain.jobs in the file',
    ]);
    expect((await heatsink(...job)).lines).toEqual([
      'heatsink: no database is named: use --to, or drain.to in the file',
    ]);
  });

  it('in the file is shown with its line', async () => {
    writeFileSync(
      file,
      `drain:
  to: ${db.url}
  jobs:
    - { from: 'views:{views}', table: t, keyColumn: id, column: views }
    - { from: 'sales:*', table: t, keyColumn: id, colum: sales }
    - { from: 'stock:*', table: t, keyColumn: id, column: n }
`,
    );
    const { code, lines } = await heatsink('--config', file);
    expect(code).toBe(2);
    expect(lines.map((line) => line.replace(file, 'FILE'))).toEqual([
      'heatsink: FILE:4:7: {"from":"views:{views}","table":"t","keyColumn":"id","column":"views"} is not accepted for drain.jobs[0]; accepted: each column once; "views" would be written from two places',
      'heatsink: FILE:5:7: nothing is not accepted for drain.jobs[1].column; accepted: the name of the column that is added to',
      'heatsink: FILE:5:7: drain.jobs[1] has no key "colum"',
    ]);
    writeFileSync(
      file,
      `drain: { jobs: [${"{ from: 'a', table: t, keyColumn: id, column: n }, ".repeat(2)}] }\n`,
    );
    expect((await heatsink('--config', file)).lines.join()).toContain(
      'accepted: a name of its own: another job is named "t" already',
    );
  });

  it('about the table ends with 2', async () => {
    const wrong = job.map((word) => (word === 'views' ? 'visits' : word));
    const { code, lines } = await heatsink(...ends(), ...wrong);
    expect({ code, lines }).toEqual({
      code: 2,
      lines: [
        'heatsink: drain job product_views, table product_views: column "visits" of relation "product_views" does not exist',
      ],
    });
  });
});

describe('heatsink drain as a service', () => {
  it('drains again and again, serves metrics and health, outlives outages, and ends at SIGTERM', async () => {
    await redis.client.flushall();
    await db.query('DELETE FROM product_views');
    const port = await freePort();
    const drain = await spawnCli(
      ['drain', ...ends(), ...job, '--every', '100ms', '--admin', `127.0.0.1:${port}`],
      { ready: (output) => output.includes('draining') },
    );
    const get = async (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    const metrics = async () => parseMetrics(await (await get('/metrics')).text());
    const views = async () => Number((await db.query('SELECT SUM(views) AS n FROM product_views'))[0].n);
    await redis.client.hset('views:a', { 1: 5, 2: 'x' });
    await waitFor(async () => (await views()) === 5);
    await waitFor(async () => (await get('/readyz')).status === 200);
    expect((await get('/healthz')).status).toBe(200);
    expect((await get('/elsewhere')).status).toBe(404);

    redis.kill('SIGSTOP');
    await db.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'heatsink-drain'",
    );
    redis.kill('SIGCONT');
    await redis.client.hset('views:b', { 1: 6 });
    await waitFor(async () => (await views()) === 11);
    await waitFor(async () => (await get('/readyz')).status === 200);
    const page = await metrics();
    const of = (name: string) => page.sum(`heatsink_drain_${name}`, { job: 'product_views' });
    expect([of('rows_total'), of('increments_total'), of('rejected_total'), of('backlog')]).toEqual([
      2, 11, 1, 0,
    ]);
    expect(of('batches_total')).toBeGreaterThanOrEqual(2);
    expect(of('failures_total')).toBeGreaterThanOrEqual(1);
    expect(Math.abs(of('last_success_timestamp_seconds') - Date.now() / 1000)).toBeLessThan(60);
    const documented = readFileSync(new URL('../docs/drain.md', import.meta.url), 'utf8');
    const help = (await (await get('/metrics')).text()).matchAll(/^# HELP (heatsink_\S+) (.*)$/gm);
    for (const [, name, text] of help) expect(documented).toContain(`| \`${name}\` | ${text} |`);
    expect(await drain.stop('SIGTERM')).toBe(0);
    expect(drain.output()).toContain('stopping after the batch that is running');
  });
});
