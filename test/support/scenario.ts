// The common scenario: what an application does with Redis, step by step, for any client. Each step checks what it
// gets; keys of one step have a hash tag in common where Redis Cluster wants that.

import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { ScenarioClient } from './scenario-client.ts';
import { waitFor } from './wait.ts';

export interface Stage {
  readonly client: ScenarioClient;
  /** Another client of the same kind, closed after the step. */
  another(): Promise<ScenarioClient>;
  /** Ends heatsink and starts it again on its port. */
  restart(): Promise<void>;
}

export interface Step {
  readonly name: string;
  /** What the client, or the upstream, must be able to do; else the step does not apply. */
  readonly needs?: 'watch' | 'shard' | 'select' | 'cache';
  readonly run: (stage: Stage) => Promise<unknown>;
}

const step = (name: string, run: Step['run'], needs?: Step['needs']): Step =>
  needs === undefined ? { name, run } : { name, run, needs };

const STREAM = ['XREADGROUP', 'GROUP', 'team', 'anna', 'COUNT', '1', 'STREAMS', 'stream', '>'] as const;

const DATA: readonly Step[] = [
  step('strings', async ({ client }) => {
    expect(await client.call('SET', 'text', 'value')).toEqual(['OK']);
    expect(await client.call('APPEND', 'text', 's')).toEqual(['6']);
    expect(await client.call('GETRANGE', 'text', '1', '-1')).toEqual(['alues']);
    expect(await client.call('SET', 'text', 'other', 'NX')).toEqual([null]);
    expect(await client.call('GETSET', 'text', 'new')).toEqual(['values']);
    expect(await client.call('INCRBYFLOAT', 'number', '1.5')).toEqual(['1.5']);
    expect(await client.call('GET', 'none')).toEqual([null]);
    expect(await client.get('text')).toBe('new');
  }),
  step('hashes', async ({ client }) => {
    expect(await client.call('HSET', 'hash', 'a', '1', 'b', '2')).toEqual(['2']);
    expect(await client.call('HGETALL', 'hash')).toEqual(['a', '1', 'b', '2']);
    expect(await client.call('HINCRBY', 'hash', 'a', '4')).toEqual(['5']);
    expect(await client.call('HMGET', 'hash', 'a', 'none')).toEqual(['5', null]);
    expect(await client.call('HGETALL', 'none')).toEqual([]);
  }),
  step('lists', async ({ client }) => {
    expect(await client.call('RPUSH', 'list', 'a', 'b', 'c')).toEqual(['3']);
    expect(await client.call('LRANGE', 'list', '0', '-1')).toEqual(['a', 'b', 'c']);
    expect(await client.call('LMOVE', 'list', '{list}2', 'LEFT', 'RIGHT')).toEqual(['a']);
    expect(await client.call('LPOP', 'list', '2')).toEqual(['b', 'c']);
    expect(await client.call('LLEN', '{list}2')).toEqual(['1']);
  }),
  step('sets', async ({ client }) => {
    expect(await client.call('SADD', '{set}1', 'a', 'b', 'c')).toEqual(['3']);
    expect(await client.call('SADD', '{set}2', 'b', 'c', 'd')).toEqual(['3']);
    expect((await client.call('SINTER', '{set}1', '{set}2')).sort()).toEqual(['b', 'c']);
    expect(await client.call('SMISMEMBER', '{set}1', 'a', 'd')).toEqual(['1', '0']);
    expect(await client.call('SUNIONSTORE', '{set}3', '{set}1', '{set}2')).toEqual(['4']);
  }),
  step('sorted sets', async ({ client }) => {
    expect(await client.call('ZADD', 'zset', '1', 'one', '2.5', 'two', '3', 'three')).toEqual(['3']);
    expect(await client.call('ZRANGE', 'zset', '0', '-1', 'WITHSCORES')).toEqual([
      'one',
      '1',
      'two',
      '2.5',
      'three',
      '3',
    ]);
    expect(await client.call('ZSCORE', 'zset', 'two')).toEqual(['2.5']);
    expect(await client.call('ZRANGEBYSCORE', 'zset', '(1', '+inf')).toEqual(['two', 'three']);
    expect(await client.call('ZPOPMIN', 'zset')).toEqual(['one', '1']);
  }),
  step('streams with a consumer group', async ({ client }) => {
    expect(await client.call('XGROUP', 'CREATE', 'stream', 'team', '0', 'MKSTREAM')).toEqual(['OK']);
    for (const id of ['1-1', '1-2']) expect(await client.call('XADD', 'stream', id, 'f', id)).toEqual([id]);
    expect(await client.call(...STREAM)).toEqual(['stream', '1-1', 'f', '1-1']);
    expect(await client.call('XPENDING', 'stream', 'team')).toEqual(['1', '1-1', '1-1', 'anna', '1']);
    expect(await client.call('XACK', 'stream', 'team', '1-1')).toEqual(['1']);
    expect(await client.call(...STREAM)).toEqual(['stream', '1-2', 'f', '1-2']);
    expect(await client.call('XRANGE', 'stream', '-', '+')).toEqual(['1-1', 'f', '1-1', '1-2', 'f', '1-2']);
  }),
  step('a stream that another client adds to while this one waits', async ({ client, another }) => {
    const waiter = await another();
    const entry = waiter.call('XREAD', 'BLOCK', '5000', 'STREAMS', 'feed', '$');
    await waitFor(async () => {
      await client.call('XADD', 'feed', '*', 'f', 'v');
      return (await Promise.race([entry, after(20)])) !== 'nothing yet';
    });
    expect((await entry).slice(2)).toEqual(['f', 'v']);
  }),
  step('MSET and MGET over many slots', async ({ client }) => {
    const keys = names(100, 'multi:');
    expect(await client.call('MSET', ...keys.flatMap((key) => [key, key]))).toEqual(['OK']);
    expect(await client.call('MGET', ...keys, 'none')).toEqual([...keys, null]);
    expect(await client.call('DEL', ...keys)).toEqual(['100']);
  }),
  step('keys that expire', async ({ client }) => {
    expect(await client.call('SET', 'brief', 'x', 'PX', '60000')).toEqual(['OK']);
    expect(await client.get('brief')).toBe('x');
    expect(Number(await client.call('PTTL', 'brief'))).toBeGreaterThan(0);
    expect(await client.call('PEXPIRE', 'brief', '30')).toEqual(['1']);
    await waitFor(async () => (await client.get('brief')) === null);
    expect(await client.call('TTL', 'brief')).toEqual(['-2']);
  }),
  step('a value of 1 MB', async ({ client }) => {
    const value = randomBytes(512 * 1024).toString('hex');
    expect(await client.call('SET', 'large', value)).toEqual(['OK']);
    expect((await client.call('GET', 'large'))[0] === value).toBe(true);
    expect((await client.get('large')) === value).toBe(true);
  }),
  step('keys and values of any bytes', async ({ client }) => {
    const key = Buffer.from([0x62, 0, 0xff, 0x0d, 0x0a, 0x20]);
    const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 0x22));
    expect(await client.call('SET', key, value)).toEqual(['OK']);
    expect((await client.bytes('GET', key)).equals(value)).toBe(true);
    expect(await client.call('STRLEN', key)).toEqual([`${value.length}`]);
  }),
  step('errors in the words of the server', async ({ client }) => {
    await client.call('SET', 'text', 'x');
    await expect(client.call('LPUSH', 'text', 'y')).rejects.toThrow(/^(ReplyError: )?WRONGTYPE Operation/);
    await expect(client.call('INCR', 'text')).rejects.toThrow(/ERR value is not an integer/);
    await expect(client.call('GET', 'a', 'b')).rejects.toThrow(
      /ERR wrong number of arguments for 'get' command/,
    );
    await expect(client.call('NONSENSE', 'a')).rejects.toThrow(/ERR unknown command 'NONSENSE'/);
    expect(await client.call('GET', 'text')).toEqual(['x']);
  }),
];

