// HOTKEYS as Redis 8.6 has it, and what HEATSINK tells of hot keys, counters, the tier and rules.

import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { itemsOf, textOf } from '../src/commands/elements.ts';
import { mergeTopKeys, TopKeys } from '../src/proxy/seen/top-keys.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
let redis: RedisProcess;
let cluster: Cluster;

beforeAll(async () => {
  [redis, cluster] = await Promise.all([startRedis(), startCluster()]);
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});
afterAll(async () => {
  await Promise.all([redis.stop(), cluster.stop()]);
});

async function proxyFor(
  upstream: string,
  flags: Record<string, string> = {},
  yaml = '',
): Promise<RunningProxy> {
  const file = join(mkdtempSync(join(tmpdir(), 'heatsink-hotkeys-')), 'heatsink.yaml');
  writeFileSync(file, yaml);
  const proxy = await startProxy({ upstream, flags: { 'hot-threshold': '20', ...flags }, file });
  open.push(() => proxy.close());
  return proxy;
}

function wireTo(proxy: RunningProxy): Wire {
  const wire = new Wire(proxy.port);
  open.push(() => wire.close());
  return wire;
}

type Field = string | Field[];
function decode(reply: Buffer): Field {
  const first = String.fromCharCode(reply[0]);
  return first === '*' ? itemsOf(reply).map(decode) : textOf(reply);
}

/** A flat list of names and values as an object. */
function mapped(reply: Field): Record<string, Field> {
  const list = reply as Field[];
  return Object.fromEntries(
    Array.from({ length: list.length / 2 }, (_, i) => [list[i * 2], list[i * 2 + 1]]),
  );
}

async function measured(wire: Wire): Promise<Record<string, Field>> {
  const [only] = decode(await wire.ask('HOTKEYS', 'GET')) as Field[];
  return mapped(only);
}

const start = (wire: Wire, ...args: string[]) => wire.say('HOTKEYS', 'START', 'METRICS', ...args);

