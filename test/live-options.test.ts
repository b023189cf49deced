// heatsink's own options by CONFIG GET and SET, beside those of the server behind it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { itemsOf, textOf } from '../src/commands/elements.ts';
import { type Appliers, liveOptions } from '../src/config/live.ts';
import { loadConfig } from '../src/config/load.ts';
import { OPTION_ENTRIES } from '../src/config/schema.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
let redis: RedisProcess;
let proxy: RunningProxy;
let client: Wire;

beforeAll(async () => {
  redis = await startRedis();
  await redis.call('CONFIG', 'SET', 'requirepass', 's3cret');
  open.push(() => redis.stop());
  proxy = await startProxy({ upstream: `redis://:s3cret@127.0.0.1:${redis.port}/3` });
  open.push(() => proxy.close());
  client = await Wire.open(proxy.port, 2);
  open.push(() => client.close());
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function get(...patterns: string[]): Promise<Map<string, string>> {
  const words = itemsOf(await client.ask('CONFIG', 'GET', ...patterns)).map(textOf);
  return new Map(Array.from({ length: words.length / 2 }, (_, i) => [words[i * 2], words[i * 2 + 1]]));
}

const failed = (name: string, reason: string) =>
  `-ERR CONFIG SET failed (possibly related to argument 'heatsink.${name}') - ${reason}`;
const threshold = async () => (await get('heatsink.hot.threshold')).get('heatsink.hot.threshold');

describe('CONFIG GET', () => {
  it('gives every option of heatsink by its place in the file', async () => {
    const own = await get('heatsink.*');
    expect([...own.keys()]).toEqual(OPTION_ENTRIES.map(([path]) => `heatsink.${path}`));
    expect(own.get('heatsink.hot.threshold')).toBe('500');
    expect(own.get('heatsink.tier.enabled')).toBe('on');
    expect(own.get('heatsink.listen')).toBe('127.0.0.1:0');
    expect(own.get('heatsink.cluster.announce')).toBe('');
    expect(own.get('heatsink.rules')).toBe('[]');
  });

  it('never shows a password', async () => {
    expect((await get('heatsink.upstream')).get('heatsink.upstream')).toBe(
      `redis://:***@127.0.0.1:${redis.port}/3`,
    );
  });

  it('never shows what options hold that passwords are made of', () => {
    const hash = `#${'ab'.repeat(32)}`;
    const file = join(mkdtempSync(join(tmpdir(), 'heatsink-')), 'config.yaml');
    writeFileSync(
      file,
      `users:\n  - { name: bob, password: '${hash}' }\nnodes:\n  sentinelPassword: s3cret\n`,
    );
    const upstream = 'redis+sentinel://me:s3cret@10.0.0.1/main';
    const config = loadConfig({ flags: { upstream }, env: {}, file });
    rmSync(dirname(file), { recursive: true });
    const options = liveOptions(config, {} as Appliers);
    const shown = options.names.map((name) => options.get(name)).join('\n');
    expect(shown).toContain('redis+sentinel://me:***@10.0.0.1:26379/main');
    expect(shown).toContain('"name":"bob"');
    expect(shown).not.toMatch(/abab|s3cret/);
    const named = OPTION_ENTRIES.filter(([path]) => /password|secret/i.test(path));
    expect(named.map(([, { secret }]) => secret)).toEqual(named.map(() => true));
  });

  it('takes glob patterns in either case, and several of them', async () => {
    expect([...(await get('HEATSINK.Hot.[st]*')).keys()]).toEqual([
      'heatsink.hot.threshold',
      'heatsink.hot.steps',
      'heatsink.hot.top',
    ]);
    expect([...(await get('heatsink.hot.top', 'maxmemory')).keys()]).toEqual([
      'maxmemory',
      'heatsink.hot.top',
    ]);
    expect((await get('heatsink.nothing')).size).toBe(0);
  });

  it('is not held up by any pattern', async () => {
    expect((await get(`heatsink.${'*e*t'.repeat(5000)}*x`)).size).toBe(0);
    expect([...(await get('h*?.*t*.*r\\esh[^a-k]*d')).keys()]).toEqual(['heatsink.hot.threshold']);
  });

  it('gives what the server has first', async () => {
    const all = [...(await get('*')).keys()];
    const first = all.findIndex((name) => name.startsWith('heatsink.'));
    expect(first).toBeGreaterThan(100);
    expect(all.slice(first)).toHaveLength(OPTION_ENTRIES.length);
    expect([...(await get('maxmemory')).keys()]).toEqual(['maxmemory']);
  });

  it('is a map in RESP3', async () => {
    const third = await Wire.open(proxy.port, 3);
    open.push(() => third.close());
    expect(await third.say('CONFIG', 'GET', 'heatsink.hot.cool')).toBe(
      '%1\r\n$17\r\nheatsink.hot.cool\r\n$3\r\n0.5',
    );
    expect((await third.say('CONFIG', 'GET', '*threshold')).slice(0, 2)).toBe('%3');
    expect(await third.say('CONFIG', 'GET', 'heatsink.nothing')).toBe('%0');
  });
});

describe('CONFIG SET', () => {
  it('changes live options at once', async () => {
    await client.say('SET', 'k', 'v');
    const hits = async () => (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
    const before = await hits();
    for (let i = 0; i < 20; i++) await client.say('GET', 'k');
    expect(await hits()).toBe(before);
    expect(await client.say('CONFIG', 'SET', 'heatsink.hot.threshold', '1')).toBe('+OK');
    await waitFor(async () => {
      await client.say('GET', 'k');
      return (await hits()) > before;
    });
    expect((await proxy.admin('/hotkeys')).body).toMatchObject({ threshold: 1 });
    expect(await threshold()).toBe('1');
    // The tier has no room for anything any more, and gets some again.
    expect(
      await client.say(
        'CONFIG',
        'SET',
        'heatsink.tier.maxentrybytes',
        '64',
        'heatsink.tier.maxBytes',
        '64kb',
      ),
    ).toBe('+OK');
    expect((await get('heatsink.tier.max*')).get('heatsink.tier.maxBytes')).toBe('65536');
    await client.say('CONFIG', 'SET', 'heatsink.hot.threshold', '500');
  });

  it('changes all options of a request or none', async () => {
    const set = (...pairs: string[]) => client.say('CONFIG', 'SET', ...pairs);
    expect(await set('heatsink.hot.threshold', '7', 'heatsink.hot.top', 'x')).toBe(
      failed('hot.top', 'argument must be a whole number from 1 to 10000'),
    );
    expect(await set('heatsink.hot.threshold', '7', 'maxmemory', '0')).toMatch(
      /^-ERR heatsink: one CONFIG SET/,
    );
    expect(await set('heatsink.hot.threshold', '7', 'heatsink.hot.threshold', '8')).toBe(
      failed('hot.threshold', 'duplicate parameter'),
    );
    expect(await set('heatsink.hot.threshold', '7', 'heatsink.nonsense', '8')).toBe(
      "-ERR Unknown option or number of arguments for CONFIG SET - 'heatsink.nonsense'",
    );
    expect(await set('heatsink.hot.threshold', '7', 'heatsink.hot.window', '8')).toMatch(
      /'heatsink.hot.window'\) - can't set immutable config: it needs a restart/,
    );
    expect(await threshold()).toBe('500');
    expect(await set('heatsink.hot.threshold', '7', 'heatsink.hot.cool', '.25')).toBe('+OK');
    expect(await threshold()).toBe('7');
    await set('heatsink.hot.threshold', '500');
  });

  it('takes back all that CONFIG GET gave, and a restart only for what is different', async () => {
    const all = [...(await get('heatsink.*'))].flat();
    expect(await client.say('CONFIG', 'SET', ...all)).toBe('+OK');
    expect([...(await get('heatsink.*'))].flat()).toEqual(all);
  });

  it('leaves the parameters of the server to the server', async () => {
    expect(await client.say('CONFIG', 'SET', 'maxmemory-samples', '7')).toBe('+OK');
    expect(await redis.call('CONFIG', 'GET', 'maxmemory-samples')).toEqual(['maxmemory-samples', '7']);
    expect(await client.say('CONFIG', 'SET', 'nonsense', '7')).toMatch(/^-ERR Unknown option/);
    expect(await client.say('CONFIG', 'SET', 'heatsink.hot.top')).toMatch(/^-ERR wrong number of arguments/);
    expect(await client.say('CONFIG', 'SET', 'heatsink.hot.top', '1', 'x')).toMatch(/^-ERR syntax error/);
  });
});
