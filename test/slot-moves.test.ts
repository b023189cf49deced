// Slots of a Redis Cluster that move to another master while clients work on their keys: nobody notices.

import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { commandSequence, describeCommand } from './support/command-sequence.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { beginSlotMove } from './support/slot-move.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
let cluster: Cluster;
let single: RedisProcess;
let proxy: RunningProxy;

beforeAll(async () => {
  [cluster, single] = await Promise.all([startCluster({ masters: 3 }), startRedis()]);
  open.push(() => Promise.all([cluster.stop(), single.stop()]));
  proxy = await startProxy({ upstream: cluster.url, flags: { 'hot-threshold': '50' } });
  open.push(() => proxy.close());
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port);
  open.push(() => wire.close());
  return wire;
}

/** An empty cluster and a connection to it. */
async function fresh(): Promise<Wire> {
  await Promise.all(cluster.nodes.map((node) => node.call('FLUSHALL')));
  return wireTo(proxy);
}

/** The default of tier.maxStaleness, in milliseconds. */
const MAX_STALENESS = 1000;
const bulk = (value: string | null) => (value === null ? '$-1' : `$${value.length}\r\n${value}`);
const array = (...items: string[]) => [`*${items.length}`, ...items].join('\r\n');

const redirects = async (kind: string) => (await proxy.metrics()).sum('heatsink_redirects_total', { kind });

it('a moving slot is followed without a word to the client, key by key', async () => {
  const client = await fresh();
  const keys = Array.from({ length: 10 }, (_, i) => `{moving}${i}`);
  await client.say('MSET', ...keys.flatMap((key) => [key, 'old']));
  const move = await beginSlotMove(cluster, '{moving}');
  await move.migrate('{moving}0', '{moving}1');
  for (const key of keys) expect(await client.say('GET', key)).toBe(bulk('old'));
  // One that is at the target, one that is not, one that is new.
  for (const key of ['{moving}0', '{moving}5', '{moving}new']) {
    expect(await client.say('SET', key, 'new')).toBe('+OK');
    expect(await client.say('GET', key)).toBe(bulk('new'));
  }
  expect(await redirects('ask')).toBeGreaterThan(0);
  await move.migrate();
  for (const key of ['{moving}0', '{moving}5', '{moving}new'])
    expect(await client.say('GET', key)).toBe(bulk('new'));
  await move.finish();
  for (const key of keys) expect(await client.say('EXISTS', key)).toBe(':1');
  expect(await client.say('DEL', ...keys, '{moving}new')).toBe(':11');
  const moved = await redirects('moved');
  expect(moved).toBeGreaterThan(0);
  await sleep(300);
  for (const key of keys) expect(await client.say('SET', key, 'x')).toBe('+OK');
  expect(await client.say('MGET', ...keys)).toBe(array(...keys.map(() => bulk('x'))));
  expect(await redirects('moved')).toBe(moved);
  expect(await move.target.call('DBSIZE')).toBe(10);
});

it('a moving slot lets a command on keys of both sides wait until they are together', async () => {
  const client = await fresh();
  await client.say('MSET', '{half}a', '1', '{half}b', '2');
  const move = await beginSlotMove(cluster, '{half}');
  await move.migrate('{half}a');
  const other = wireTo(proxy);
  // The old owner has one of the first two; of the others the new one has one, and nobody the other.
  const replies = [client.say('MGET', '{half}a', '{half}b'), other.say('MGET', '{half}a', '{half}none')];
  const early = await Promise.race([...replies, sleep(400, 'both wait')]);
  await move.migrate();
  await move.finish();
  const expected = [array(bulk('1'), bulk('2')), array(bulk('1'), bulk(null))];
  expect([early, ...(await Promise.all(replies))]).toEqual(['both wait', ...expected]);
  expect(await redirects('tryagain')).toBeGreaterThan(0);
});

it('a transaction does nothing when the slot of what it watches has moved since', async () => {
  const [client, other] = [await fresh(), wireTo(proxy)];
  expect(await client.say('WATCH', '{watched}a')).toBe('+OK');
  const move = await beginSlotMove(cluster, '{watched}');
  await move.finish();
  // From this reply heatsink knows.
  expect(await other.say('SET', '{watched}b', 'x')).toBe('+OK');
  expect(await client.say('WATCH', '{watched}c')).toBe('+OK');
  client.sendAll([['MULTI'], ['SET', '{watched}a', '1'], ['EXEC'], ['GET', '{watched}a']]);
  const replies = (await client.replies(4)).map((reply) => reply.toString().slice(0, -2));
  expect(replies).toEqual(['+OK', '+QUEUED', '*-1', '$-1']);
  client.sendAll([['WATCH', '{watched}a'], ['MULTI'], ['SET', '{watched}a', '1'], ['EXEC']]);
  expect((await client.replies(4))[3].toString()).toBe('*1\r\n+OK\r\n');
});

