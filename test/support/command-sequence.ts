// Random commands over few keys, so that they meet each other's values, types and times to die. As in the corpus,
// replies depend on nothing but the commands before: hashes and sorted sets stay small, sets have integers only.

import fc from 'fast-check';
import type { Argument } from '../../src/resp3/encode.ts';

const KEYS: readonly Argument[] = ['a', 'b', 'c', 'd', '', Buffer.from([0, 13, 10, 255])];

/** Up to so many commands; `without` are the names of those that are left out. */
export function commandSequence(
  maxLength: number,
  { keyNames = KEYS, without = [] }: { keyNames?: readonly Argument[]; without?: readonly string[] } = {},
): fc.Arbitrary<Argument[][]> {
  const key = fc.constantFrom<Argument[]>(...keyNames);
  const integer = fc.integer({ min: -20, max: 20 }).map(String);
  const word = fc.oneof(fc.constantFrom('', 'x', 'y', 'z'), fc.string({ maxLength: 40 }), integer);
  const long = (times: number) => fc.integer({ min: 0, max: times }).map((n) => `${n},`.repeat(n));
  const text = fc.oneof(
    { arbitrary: word, weight: 5 },
    { arbitrary: long(1000), weight: 3 },
    // Larger than any buffer that is read or written at once.
    { arbitrary: long(50_000), weight: 1 },
  );
  const of = (name: string, ...args: fc.Arbitrary<Argument | readonly Argument[]>[]) => ({
    name,
    arbitrary: fc.tuple(...args).map((parts) => [name, ...parts.flat()] as Argument[]),
  });
  const keys = fc.array(key, { minLength: 1, maxLength: 5 });
  const pairs = fc.array(fc.tuple(key, text), { minLength: 1, maxLength: 4 }).map((list) => list.flat());
  const commands = [
    of('GET', key),
    of('GET', key),
    of('SET', key, text),
    of('SET', key, text, fc.constantFrom(['NX'], ['XX'], ['GET'], ['EXAT', '4000000000'], ['NONSENSE'])),
    of('MGET', keys),
    of('MSET', pairs),
    of('MSETNX', pairs),
    of('DEL', keys),
    of('EXISTS', keys),
    of('UNLINK', key),
    of('INCRBY', key, integer),
    of('APPEND', key, word),
    of('STRLEN', key),
    of('GETRANGE', key, integer, integer),
    of('SETRANGE', key, integer, word),
    of('HSET', key, word, word),
    of('HGETALL', key),
    of('HGET', key, word),
    of('HDEL', key, word),
    of('RPUSH', key, word, word),
    of('LPOP', key),
    of('LRANGE', key, integer, integer),
    of('LLEN', key),
    of('RPOPLPUSH', key, key),
    of('SADD', key, integer),
    of('SREM', key, integer),
    of('SMEMBERS', key),
    of('SINTER', keys),
    of('SUNIONSTORE', key, keys),
    of('ZADD', key, integer, word),
    of('ZINCRBY', key, integer, word),
    of('ZREVRANGE', key, integer, integer, fc.constant('WITHSCORES')),
    of('ZSCORE', key, word),
    of('TYPE', key),
    of('RENAME', key, key),
    of('COPY', key, key),
    of('PERSIST', key),
    of('EXPIREAT', key, fc.constantFrom('1', '4000000000')),
    of('EXPIRETIME', key),
    of('OBJECT', fc.constant('ENCODING'), key),
    of('EVAL', fc.constant("return redis.call('GET', KEYS[1])"), fc.constant('1'), key),
    of('EVAL', fc.constant("return redis.call('SET', KEYS[1], ARGV[1])"), fc.constant('1'), key, word),
    of('SELECT', fc.constantFrom('0', '0', '1')),
    of('DBSIZE'),
    of('FLUSHDB'),
    of('PING', word),
    of('CLIENT', fc.constant('GETNAME')),
    of('GET', key, key),
    of('NONSENSE', word),
    of('OBJECT', word, key),
  ];
  const chosen = commands.filter(({ name }) => !without.includes(name)).map(({ arbitrary }) => arbitrary);
  return fc.array(fc.oneof(...chosen), { minLength: 1, maxLength, size: 'max' });
}

/** A command as a failed comparison shows it. */
export function describeCommand(args: readonly Argument[]): string {
  return args.map((arg) => JSON.stringify(Buffer.from(`${arg}`).toString('latin1', 0, 40))).join(' ');
}
