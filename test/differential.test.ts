// Random commands to a redis-server and to heatsink in front of another one: the same bytes must come back.
// differential-commands.test.ts does the same with every command that there is.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elementsOf } from '../src/commands/elements.ts';
import { CommandTable } from '../src/commands/table.ts';
import { type Argument, encodeRequest } from '../src/resp3/encode.ts';
import { commandSequence, describeCommand } from './support/command-sequence.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { frameOf } from './support/raw-redis.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
let direct: RedisProcess;
let behind: RedisProcess;
let table: CommandTable;
let proxies: Record<'off' | 'on', RunningProxy>;

beforeAll(async () => {
  [direct, behind] = await Promise.all([startRedis(), startRedis()]);
  open.push(() => Promise.all([direct.stop(), behind.stop()]));
  table = CommandTable.from(await direct.call('COMMAND'));
  proxies = { off: await proxyWith('off'), on: await proxyWith('on') };
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function proxyWith(tier: 'off' | 'on'): Promise<RunningProxy> {
  const flags = { tier, 'hot-threshold': '1', 'tier-max-entry-bytes': '2MiB', 'auth-delay': '0' };
  const proxy = await startProxy({ upstream: behind.url, flags });
  open.push(() => proxy.close());
  return proxy;
}

interface Pair {
  readonly redis: Wire;
  readonly heatsink: Wire;
}

/** Two empty servers and a connection to each. */
async function pair(tier: 'off' | 'on', protocol: 2 | 3): Promise<Pair> {
  await Promise.all([direct.call('FLUSHALL'), behind.call('FLUSHALL')]);
  const wires = [Wire.open(direct.port, protocol), Wire.open(proxies[tier].port, protocol)];
  const [redis, heatsink] = await Promise.all(wires);
  open.push(() => redis.close());
  open.push(() => heatsink.close());
  return { redis, heatsink };
}

const isRead = (args: readonly Argument[]) => table.find(frameOf(...args))?.isRead ?? false;

/** Sends one command to both; a read as often as told, so that the tier gets to answer it. */
async function same({ redis, heatsink }: Pair, args: readonly Argument[], times = 1): Promise<void> {
  const expected = await redis.ask(...args);
  for (let i = 0; i < (isRead(args) ? times : 1); i++) equal(args, await heatsink.ask(...args), expected);
}

/** Sends Redis the pipeline that heatsink has got already, and compares what comes back. */
async function sameReplies({ redis, heatsink }: Pair, commands: readonly Argument[][]): Promise<void> {
  redis.sendAll(commands);
  const expected = await redis.replies(commands.length);
  // So many bytes, not so many replies: from bytes in disorder no reply could be read at all.
  const bytes = await heatsink.bytes(expected.reduce((sum, reply) => sum + reply.length, 0));
  let at = 0;
  commands.forEach((args, i) => {
    equal(args, bytes.subarray(at, at + expected[i].length), expected[i]);
    at += expected[i].length;
  });
}

/** As bytes first: a megabyte as text would keep the assertion busy. */
function equal(args: readonly Argument[], reply: Buffer, expected: Buffer): void {
  if (reply.equals(expected)) return;
  const text = (bytes: Buffer) => `${describeCommand(args)} -> ${bytes.toString('latin1', 0, 500)}`;
  expect(text(reply)).toBe(text(expected));
  expect.fail(`${describeCommand(args)}: ${reply.length} bytes differ behind the first 500`);
}

describe.each([
  { protocol: 2, tier: 'off', times: 1 },
  { protocol: 3, tier: 'off', times: 1 },
  { protocol: 2, tier: 'on', times: 3 },
  { protocol: 3, tier: 'on', times: 3 },
] as const)('in RESP$protocol with the tier $tier', ({ protocol, tier, times }) => {
  it('gives what has no order with the same elements as Redis', async () => {
    const both = await pair(tier, protocol);
    const names = Array.from({ length: 300 }, (_, i) => `name:${i}`);
    const fields = names.flatMap((name, i) => [name, `${i}`]);
    await same(both, ['MSET', ...fields]);
    await same(both, ['SADD', 'set', ...names]);
    await same(both, ['HSET', 'hash', ...fields]);
    for (const args of [
      ['KEYS', '*'],
      ['SMEMBERS', 'set'],
      ['HKEYS', 'hash'],
      ['HGETALL', 'hash'],
    ]) {
      const expected = sorted(await both.redis.ask(...args));
      for (let i = 0; i < times; i++) expect(sorted(await both.heatsink.ask(...args))).toEqual(expected);
    }
    expect(await walk(both.heatsink)).toEqual(await walk(both.redis));
  });

  it('answers any sequence of commands as Redis does, one by one', async () => {
    await fc.assert(
      fc.asyncProperty(commandSequence(60), async (commands) => {
        const both = await pair(tier, protocol);
        for (const args of commands) await same(both, args, times);
        both.redis.close();
        both.heatsink.close();
      }),
      { numRuns: 40, interruptAfterTimeLimit: 20_000 },
    );
  });

  it('answers any pipeline in any chunks as Redis does', async () => {
    const cuts = fc.array(fc.nat(), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(commandSequence(200), cuts, async (commands, cutAt) => {
        const both = await pair(tier, protocol);
        await both.heatsink.sendCut(Buffer.concat(commands.map(encodeRequest)), cutAt);
        await sameReplies(both, commands);
        both.redis.close();
        both.heatsink.close();
      }),
      { numRuns: 40, interruptAfterTimeLimit: 20_000 },
    );
  });

  if (tier === 'on') {
    it('has answered many of these reads from the tier', async () => {
      const metrics = await proxies.on.metrics();
      expect(metrics.sum('heatsink_requests_total', { outcome: 'tier_hit' })).toBeGreaterThan(200);
    });
  }
});

function sorted(reply: Buffer): (string | number)[] {
  const { type, count, bounds } = elementsOf(reply) ?? { type: 0, count: 0, bounds: [] };
  const step = /^[%]/.test(reply.toString('latin1', 0, 1)) ? 2 : 1;
  const texts: string[] = [];
  for (let i = 0; i < count; i += step) texts.push(reply.toString('latin1', bounds[i], bounds[i + step]));
  return [type, count, ...texts.sort()];
}

/** The keys that a whole SCAN gives. */
async function walk(wire: Wire): Promise<string[]> {
  const keys = new Set<string>();
  let cursor = '0';
  do {
    const words = (await wire.ask('SCAN', cursor, 'COUNT', '40')).toString('latin1').split('\r\n');
    cursor = words[2];
    for (let i = 5; i < words.length; i += 2) keys.add(words[i]);
  } while (cursor !== '0');
  return [...keys].sort();
}