it('a moving slot does not leave a missing key behind that was kept as missing', async () => {
  const client = await fresh();
  const hits = async () => (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
  const before = await hits();
  await waitFor(async () => {
    for (let i = 0; i < 100; i++) expect(await client.say('GET', '{missing}')).toBe('$-1');
    return (await hits()) > before;
  });
  // The old owner has nothing to tell: it never had the key and does not get it.
  const move = await beginSlotMove(cluster, '{missing}');
  await move.finish();
  await move.target.call('SET', '{missing}', 'made');
  const made = performance.now();
  while ((await client.say('GET', '{missing}')) === '$-1' && performance.now() - made < 3000) await sleep(5);
  expect(performance.now() - made).toBeLessThan(MAX_STALENESS + 500);
});

it('a moved slot is learnt on a timer too, before any client meets it', async () => {
  const watching = await startProxy({ upstream: cluster.url, flags: { 'topology-interval': '100' } });
  open.push(() => watching.close());
  const move = await beginSlotMove(cluster, '{timer}');
  await move.finish();
  await sleep(400);
  const client = wireTo(watching);
  expect(await client.say('SET', '{timer}', 'x')).toBe('+OK');
  expect((await watching.metrics()).sum('heatsink_redirects_total')).toBe(0);
});

it('a moving slot keeps the order of each client and loses and repeats nothing', async () => {
  const client = await fresh();
  const other = wireTo(proxy);
  let sent = 0;
  let stop = false;
  const wrong: string[] = [];
  const count = async (counter: Wire, key: string) => {
    for (let done = 0; !stop; ) {
      const batch = Array.from({ length: 20 }, () => [
        ['INCR', key],
        ['GET', key],
      ]).flat();
      counter.sendAll(batch);
      const replies = (await counter.replies(batch.length)).map((reply) => reply.toString().slice(0, -2));
      for (let i = 0; i < replies.length; i += 2) {
        done++;
        if (replies[i] !== `:${done}` || replies[i + 1] !== bulk(`${done}`)) {
          wrong.push(`${key} ${done}: ${replies[i]} ${replies[i + 1]}`);
        }
      }
      sent += batch.length;
    }
  };
  const counters = [count(client, '{order}a'), count(other, '{order}b')];
  for (let round = 0; round < 4; round++) {
    const before = sent;
    await waitFor(() => sent > before + 1000);
    const move = await beginSlotMove(cluster, '{order}');
    await sleep(20);
    await move.migrate('{order}b');
    await sleep(20);
    await move.migrate();
    await sleep(20);
    await move.finish();
  }
  stop = true;
  await Promise.all(counters);
  expect(wrong.slice(0, 10)).toEqual([]);
});

it('any pipeline is answered as by one server while slots move to and fro', async () => {
  const keyNames = ['a', 'b', 'c', 'd', 'e', 'f'];
  // What takes several keys of one slot, all keys, or another encoding after a move has its own tests.
  const without = [
    'MSETNX',
    'RENAME',
    'COPY',
    'RPOPLPUSH',
    'SINTER',
    'SUNIONSTORE',
    'DBSIZE',
    'FLUSHDB',
    'SELECT',
  ];
  const [expected, moving] = [wireTo(single), await fresh()];
  let stop = false;
  const moves = (async () => {
    for (let i = 0; !stop; i++) {
      const move = await beginSlotMove(cluster, keyNames[i % keyNames.length]);
      await sleep(5);
      await move.migrate();
      await sleep(5);
      await move.finish();
    }
  })();
  const commands = commandSequence(200, { keyNames, without: [...without, 'OBJECT'] });
  try {
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        for (const wire of [expected, moving]) wire.sendAll([['DEL', ...keyNames], ...sequence]);
        const [[, ...due], [, ...got]] = [
          await expected.replies(sequence.length + 1),
          await moving.replies(sequence.length + 1),
        ];
        const wrong = due.findIndex((reply, i) => !reply.equals(got[i]));
        const text = (replies: Buffer[]) => replies[wrong].toString('latin1', 0, 500);
        if (wrong >= 0) expect(text(got), describeCommand(sequence[wrong])).toBe(text(due));
      }),
      { numRuns: 100, interruptAfterTimeLimit: 20_000 },
    );
  } finally {
    stop = true;
    await moves;
  }
  expect(await redirects('ask')).toBeGreaterThan(0);
});
