// The commands about keys, as a server describes them: a trace comes without its server. Those of Redis 7.0, and the
// newer ones and the JSON ones that the tier may keep replies of.

import { CommandTable } from '../commands/table.ts';

/** `r` reads, `w` writes; then as in COMMAND the arity, first and last key and step. */
const ROWS: readonly (readonly [what: string, names: string])[] = [
  ['r -2 1 -1 1', 'exists mget pfcount sdiff sinter sunion touch'],
  ['r -2 1 1 1', 'bitcount bitfield_ro geohash geopos hrandfield srandmember zrandmember json.get'],
  ['r -2 1 1 1', 'json.arrlen json.objkeys json.objlen json.resp json.strlen json.type'],
  ['r -3 1 1 1', 'bitpos hmget hscan lpos smismember sscan xpending zmscore zscan'],
  ['r -3 1 2 1', 'lcs'],
  ['r -4 1 1 1', 'geodist xrange xrevrange zrange zrangebylex zrangebyscore zrevrange zrevrangebylex'],
  ['r -4 1 1 1', 'zrevrangebyscore json.arrindex'],
  ['r -5 1 1 1', 'georadiusbymember_ro httl hpttl hexpiretime hpexpiretime'],
  ['r -6 1 1 1', 'georadius_ro'],
  ['r -7 1 1 1', 'geosearch'],
  [
    'r 2 1 1 1',
    'dump expiretime get hgetall hkeys hlen hvals llen pexpiretime pttl scard smembers strlen ttl',
  ],
  ['r 2 1 1 1', 'type xlen zcard'],
  ['r 3 1 1 1', 'getbit hexists hget hstrlen lindex sismember zrank zrevrank zscore'],
  ['r 4 1 1 1', 'getrange lrange substr zcount zlexcount'],
  ['w -1 0 0 0', 'flushall flushdb'],
  ['w -2 1 -1 1', 'del pfmerge unlink'],
  ['w -2 1 1 1', 'bitfield getex json.del lpop pfadd rpop spop zpopmax zpopmin'],
  ['w -3 1 -1 1', 'sdiffstore sinterstore sunionstore'],
  ['w -3 1 -1 2', 'mset msetnx'],
  ['w -3 1 -2 1', 'blpop brpop bzpopmax bzpopmin'],
  [
    'w -3 1 1 1',
    'expire expireat hdel lpush lpushx pexpire pexpireat rpush rpushx sadd set srem xdel xsetid',
  ],
  ['w -3 1 1 1', 'zrem json.numincrby json.arrappend json.merge'],
  ['w -3 1 2 1', 'copy'],
  ['w -4 1 1 1', 'hmset hset restore restore-asking xack xtrim zadd json.set'],
  ['w -4 2 -1 1', 'bitop'],
  ['w -5 1 1 1', 'geoadd xadd hgetdel hgetex hpersist'],
  ['w -5 1 2 1', 'zrangestore'],
  ['w -6 1 1 1', 'xautoclaim xclaim hexpire hpexpire hexpireat hpexpireat hsetex'],
  ['w -8 1 2 1', 'geosearchstore'],
  ['w 2 1 1 1', 'decr getdel incr persist'],
  ['w 3 0 0 0', 'swapdb'],
  ['w 3 1 1 1', 'append decrby getset incrby incrbyfloat move setnx'],
  ['w 3 1 2 1', 'rename renamenx rpoplpush'],
  ['w 4 1 1 1', 'hincrby hincrbyfloat hsetnx lrem lset ltrim psetex setbit setex setrange zincrby'],
  ['w 4 1 1 1', 'zremrangebylex zremrangebyrank zremrangebyscore'],
  ['w 4 1 2 1', 'brpoplpush smove'],
  ['w 5 1 1 1', 'linsert'],
  ['w 5 1 2 1', 'lmove'],
  ['w 6 1 2 1', 'blmove'],
];

/** The table itself knows where their keys are, as servers older than 7.0 do not say it either. */
const KEYS_MOVE: readonly (readonly [what: string, names: string])[] = [
  ['r -2', 'sort_ro'],
  ['r -3', 'zdiff zinter zunion'],
  ['r -4', 'xread'],
  ['w -2', 'sort'],
  ['w -3', 'eval evalsha'],
  ['w -4', 'zdiffstore zinterstore zunionstore'],
  ['w -5', 'georadiusbymember'],
  ['w -6', 'georadius migrate'],
  ['w -7', 'xreadgroup'],
];

/** Behind the argument with that number, which counts them. */
const KEYS_COUNTED: readonly (readonly [what: string, at: number, names: string])[] = [
  ['r -3', 1, 'sintercard zintercard'],
  ['w -4', 1, 'lmpop zmpop'],
  ['w -5', 2, 'blmpop bzmpop'],
  ['r -3', 2, 'eval_ro evalsha_ro fcall_ro'],
  ['w -3', 2, 'fcall'],
];

const FLAGS: Readonly<Record<string, string>> = { r: 'readonly', w: 'write' };

function row(name: string, what: string): unknown[] {
  const [kind, arity, first = '0', last = '0', step = '0'] = what.split(' ');
  return [name, Number(arity), [FLAGS[kind]], Number(first), Number(last), Number(step)];
}

function countedRow(name: string, what: string, at: number): unknown[] {
  const counted = ['type', 'keynum', 'spec', ['keynumidx', 0, 'firstkey', 1, 'keystep', 1]];
  const begin = ['type', 'index', 'spec', ['index', at]];
  return [...row(name, what), [], [], [['flags', [], 'begin_search', begin, 'find_keys', counted]], []];
}

/** The table by which heatsink serves, made of what is known here. */
export function knownCommands(): CommandTable {
  const fixed = ROWS.flatMap(([what, names]) => names.split(' ').map((name) => row(name, what)));
  const moving = KEYS_MOVE.flatMap(([what, names]) =>
    names.split(' ').map((name) => {
      const [, arity, flags, ...keys] = row(name, what);
      return [name, arity, [...(flags as string[]), 'movablekeys'], ...keys];
    }),
  );
  const counted = KEYS_COUNTED.flatMap(([what, at, names]) =>
    names.split(' ').map((name) => countedRow(name, what, at)),
  );
  return CommandTable.from([...fixed, ...moving, ...counted]);
}