describe.each(['1', '2'])('HOTKEYS with %s worker(s)', (workers) => {
  it('counts the bytes of requests and replies of each key, wherever they are answered', async () => {
    const proxy = await proxyFor(redis.url, { workers });
    const wires = Array.from({ length: 8 }, () => wireTo(proxy));
    const [wire] = wires;
    for (const [key, value] of [
      ['product:1', 'Laptop'],
      ['product:2', 'Phone'],
      ['product:3', 'Tablet'],
    ])
      await wire.say('SET', key, value);
    expect(await start(wire, '2', 'CPU', 'NET')).toBe('+OK');
    // One after the other, so that the first is forwarded and the later ones come from the tier.
    for (let i = 0; i < 25; i++) for (const each of wires.slice(0, 4)) await each.say('GET', 'product:1');
    for (let i = 0; i < 10; i++) await wires[5].say('GET', 'product:2');
    await wires[6].say('GET', 'product:3');
    const result = await measured(wires[7]);
    expect(result['by-net-bytes']).toEqual(['product:1', '4000', 'product:2', '390', 'product:3', '40']);
    expect(result).toMatchObject({
      'tracking-active': '1',
      'sample-ratio': '1',
      'selected-slots': [['0', '16383']],
      'net-bytes-all-commands-all-slots': '4430',
      'total-net-bytes': '4430',
    });
    const busy = mapped(result['by-cpu-time-us']);
    expect(Number(busy['product:1'])).toBeGreaterThan(0);
    expect(Object.keys(result)).toEqual([
      'tracking-active',
      'sample-ratio',
      'selected-slots',
      'all-commands-all-slots-us',
      'net-bytes-all-commands-all-slots',
      'collection-start-time-unix-ms',
      'collection-duration-ms',
      'total-cpu-time-user-ms',
      'total-cpu-time-sys-ms',
      'total-net-bytes',
      'by-cpu-time-us',
      'by-net-bytes',
    ]);
    expect((await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' })).toBeGreaterThan(
      0,
    );
    expect(await wires[3].say('HOTKEYS', 'STOP')).toBe('+OK');
    await wire.say('GET', 'product:3');
    expect((await measured(wire))['by-net-bytes']).toEqual(result['by-net-bytes']);
    expect(await wires[2].say('HOTKEYS', 'RESET')).toBe('+OK');
    expect(await wire.say('HOTKEYS', 'GET')).toBe('$-1');
  });

  it('is one session for all clients, with the words of Redis', async () => {
    const proxy = await proxyFor(redis.url, { workers });
    const [one, other] = [wireTo(proxy), wireTo(proxy)];
    expect(await one.say('HOTKEYS', 'GET')).toBe('$-1');
    expect(await one.say('HOTKEYS', 'STOP')).toBe('$-1');
    expect(await start(one, '1', 'NET', 'DURATION', '1')).toBe('+OK');
    expect(await start(other, '1', 'CPU')).toBe('-ERR hotkey tracking session already in progress');
    expect(await other.say('HOTKEYS', 'RESET')).toBe(
      '-ERR hotkey tracking session in progress, stop tracking first',
    );
    await waitFor(async () => (await measured(other))['tracking-active'] === '0');
    const { 'collection-duration-ms': duration, ...result } = await measured(one);
    expect(Number(duration)).toBeGreaterThan(950);
    expect(result).not.toHaveProperty('by-cpu-time-us');
    expect(await start(one, '1', 'CPU')).toBe('+OK');
  });
});

it('HOTKEYS divides what commands with several keys take, and looks at the slots and the share that are asked for', async () => {
  const proxy = await proxyFor(cluster.url);
  const wire = wireTo(proxy);
  await wire.say('HOTKEYS', 'START', 'METRICS', '1', 'NET', 'COUNT', '2');
  await wire.say('MSET', '{a}1', 'x'.repeat(100), '{a}2', 'y'.repeat(100));
  await wire.say('MGET', 'b', 'c', 'd');
  await wire.say('INCR', 'e');
  const split = mapped((await measured(wire))['by-net-bytes']);
  expect(Object.keys(split).sort()).toEqual(['{a}1', '{a}2']);
  expect(split['{a}1']).toBe(split['{a}2']);
  await wire.say('HOTKEYS', 'STOP');

  const slot = String(await cluster.nodes[0].call('CLUSTER', 'KEYSLOT', 'mine'));
  const next = `${(Number(slot) + 1) % 16384}`;
  expect(await start(wire, '1', 'NET', 'SLOTS', '2', slot, next)).toBe('+OK');
  await wire.say('GET', 'mine');
  await wire.say('GET', 'other');
  const chosen = await measured(wire);
  expect(Object.keys(mapped(chosen['by-net-bytes']))).toEqual(['mine']);
  expect(chosen['selected-slots']).toEqual([[slot, next]]);
  expect(Number(chosen['net-bytes-all-commands-selected-slots'])).toBeLessThan(
    Number(chosen['net-bytes-all-commands-all-slots']),
  );
  await wire.say('HOTKEYS', 'STOP');

  await start(wire, '1', 'NET', 'SAMPLE', '10', 'SLOTS', '1', slot);
  wire.sendAll(Array.from({ length: 2000 }, () => ['GET', 'mine']));
  await wire.replies(2000);
  const sampled = await measured(wire);
  const share =
    Number(sampled['net-bytes-sampled-commands-selected-slots']) /
    Number(sampled['net-bytes-all-commands-selected-slots']);
  expect(share).toBeGreaterThan(0.05);
  expect(share).toBeLessThan(0.2);
});

it.each([
  [['START'], 'METRICS parameter is required'],
  [['START', 'METRICS', '0'], 'METRICS count must be > 0 and <= 2'],
  [['START', 'METRICS', '3', 'CPU', 'NET'], 'METRICS count must be > 0 and <= 2'],
  [['START', 'METRICS', '2', 'CPU'], 'METRICS count does not match number of metric types provided'],
  [['START', 'METRICS', '1', 'CPU', 'NET'], 'syntax error'],
  [['START', 'METRICS', '1', 'GPU'], 'METRICS no valid metrics passed. Supported: CPU|NET'],
  [['START', 'METRICS', '2', 'NET', 'NET'], 'METRICS NET defined more than once!'],
  [['START', 'METRICS', '1', 'CPU', 'COUNT', '65'], 'COUNT must be between 1 and 64'],
  [['START', 'METRICS', '1', 'CPU', 'COUNT', 'x'], 'COUNT must be between 1 and 64'],
  [['START', 'METRICS', '1', 'CPU', 'COUNT'], 'syntax error'],
  [['START', 'METRICS', '1', 'CPU', 'DURATION', '0'], 'DURATION must be between 1 and 1000000'],
  [['START', 'METRICS', '1', 'CPU', 'SAMPLE', '0'], 'SAMPLE ratio must be positive'],
  [['START', 'METRICS', '1', 'CPU', 'SLOTS', '1', '0'], 'SLOTS parameter cannot be used in non-cluster mode'],
  [['GET', 'x'], "wrong number of arguments for 'hotkeys|get' command"],
  [['NOW'], "unknown subcommand 'NOW'. Try HOTKEYS HELP."],
])('HOTKEYS %j is an error in the words of Redis', async (args, words) => {
  const proxy = await proxyFor(redis.url);
  expect(await wireTo(proxy).say('HOTKEYS', ...args)).toBe(`-ERR ${words}`);
});

it('HOTKEYS takes each slot once', async () => {
  const proxy = await proxyFor(cluster.url);
  const wire = wireTo(proxy);
  expect(await start(wire, '1', 'CPU', 'SLOTS', '2', '0')).toBe('-ERR not enough slot numbers provided');
  expect(await start(wire, '1', 'CPU', 'SLOTS', '2', '0', '0')).toBe('-ERR duplicate slot number');
  expect(await start(wire, '1', 'CPU', 'SLOTS', '1', '16384')).toBe('-ERR Invalid or out of range slot');
  expect(await start(wire, '1', 'CPU', 'SLOTS', '1', '0', 'SLOTS', '1', '5')).toBe(
    '-ERR SLOTS parameter already specified',
  );
});

it('the heaviest keys are found in bounded memory, and none weighs less than it did', () => {
  const stream = fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 1000 })), {
    maxLength: 400,
  });
  fc.assert(
    fc.property(stream, (added) => {
      const top = new TopKeys(20);
      const exact = new Map<string, number>();
      for (const [key, weight] of added) {
        top.add(`k${key}`, weight);
        exact.set(`k${key}`, (exact.get(`k${key}`) ?? 0) + weight);
      }
      const total = [...exact.values()].reduce((sum, weight) => sum + weight, 0);
      expect(top.total).toBe(total);
      const kept = new Map(top.list().map(({ key, weight }) => [key.toString(), weight]));
      expect(kept.size).toBeLessThanOrEqual(20);
      for (const [key, weight] of kept) expect(weight).toBeGreaterThanOrEqual(exact.get(key) ?? 0);
      // Whatever is heavier than an even share is there.
      for (const [key, weight] of exact) if (weight > total / 20) expect(kept.has(key)).toBe(true);
      const merged = mergeTopKeys([top.list(), top.list()], 5);
      expect(merged.map(({ weight }) => weight)).toEqual(
        [...kept.values()]
          .sort((a, b) => b - a)
          .slice(0, 5)
          .map((weight) => weight * 2),
      );
    }),
  );
});

