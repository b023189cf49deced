// Times to live that a rule moves at random: how far, for which commands, and what stays as the client said it.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryDir } from './support/children.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
let redis: RedisProcess;
let proxy: RunningProxy;
let client: Wire;
let direct: Wire;

const RULES = [
  'rules:',
  '  - { match: "exact:*", jitter: 0 }',
  '  - { match: "tenth:*", jitter: 10% }',
  '  - { match: "half:*", jitter: 0.5, consistency: off }',
];

beforeAll(async () => {
  redis = await startRedis();
  open.push(() => redis.stop());
  const folder = temporaryDir('jitter');
  open.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'h.yaml');
  writeFileSync(file, RULES.join('\n'));
  proxy = await startProxy({ upstream: redis.url, file });
  open.push(() => proxy.close());
  client = await Wire.open(proxy.port, 2);
  direct = await Wire.open(redis.port, 2);
  open.push(
    () => client.close(),
    () => direct.close(),
  );
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

/** Milliseconds that keys have to live when they are given that, as seen by the server. */
async function lives(prefix: string, give: (key: string) => string[], count = 200): Promise<number[]> {
  const keys = Array.from({ length: count }, (_, i) => `${prefix}:${i}`);
  const found: number[] = [];
  for (const key of keys) {
    await direct.ask('SET', key, 'v');
    await client.ask(...give(key));
    found.push(Number((await direct.ask('PTTL', key)).toString().slice(1)));
  }
  return found;
}

const FORMS: Record<string, (key: string) => string[]> = {
  'SET EX': (key) => ['SET', key, 'EX', 'EX', '100'],
  'SET PX among options': (key) => ['set', key, 'v', 'XX', 'px', '100000', 'GET'],
  SETEX: (key) => ['SETEX', key, '100', 'v'],
  PSETEX: (key) => ['PSETEX', key, '100000', 'v'],
  EXPIRE: (key) => ['EXPIRE', key, '100'],
  'EXPIRE NX': (key) => ['expire', key, '100', 'NX'],
  PEXPIRE: (key) => ['PEXPIRE', key, '100000'],
  'GETEX EX': (key) => ['GETEX', key, 'EX', '100'],
  'GETEX PX': (key) => ['GETEX', key, 'PX', '100000'],
};
/** Between the command and the look at what it did, in milliseconds. */
const SLACK = 2000;

describe('a rule with a jitter of 10 %', () => {
  it.each(Object.keys(FORMS))(
    'spreads what %s gives over 90 to 110 percent, to the millisecond',
    async (form) => {
      const found = await lives('tenth', FORMS[form]);
      expect(Math.min(...found)).toBeGreaterThan(90_000 - SLACK);
      expect(Math.max(...found)).toBeLessThanOrEqual(110_000);
      // Of 200 even draws: that all miss an outer fifth happens once in 10^19 runs.
      expect(Math.min(...found)).toBeLessThan(94_000);
      expect(Math.max(...found)).toBeGreaterThan(106_000 - SLACK);
      expect(new Set(found.map((ms) => Math.round(ms / 100))).size).toBeGreaterThan(80);
    },
  );

  it('spreads what a transaction gives', async () => {
    await client.ask('MULTI');
    for (let i = 0; i < 50; i++) await client.ask('SETEX', `tenth:t${i}`, '100', 'v');
    await client.ask('EXEC');
    const found = await Promise.all(Array.from({ length: 50 }, (_, i) => redis.call('PTTL', `tenth:t${i}`)));
    expect(new Set(found.map((ms) => Math.round(Number(ms) / 100))).size).toBeGreaterThan(20);
  });

  it('counts them', async () => {
    const before = (await proxy.metrics()).sum('heatsink_jittered_ttls_total');
    await client.ask('SETEX', 'tenth:a', '100', 'v');
    await client.ask('SETEX', 'exact:a', '100', 'v');
    expect((await proxy.metrics()).sum('heatsink_jittered_ttls_total') - before).toBe(1);
  });
});

describe('as the client said it', () => {
  it.each([
    ['other keys', 'other'],
    ['keys that an earlier rule keeps exact', 'exact'],
  ])('stay the times of %s', async (_, prefix) => {
    const found = await lives(prefix, FORMS.SETEX, 20);
    expect(Math.min(...found)).toBeGreaterThan(100_000 - SLACK);
    expect(Math.max(...found)).toBeLessThanOrEqual(100_000);
  });

  it.each([
    [['EXPIREAT', 'tenth:at', '4000000000']],
    [['PEXPIREAT', 'tenth:at', '4000000000000']],
    [['SET', 'tenth:at', 'v', 'EXAT', '4000000000']],
    [['GETEX', 'tenth:at', 'PXAT', '4000000000000']],
  ])('stays the point in time of %j', async (command) => {
    await direct.ask('SET', 'tenth:at', 'v');
    await client.ask(...command);
    expect(await redis.call('PEXPIRETIME', 'tenth:at')).toBe(4_000_000_000_000);
  });

  it('is a time that deletes the key', async () => {
    await direct.ask('SET', 'half:gone', 'v');
    expect(`${await client.ask('EXPIRE', 'half:gone', '-1')}`).toBe(':1\r\n');
    expect(await redis.call('EXISTS', 'half:gone')).toBe(0);
  });

  it('never becomes nothing', async () => {
    for (let i = 0; i < 50; i++) expect(`${await client.ask('PSETEX', 'half:1', '1', 'v')}`).toBe('+OK\r\n');
  });
});

it.each([
  [['SETEX', 'tenth:e', '0', 'v']],
  [['SETEX', 'tenth:e', '-5', 'v']],
  [['SETEX', 'tenth:e', 'ten', 'v']],
  [['SETEX', 'tenth:e', '99999999999999999', 'v']],
  [['SETEX', 'tenth:e', '10']],
  [['SETEX', 'tenth:e', '10', 'v', 'more']],
  [['SET', 'tenth:e', 'v', 'EX', '0']],
  [['SET', 'tenth:e', 'v', 'EX']],
  [['SET', 'tenth:e', 'v', 'EX', '10', 'PX', '10']],
  [['SET', 'tenth:e', 'v', 'EX', '10', 'KEEPTTL']],
  [['SET', 'tenth:e', 'v', 'NX', 'XX', 'EX', '10']],
  [['EXPIRE', 'tenth:e', '10', 'NX', 'GT']],
  [['EXPIRE', 'tenth:e', '10', 'sometimes']],
  [['EXPIRE', 'tenth:e']],
  [['GETEX', 'tenth:e', 'EX', '10', 'PERSIST']],
  [['PSETEX']],
])('what is wrong with %j is said in the words of Redis', async (command) => {
  expect(`${await client.ask(...command)}`).toBe(`${await direct.ask(...command)}`);
});
