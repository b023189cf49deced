// Copies of hot keys on the other masters of a cluster: reads are spread over all of them, and clients can tell by
// nothing but the load.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { itemsOf } from '../src/commands/elements.ts';
import { temporaryDir } from './support/children.ts';
import { FanOutBench, LARGE } from './support/fan-out.ts';
import { spawnProxy } from './support/heatsink.ts';
import { startRedis, waitFor } from './support/redis.ts';

const RULES = 'rules:\n  - { match: "plain:*", fanOut: off }\n  - { match: "small:*", fanOut: on }\n';

const open: (() => unknown)[] = [];
/** Copies of all hot keys, and of large ones only unless a rule says otherwise. */
let all: FanOutBench;
let large: FanOutBench;

beforeAll(async () => {
  [all, large] = await Promise.all([FanOutBench.start('on'), FanOutBench.start('large')]);
  open.push(() => Promise.all([all.stop(), large.stop()]));
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

beforeEach(() => Promise.all([all.clear(), large.clear()]));

const bulk = (value: string) => `$${Buffer.byteLength(value)}\r\n${value}`;

it('a large value is read from all masters, each of which sends about as much', async () => {
  const wires = await Promise.all([2, 3, 2, 3].map((protocol) => large.client(protocol as 2 | 3)));
  const value = 'x'.repeat(LARGE);
  await wires[0].say('SET', 'large', value);
  const read = async () => {
    for (const got of await Promise.all(wires.map((wire) => wire.say('GET', 'large'))))
      expect(got === bulk(value)).toBe(true);
  };
  await large.untilCopied(read);
  const sent = () =>
    Promise.all(
      large.cluster.nodes.map(async (node) =>
        Number(/total_net_output_bytes:(\d+)/.exec(String(await node.call('INFO', 'stats')))?.[1]),
      ),
    );
  const before = await sent();
  for (let i = 0; i < 100; i++) await read();
  const shares = (await sent()).map((bytes, i) => bytes - before[i]);
  expect(Math.max(...shares) / Math.min(...shares)).toBeLessThan(1.5);
  const { keys } = (await large.proxy.admin('/hotkeys?top=1')).body as { keys: Record<string, unknown>[] };
  expect(keys[0]).toMatchObject({ key: 'large', state: 'copies' });
  expect(keys[0].copies).toBeGreaterThanOrEqual(2);
});

it('a small value is kept in the tier unless all hot keys are to have copies', async () => {
  const wire = await large.client();
  await wire.say('SET', 'small', 'value');
  for (let i = 0; i < 200; i++) expect(await wire.say('GET', 'small')).toBe(bulk('value'));
  expect(await large.copies()).toEqual([]);
});

it('rules say which keys have copies', async () => {
  const file = join(temporaryDir('fan-out'), 'heatsink.yaml');
  writeFileSync(file, RULES);
  const bench = await FanOutBench.start('large', file);
  open.push(() => bench.stop());
  const wire = await bench.client();
  await wire.say('SET', 'plain:1', 'x'.repeat(LARGE));
  for (let i = 0; i < 100; i++) await wire.say('GET', 'plain:1');
  expect(await bench.copies()).toEqual([]);
  await wire.say('SET', 'small:1', 'value');
  await bench.untilCopied(() => wire.say('GET', 'small:1'));
  for (const name of await bench.copies()) expect(name).toMatch(/^heatsink:copy:\{\w+\}:.*:small:1$/);
});

/** How to fill a key of each type, and all reads of it that copies may answer. */
const TYPES: Readonly<Record<string, { fill: string[][]; reads: string[] }>> = {
  string: {
    fill: [['SET', 'key', 'some words']],
    reads: [
      'GET',
      'STRLEN',
      'GETRANGE 2 5',
      'SUBSTR 1 3',
      'GETBIT 3',
      'BITCOUNT',
      'BITPOS 1',
      'EXISTS',
      'TYPE',
    ],
  },
  hash: {
    fill: [['HSET', 'key', ...Array.from({ length: 600 }, (_, i) => [`f${i}`, `v${i}`]).flat()]],
    reads: ['HGET f1', 'HGETALL', 'HMGET f1 none f2', 'HKEYS', 'HVALS', 'HLEN', 'HEXISTS f3', 'HSTRLEN f3'],
  },
  list: {
    fill: [['RPUSH', 'key', 'a', 'b', 'c', 'a']],
    reads: ['LLEN', 'LRANGE 0 -1', 'LINDEX -1', 'LPOS c', 'LPOS a COUNT 0'],
  },
  set: {
    fill: [['SADD', 'key', ...Array.from({ length: 600 }, (_, i) => `member ${i}`)]],
    reads: ['SCARD', 'SMEMBERS', 'SISMEMBER x', 'SMISMEMBER x y'],
  },
  'sorted set': {
    fill: [['ZADD', 'key', '1', 'a', '2.5', 'b', '-3', 'c']],
    reads: [
      'ZCARD',
      'ZCOUNT 0 5',
      'ZRANGE 0 -1 WITHSCORES',
      'ZREVRANGE 0 1',
      'ZRANK b',
      'ZSCORE b',
      'ZMSCORE a z',
    ],
  },
  places: {
    fill: [['GEOADD', 'key', '13.361389', '38.115556', 'Palermo', '15.087269', '37.502669', 'Catania']],
    reads: [
      'GEODIST Palermo Catania km',
      'GEOHASH Palermo',
      'GEOPOS Palermo x',
      'GEOSEARCH FROMMEMBER Palermo BYRADIUS 300 km',
    ],
  },
  stream: {
    fill: [
      ['XADD', 'key', '1-1', 'f', 'v'],
      ['XADD', 'key', '2-1', 'g', 'w'],
    ],
    reads: ['XLEN', 'XRANGE - +', 'XREVRANGE + - COUNT 1'],
  },
};
const UNORDERED = /^(HGETALL|HKEYS|HVALS|SMEMBERS)$/;

it.each(Object.entries(TYPES))(
  'a %s is read from copies as from its own master',
  async (type, { fill, reads }) => {
    const key = `of type ${type}`;
    const asked = (words: string[]) => words.map((word) => (word === 'key' ? key : word));
    const owner = await all.cluster.slotOwner(key);
    for (const protocol of [2, 3] as const) {
      const [wire, straight] = [await all.client(protocol), await all.client(protocol, owner.port)];
      for (const command of fill) await wire.say(...asked(command));
      await all.untilCopied(() => wire.say('EXISTS', key), 1);
      for (const read of reads) {
        const [name, ...args] = read.split(' ');
        const same = (one: Buffer, other: Buffer) =>
          UNORDERED.test(name)
            ? expect(itemsOf(one).map(String).sort()).toEqual(itemsOf(other).map(String).sort())
            : expect(one.toString()).toBe(other.toString());
        const wanted = await straight.ask(name, key, ...args);
        for (let i = 0; i < 10; i++) same(await wire.ask(name, key, ...args), wanted);
      }
      await all.untilCopied(() => wire.say(reads[0].split(' ')[0], key, ...reads[0].split(' ').slice(1)), 1);
      await wire.say('DEL', key);
    }
  },
);

it('a large hash or set may come in another order from each master, and is the same', async () => {
  const wire = await all.client();
  await wire.say('HSET', 'unordered', ...Array.from({ length: 600 }, (_, i) => [`f${i}`, `v${i}`]).flat());
  const read = () => wire.say('HGETALL', 'unordered');
  await all.untilCopied(read);
  const retired = await all.metric('copies_total', { event: 'retired' });
  const orders = new Set<string>();
  await all.untilCopied(async () => orders.add(await read()), 100);
  expect(orders.size).toBeGreaterThan(1);
  // Not with every read that shows another order.
  expect(await all.metric('copies_total', { event: 'retired' })).toBeLessThan(retired + 20);
});

it('members that chance chooses come from copies as well', async () => {
  const wire = await all.client();
  await wire.say('SADD', 'drawn', 'a', 'b', 'c');
  const seen = new Set<string>();
  await all.untilCopied(async () => seen.add(await wire.say('SRANDMEMBER', 'drawn')), 20);
  expect([...seen].sort()).toEqual(['a', 'b', 'c'].map(bulk));
});

it('what is not in a copy, or says how long the key lives, comes from the master itself', async () => {
  const wire = await all.client();
  await wire.say('HSET', 'partly', 'there', '1');
  await wire.say('EXPIRE', 'partly', '1000');
  await all.untilCopied(() => wire.say('HGET', 'partly', 'there'));
  const fallbacks = await all.metric('fallbacks_total');
  for (let i = 0; i < 20; i++) expect(await wire.say('HGET', 'partly', 'missing')).toBe('$-1');
  expect(await all.metric('fallbacks_total')).toBeGreaterThan(fallbacks);
  for (let i = 0; i < 10; i++) expect(['999', '1000']).toContain((await wire.say('TTL', 'partly')).slice(1));
  expect(await wire.say('OBJECT', 'ENCODING', 'partly')).toBe(bulk('listpack'));
});

it('a client that reads behind its own pipelined write sees it', async () => {
  const wire = await all.client();
  await wire.say('SET', 'own', '0');
  await all.untilCopied(() => wire.say('GET', 'own'));
  for (let round = 1; round <= 300; round++) {
    wire.sendAll([
      ['GET', 'own'],
      ['SET', 'own', `${round}`],
      ['GET', 'own'],
      ['GET', 'own'],
    ]);
    const replies = (await wire.replies(4)).map((reply) => reply.toString().trimEnd());
    expect(replies).toEqual([bulk(`${round - 1}`), '+OK', bulk(`${round}`), bulk(`${round}`)]);
  }
});

it('what one client was told is written, the next read of any other shows', async () => {
  const wires = [await all.client(2), await all.client(3)];
  await wires[0].say('SET', 'shared', 'start');
  await all.untilCopied(() => wires[1].say('GET', 'shared'));
  const before = await all.copyReads();
  for (let round = 0; round < 400; round++) {
    const [writer, reader] = round % 2 === 0 ? wires : wires.toReversed();
    expect(await writer.say('SET', 'shared', `${round}`)).toBe('+OK');
    for (let i = 0; i < 4; i++) expect(await reader.say('GET', 'shared')).toBe(bulk(`${round}`));
  }
  expect(await all.copyReads()).toBeGreaterThanOrEqual(before);
});

it('what somebody else writes straight at the master is seen, and the old value never again', async () => {
  const wire = await all.client();
  const owner = await all.cluster.slotOwner('elsewhere');
  await owner.call('SET', 'elsewhere', '0');
  await all.untilCopied(() => wire.say('GET', 'elsewhere'));
  let last = 0;
  for (let round = 1; round <= 20; round++) {
    await owner.call('SET', 'elsewhere', `${round}`);
    await waitFor(async () => {
      const seen = Number((await wire.say('GET', 'elsewhere')).split('\r\n')[1]);
      expect(seen).toBeGreaterThanOrEqual(last);
      last = seen;
      return seen === round;
    });
    if (round % 5 === 0) await all.untilCopied(() => wire.say('GET', 'elsewhere'), 1);
  }
});

it('copies go when the key has cooled', async () => {
  const wire = await all.client();
  await wire.say('SET', 'passing', 'fame');
  await all.untilCopied(() => wire.say('GET', 'passing'));
  expect(await all.metric('live_copies')).toBeGreaterThan(0);
  await waitFor(async () => (await all.metric('live_copies')) === 0 && (await all.copies()).length === 0);
  expect(await wire.say('GET', 'passing')).toBe(bulk('fame'));
});

it('a key that expires takes its copies along', async () => {
  const wire = await all.client();
  await wire.say('SET', 'brief', 'candle', 'PX', 1200);
  const began = performance.now();
  await all.untilCopied(() => wire.say('GET', 'brief'), 1);
  await waitFor(async () => (await wire.say('GET', 'brief')) === '$-1');
  expect(performance.now() - began).toBeGreaterThan(1100);
  for (let i = 0; i < 50; i++) expect(await wire.say('GET', 'brief')).toBe('$-1');
});

it('copies are left to nobody when heatsink ends', async () => {
  const proxy = await spawnProxy({
    upstream: all.cluster.url,
    flags: { 'hot-threshold': '20', 'fan-out': 'on', workers: '2' },
  });
  open.push(() => proxy.close());
  const wire = await all.client(2, proxy.port);
  await wire.say('SET', 'orphan', 'value');
  await waitFor(async () => {
    for (let i = 0; i < 50; i++) await wire.say('GET', 'orphan');
    return (await all.copies()).length > 0;
  });
  expect(await proxy.stop()).toBe(0);
  expect(await all.copies()).toEqual([]);
});

it('says why nothing happens in front of a single server', async () => {
  const redis = await startRedis();
  open.push(() => redis.stop());
  const proxy = await spawnProxy({ upstream: redis.url, flags: { 'fan-out': 'on', 'log-pretty': 'off' } });
  open.push(() => proxy.close());
  expect(proxy.output()).toContain('fanOut has no effect');
  expect(proxy.output()).toContain('the upstream is no cluster');
});
