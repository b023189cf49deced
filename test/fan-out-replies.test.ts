// What may be believed of a copy, and how a request is rewritten for it: checked against a real server, which says what
// reads of a missing key are answered with.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mayBeMissing } from '../src/fanout/missing.ts';
import { withKey } from '../src/fanout/rewrite.ts';
import { encodeRequest } from '../src/resp3/encode.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { Wire } from './support/wire.ts';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

/** Every read that copies may answer. */
const READS = [
  'GET k|STRLEN k|GETRANGE k 0 5|SUBSTR k 0 5|GETBIT k 3|BITCOUNT k|BITPOS k 0|BITPOS k 1|BITFIELD_RO k GET u8 0',
  'HGET k f|HGETALL k|HMGET k f g|HKEYS k|HVALS k|HLEN k|HEXISTS k f|HSTRLEN k f|HRANDFIELD k|HRANDFIELD k 2 WITHVALUES',
  'LLEN k|LRANGE k 0 -1|LINDEX k 0|LPOS k x|LPOS k x COUNT 0',
  'SCARD k|SMEMBERS k|SISMEMBER k x|SMISMEMBER k x y|SRANDMEMBER k|SRANDMEMBER k 3',
  'ZCARD k|ZCOUNT k 0 1|ZLEXCOUNT k - +|ZRANGE k 0 -1|ZRANGEBYLEX k - +|ZRANGEBYSCORE k 0 1|ZREVRANGE k 0 -1',
  'ZREVRANGEBYLEX k + -|ZREVRANGEBYSCORE k 1 0|ZRANK k x|ZREVRANK k x|ZSCORE k x|ZMSCORE k x y|ZRANDMEMBER k 2',
  'GEODIST k a b|GEOHASH k a|GEOPOS k a b|GEOSEARCH k FROMLONLAT 0 0 BYRADIUS 1 km|GEORADIUS_RO k 0 0 1 km',
  'XLEN k|XRANGE k - +|XREVRANGE k + -|EXISTS k|TYPE k',
]
  .join('|')
  .split('|')
  .map((line) => line.split(' '));

describe.each([2, 3] as const)('in RESP%i', (protocol) => {
  it.each(READS.map((read) => [read.join(' '), read]))(
    '%s of a missing key is not believed',
    async (_, read) => {
      const wire = await Wire.open(redis.port, protocol);
      const reply = await wire.ask(...read);
      wire.close();
      expect(reply[0]).not.toBe(0x2d);
      expect(mayBeMissing(reply, 0, reply.length), reply.toString()).toBe(true);
    },
  );
});

it.each([
  '$1\r\na\r\n',
  ':1\r\n',
  ':-2\r\n',
  '+string\r\n',
  '*2\r\n$-1\r\n$1\r\na\r\n',
  '%1\r\n$0\r\n\r\n:7\r\n',
  ',0.5\r\n',
])('%j is believed', (reply) => {
  expect(mayBeMissing(Buffer.from(`xx${reply}yy`), 2, reply.length + 2)).toBe(false);
});

it.each(['-ERR no\r\n', '!3\r\nERR\r\n', '*2\r\n:0\r\n-ERR\r\n'])('an error such as %j is not', (reply) => {
  expect(mayBeMissing(Buffer.from(reply), 0, reply.length)).toBe(true);
});

it('a request gets another key and is the same besides', () => {
  const request = encodeRequest(['HMGET', '$5', 'a$b', '']);
  const buf = Buffer.concat([Buffer.from('before'), request, Buffer.from('after')]);
  const keyStart = request.indexOf('$5\r\n$3') as number;
  const rewritten = withKey(
    { buf, start: 6, end: 6 + request.length },
    keyStart,
    keyStart + 2,
    Buffer.from('heatsink:copy:{1}:x'),
  );
  expect(String(rewritten)).toBe(String(encodeRequest(['HMGET', 'heatsink:copy:{1}:x', 'a$b', ''])));
});

it('a line of words is left alone', () => {
  const buf = Buffer.from('GET key\r\n');
  expect(withKey({ buf, start: 0, end: buf.length }, 4, 7, Buffer.from('other'))).toBeNull();
});