describe('HEATSINK', () => {
  it.each(['1', '2'])(
    'tells of hot keys, counters and the tier of %s worker(s), and clears it',
    async (workers) => {
      const proxy = await proxyFor(redis.url, { workers });
      const wire = wireTo(proxy);
      await wire.say('SET', 'hot', 'v');
      const hottest = async () =>
        mapped((decode(await wire.ask('HEATSINK', 'HOTKEYS', '1')) as Field[])[0] ?? []);
      await waitFor(async () => {
        for (let i = 0; i < 50; i++) await wire.say('GET', 'hot');
        return (await hottest()).state === 'tier';
      });
      expect(await hottest()).toMatchObject({ key: 'hot', node: `127.0.0.1:${redis.port}`, pinned: '0' });
      const stats = mapped(decode(await wire.ask('HEATSINK', 'STATS')));
      expect(Number(stats.requests_tier_hit)).toBeGreaterThan(0);
      expect(stats).toMatchObject({ upstream: 'standalone', connected_clients: '1' });
      const tier = mapped(decode(await wire.ask('HEATSINK', 'TIER')));
      expect(tier).toMatchObject({ entries: '1', 'hot-keys': '1', 'max-bytes': `${64 * 2 ** 20}` });
      expect(await wire.say('HEATSINK', 'TIER', 'CLEAR')).toBe('+OK');
      expect(mapped(decode(await wire.ask('HEATSINK', 'TIER')))).toMatchObject({ entries: '0' });
      expect(await wire.say('HEATSINK', 'TIER', 'EMPTY')).toContain("unknown subcommand 'EMPTY'");
    },
  );

  it('tells which rule decides what', async () => {
    const yaml =
      'rules:\n  - { match: "cart:*", consistency: off }\n  - { match: "*", jitter: 0.1, combine: on }\n';
    const wire = wireTo(await proxyFor(redis.url, {}, yaml));
    const listed = (decode(await wire.ask('HEATSINK', 'RULES')) as Field[]).map(mapped);
    expect(listed).toEqual([
      { match: 'cart:*', consistency: 'off' },
      { match: '*', jitter: '0.1', combine: 'on' },
    ]);
    const cart = mapped(decode(await wire.ask('HEATSINK', 'RULES', 'cart:7')));
    expect(cart).toMatchObject({
      consistency: ['off', 'cart:*'],
      jitter: ['0.1', '*'],
      combine: ['on', '*'],
      reads: ['primary', expect.anything()],
    });
    expect(mapped(decode(await wire.ask('HEATSINK', 'RULES', 'x'))).consistency).toEqual([
      'tracked',
      expect.anything(),
    ]);
  });

  it('and HOTKEYS are for admins', async () => {
    const hash = (word: string) => `'#${createHash('sha256').update(word).digest('hex')}'`;
    const app = `  - { name: app, password: ${hash('a')} }`;
    const root = `  - { name: root, password: ${hash('b')}, admin: true }`;
    const proxy = await proxyFor(redis.url, {}, `users:\n${app}\n${root}\n`);
    const wire = wireTo(proxy);
    await wire.say('AUTH', 'app', 'a');
    for (const command of [
      'HEATSINK STATS',
      'HEATSINK RULES',
      'HEATSINK TIER',
      'HEATSINK HOTKEYS',
      'HOTKEYS GET',
    ])
      expect(await wire.say(...command.split(' '))).toMatch(/^-NOPERM/);
    expect(await wire.say('HOTKEYS', 'HELP')).toMatch(/^\*/);
    await wire.say('AUTH', 'root', 'b');
    expect(await wire.say('HOTKEYS', 'GET')).toBe('$-1');
  });
});