const CONVERSATION: readonly Step[] = [
  step('pipelines', async ({ client }) => {
    const keys = names(50, '{pipe}');
    const replies = await client.pipeline([
      ...keys.map((key) => ['SET', key, key]),
      ['LPUSH', keys[0], 'x'],
      ...keys.map((key) => ['GET', key]),
    ]);
    expect(replies.slice(0, 50)).toEqual(keys.map(() => ['OK']));
    expect(String(replies[50])).toMatch(/WRONGTYPE/);
    expect(replies.slice(51)).toEqual(keys.map((key) => [key]));
  }),
  step('a transaction', async ({ client }) => {
    const replies = await client.transaction([], async () => {}, [
      ['SET', '{tx}a', '1'],
      ['INCR', '{tx}a'],
      ['GET', '{tx}a'],
    ]);
    expect(replies).toEqual(['OK', '2', '2']);
  }),
  step(
    'a transaction whose key was changed since it was watched',
    async ({ client, another }) => {
      const other = await another();
      const commands = [['INCR', '{cas}n']];
      expect(await client.transaction(['{cas}n'], async () => {}, commands)).toEqual(['1']);
      expect(await client.transaction(['{cas}n'], () => other.call('INCR', '{cas}n'), commands)).toBe(null);
      expect(await client.call('GET', '{cas}n')).toEqual(['2']);
    },
    'watch',
  ),
  step('a blocking pop that another client serves', async ({ client, another }) => {
    const waiter = await another();
    const popped = waiter.call('BLPOP', 'jobs', '10');
    expect(await Promise.race([popped, after(50)])).toBe('nothing yet');
    expect(await client.call('RPUSH', 'jobs', 'job')).toEqual(['1']);
    expect(await popped).toEqual(['jobs', 'job']);
    expect(await waiter.call('BLPOP', 'jobs', '0.05')).toEqual([null]);
    expect(await waiter.call('GET', 'none')).toEqual([null]);
  }),
  ...(['channel', 'pattern', 'shard'] as const).map((kind) =>
    step(
      `messages by ${kind}`,
      async ({ client, another }) => {
        const subscriber = await another();
        const got: string[][] = [];
        const channel = `${kind}:1`;
        const name = kind === 'pattern' ? 'pattern:*' : channel;
        const end = await subscriber.subscribe(kind, name, (...message) => got.push(message));
        const publish = kind === 'shard' ? 'SPUBLISH' : 'PUBLISH';
        for (const text of ['one', 'two']) await client.call(publish, channel, text);
        await waitFor(() => got.length === 2);
        expect(got).toEqual([
          ['one', channel],
          ['two', channel],
        ]);
        await end();
        await client.call(publish, channel, 'three');
        await after(20);
        expect(got).toHaveLength(2);
      },
      kind === 'shard' ? 'shard' : undefined,
    ),
  ),
  step('a script that the server does not know yet', async ({ client }) => {
    expect(await client.call('SCRIPT', 'FLUSH')).toEqual(['OK']);
    for (const total of ['3', '6']) {
      for (const key of names(10, 'bump:')) expect(await client.bump(key, '3')).toEqual([total, '3']);
    }
    const unknown = client.call('EVALSHA', 'f'.repeat(40), '1', 'bump:0');
    await expect(unknown).rejects.toThrow(/NOSCRIPT No matching script/);
  }),
  step('an iteration over all keys, each of which comes once', async ({ client }) => {
    expect(await client.call('FLUSHALL')).toEqual(['OK']);
    const keys = names(1000, 'scan:');
    await client.call('MSET', ...keys.flatMap((key) => [key, 'x']));
    expect((await client.scan('scan:*')).sort()).toEqual([...keys].sort());
    expect(await client.scan('other:*')).toEqual([]);
    expect(await client.call('DBSIZE')).toEqual(['1000']);
  }),
  step('what the server and its clients are', async ({ client }) => {
    expect((await client.call('INFO'))[0]).toMatch(/redis_version:\d/);
    expect(await client.call('CLIENT', 'SETNAME', 'actor')).toEqual(['OK']);
    expect(await client.call('CLIENT', 'GETNAME')).toEqual(['actor']);
    expect((await client.call('CLIENT', 'LIST'))[0]).toMatch(/\bname=actor\b/);
    expect((await client.call('CLIENT', 'ID'))[0]).toMatch(/^\d+$/);
    expect(await client.call('PING')).toEqual(['PONG']);
  }),
  step(
    'databases',
    async ({ client }) => {
      expect(await client.call('SET', 'here', '0')).toEqual(['OK']);
      expect(await client.call('SELECT', '1')).toEqual(['OK']);
      expect(await client.call('GET', 'here')).toEqual([null]);
      expect(await client.call('SELECT', '0')).toEqual(['OK']);
      expect(await client.call('GET', 'here')).toEqual(['0']);
    },
    'select',
  ),
  step(
    "a value in the client's own cache that another client changes",
    async ({ client, another }) => {
      const other = await another();
      for (const key of names(10, 'cached:')) {
        await other.call('SET', key, 'old');
        expect(await client.get(key)).toBe('old');
        const before = client.hits?.() ?? 0;
        expect(await client.get(key)).toBe('old');
        expect(client.hits?.()).toBe(before + 1);
        await other.call('SET', key, 'new');
        await waitFor(async () => (await client.get(key)) === 'new');
      }
    },
    'cache',
  ),
  step('heatsink is started again', async ({ client, restart }) => {
    await client.call('SET', 'kept', 'x');
    await restart();
    await waitFor(async () => (await client.call('GET', 'kept'))[0] === 'x', 10_000);
    const replies = await client.transaction([], async () => {}, [['INCR', '{after}n']]);
    expect(replies).toEqual(['1']);
  }),
];

export const SCENARIO: readonly Step[] = [...DATA, ...CONVERSATION];

function names(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

function after(ms: number): Promise<string> {
  return new Promise((resolve) => setTimeout(() => resolve('nothing yet'), ms));
}
