// Requests split over several real servers and their replies merged, against one server that has all the keys.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { elementsOf, valueEnd } from '../src/commands/elements.ts';
import { findKeys, KeyPositions } from '../src/commands/keys.ts';
import { mergeReplies } from '../src/commands/merge.ts';
import { splitByShard } from '../src/commands/split.ts';
import { CommandTable } from '../src/commands/table.ts';
import { type Argument, encodeRequest } from '../src/resp3/encode.ts';
import { frameOf, RawConnection } from './support/raw-redis.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';

let whole: RedisProcess;
let shards: RedisProcess[];
let table: CommandTable;

beforeAll(async () => {
  [whole, ...shards] = await Promise.all([1, 2, 3, 4].map(() => startRedis()));
  table = CommandTable.from(await whole.call('COMMAND'));
});

afterAll(() => Promise.all([whole, ...shards].map((server) => server.stop())));

const NAMES = Array.from({ length: 40 }, (_, i) => `key:${i}`);
/** Not the hash of a cluster: any stable spread over the three shards will do. */
const shardOfKey = (key: string) => Number(key.slice(4)) % 3;

async function overShards(connections: RawConnection[], args: Argument[]): Promise<Buffer> {
  const frame = frameOf(...args);
  const command = table.find(frame);
  if (command === null) throw new Error(`unknown: ${args[0]}`);
  const keys = new KeyPositions();
  findKeys(command, frame, keys);
  const all = connections.map((_, shard) => ({ shard, request: encodeRequest(args), positions: [] }));
  const parts =
    command.requestPolicy === 'multi_shard'
      ? splitByShard(command, frame, keys, (index) => shardOfKey(String(args[index])))
      : all;
  const replies = parts.map(async ({ shard, request, positions }) => ({
    positions,
    reply: await connections[shard].ask(request),
  }));
  return mergeReplies(command, await Promise.all(replies));
}

const sortedElements = (bytes: Buffer) => {
  const { type, count, bounds } = elementsOf(bytes) ?? { type: 0, count: 0, bounds: [] };
  return [
    type,
    ...Array.from({ length: count }, (_, i) => bytes.toString('latin1', bounds[i], bounds[i + 1])).sort(),
  ];
};

describe.each([2, 3])('requests over several shards, RESP%i,', (protocol) => {
  let connections: RawConnection[];
  let one: RawConnection;

  beforeAll(async () => {
    connections = shards.map(({ port }) => new RawConnection(port));
    one = new RawConnection(whole.port);
    for (const raw of [one, ...connections]) {
      await raw.ask(['HELLO', protocol]);
      await raw.ask(['FLUSHALL']);
      await raw.ask(['SCRIPT', 'FLUSH']);
    }
  });

  afterAll(() => {
    for (const raw of [one, ...connections]) raw.close();
  });

  test('are answered as by one server that has all the keys', async () => {
    const values = NAMES.slice(0, 30).flatMap((key, i) => [
      key,
      i % 4 ? `value ${i}\r\n` : 'x'.repeat(i * 700),
    ]);
    const requests: Argument[][] = [
      ['MSET', ...values],
      ['MGET', ...NAMES],
      ['mget', NAMES[39], NAMES[3], NAMES[3], NAMES[0]],
      ['MGET', NAMES[5]],
      ['EXISTS', ...NAMES, NAMES[0], NAMES[0]],
      ['TOUCH', ...NAMES],
      ['DBSIZE'],
      ['DEL', ...NAMES.slice(25)],
      ['UNLINK', ...NAMES.slice(20)],
      ['DBSIZE'],
      ['PING'],
      ['PING', 'hello'],
      ['SCRIPT', 'LOAD', 'return 1'],
      ['SCRIPT', 'EXISTS', 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db', 'nonsense'],
      ['SCRIPT', 'KILL'],
      ['CONFIG', 'SET', 'nonsense', '1'],
      ['SLOWLOG', 'LEN'],
      ['FLUSHDB', 'nonsense'],
    ];
    for (const args of requests) {
      const expected = await one.ask(args);
      const merged = await overShards(connections, args);
      expect(`${args[0]} ${merged.toString('latin1')}`).toBe(`${args[0]} ${expected.toString('latin1')}`);
    }
    const keys = await overShards(connections, ['KEYS', '*']);
    expect(sortedElements(keys)).toEqual(sortedElements(await one.ask(['KEYS', '*'])));
    expect(sortedElements(keys).length).toBe(21);
  });

  test('give an error of one shard as the whole error', async () => {
    await connections[1].ask(['CONFIG', 'SET', 'maxmemory', '1']);
    const answer = await overShards(connections, ['MSET', 'key:0', 'a', 'key:1', 'b', 'key:2', 'c']);
    await connections[1].ask(['CONFIG', 'SET', 'maxmemory', '0']);
    expect(answer.toString()).toMatch(/^-OOM /);
  });
});

describe('the walk over replies', () => {
  const values = [
    '+OK\r\n',
    '-ERR no\r\n',
    ':-12\r\n',
    '$3\r\na\r\n\r\n',
    '$-1\r\n',
    '*-1\r\n',
    '*0\r\n',
    '_\r\n',
    '#t\r\n',
    ',3.5\r\n',
    '(349999999999999999999\r\n',
    '=7\r\ntxt:a\r\n\r\n',
    '!5\r\nERR x\r\n',
    '*2\r\n*1\r\n:1\r\n%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n',
    '>2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n',
    '|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n',
  ];

  test('ends every type of value where it ends, and nowhere before', () => {
    for (const value of values) {
      const bytes = Buffer.from(`${value}+next\r\n`);
      expect([value, valueEnd(bytes, 0)]).toEqual([value, value.length]);
      for (let cut = 0; cut < value.length; cut++) {
        expect([value, cut, valueEnd(bytes.subarray(0, cut), 0)]).toEqual([value, cut, -1]);
      }
    }
    expect(valueEnd(Buffer.from('*1\r\n'.repeat(200_000).concat(':1\r\n')), 0)).toBe(800_004);
  });

  test('finds the elements of aggregates only', () => {
    const bytes = Buffer.from(`*${values.length}\r\n${values.join('')}`);
    const elements = elementsOf(bytes);
    const texts = values.map((_, i) => bytes.toString('utf8', elements?.bounds[i], elements?.bounds[i + 1]));
    expect(texts).toEqual(values);
    expect(elementsOf(Buffer.from('%1\r\n+a\r\n:1\r\n'))?.count).toBe(2);
    expect(elementsOf(Buffer.from('|1\r\n+a\r\n:1\r\n~1\r\n:7\r\n'))?.count).toBe(1);
    for (const other of [
      '+OK\r\n',
      '$1\r\na\r\n',
      '*2\r\n:1\r\n',
      '*999999999\r\n',
      '*x\r\n',
      '',
      '*1\r\n?\r\n',
    ]) {
      expect(elementsOf(Buffer.from(other))).toBeNull();
    }
  });
});
