// Commands whose replies depend on nothing but the commands before them: no clock, no chance, no hash order.
// Two servers that get the same ones must answer with the same bytes.

import type { Argument } from '../../src/resp3/encode.ts';

/** Stand for arguments that cannot be written here. */
const WORDS: Readonly<Record<string, Buffer>> = {
  BINARY: Buffer.from([0, 255, 13, 10, 36, 45, 0]),
  MEGABYTE: Buffer.alloc(1024 * 1024, 'heatsink\r\n'),
  // Longer than what Redis repeats of an unknown command.
  LONG: Buffer.alloc(300, 'x'),
};

/**
 * Commands divided by `|` or a new line, arguments by spaces; those in double quotes are JSON strings. A time to
 * die far in the future is the same whenever it is set.
 */
const LINES: Readonly<Record<string, string>> = {
  strings: `
SET s "hello world" | GET s | get s | GeT s | STRLEN s | GETRANGE s 0 -3 | SUBSTR s 1 2 | APPEND s !
GET s | SETRANGE s 14 end | GET s | GETSET s other | GET s | SETNX s x | SETNX s2 x | GET s2 | SET s v NX
SET s v XX | SET s w GET | SET t w GET | SET s v XX KEEPTTL | GETDEL s | GET s | INCR n | INCRBY n 41
DECR n | DECRBY n 100 | GET n | INCRBYFLOAT n 0.5 | GET n | INCR n | SETEX e 1000 v | GET e
GETEX e PERSIST | TTL e | SET e v EXAT 4000000000 | EXPIRETIME e | MSET a 1 b 2 c 3 | MGET a b nothing c a
MSETNX a 9 z 9 | MSETNX y 9 z 9 | GET z | LCS a b | DEL a nothing b | EXISTS a b c c | UNLINK c
TOUCH n z nothing | DEL nothing | TYPE n | SET x ohmytext | SET y mynewtext | LCS x y
LCS x y IDX WITHMATCHLEN | LCS x y LEN
`,
  hashes: `
HSET h a 1 b 2 | HGET h a | HGET h z | HGETALL h | HMGET h a z b | HLEN h | HEXISTS h a | HKEYS h
HVALS h | HSTRLEN h a | HINCRBY h a 5 | HINCRBYFLOAT h a 0.25 | HSETNX h a 9 | HDEL h a z | HGETALL h
HMSET h c 3 d 4 | HGETALL h | HGETALL none | HRANDFIELD h 0 | HSCAN h 0 | OBJECT ENCODING h | HDEL h b c d
EXISTS h | TYPE h | HGET h a | HINCRBY h s x
`,
  lists: `
RPUSH l a b c | LPUSH l z | LRANGE l 0 -1 | LRANGE l 1 2 | LLEN l | LINDEX l 0 | LINDEX l 99
LINSERT l BEFORE b x | LSET l 0 y | LSET l 99 y | LPOS l b | LPOS l none | LREM l 1 x | LTRIM l 0 2
LRANGE l 0 -1 | LPOP l | RPOP l 2 | RPOP l | LPOP l 3 | LLEN l | LPUSHX l a | RPUSH l 1 2 3
RPOPLPUSH l m | LMOVE l m LEFT RIGHT | LRANGE m 0 -1 | LMPOP 2 l m LEFT COUNT 2 | OBJECT ENCODING m
LMPOP 1 none LEFT | EXISTS l | LRANGE none 0 -1 | SORT m | SORT m DESC
`,
  sets: `
SADD s 1 2 3 | SADD s 3 | SMEMBERS s | SCARD s | SISMEMBER s 1 | SMISMEMBER s 1 9 | SREM s 1 9
SADD t 3 4 | SINTER s t | SUNION s t | SDIFF s t | SINTERCARD 2 s t | SINTERCARD 2 s t LIMIT 1
SUNIONSTORE u s t | SMEMBERS u | SINTERSTORE u s t | SDIFFSTORE u s t | SMOVE s t 2 | SMEMBERS t
SSCAN t 0 | OBJECT ENCODING t | SADD t word | OBJECT ENCODING t | SMEMBERS none | SPOP none | SPOP none 1
SRANDMEMBER none | SADD one x | SPOP one | SRANDMEMBER one 2 | TYPE s
`,
  'sorted sets': `
ZADD z 1 a 2.5 b 3 c | ZADD z XX CH 4 a | ZADD z NX 9 a | ZADD z GT CH 1 a | ZADD z INCR 1 a
ZRANGE z 0 -1 | ZRANGE z 0 -1 WITHSCORES | ZREVRANGE z 0 -1 WITHSCORES | ZRANGE z 2 +inf BYSCORE
ZRANGEBYSCORE z (2.5 inf WITHSCORES LIMIT 0 1 | ZREVRANGEBYSCORE z 9 0 | ZSCORE z b | ZSCORE z none
ZMSCORE z a none c | ZRANK z a | ZREVRANK z a | ZRANK z none | ZCARD z | ZCOUNT z 1 3 | ZINCRBY z 0.5 b
ZINCRBY z -inf c | ZRANGE z 0 -1 WITHSCORES | ZADD y 0 a 0 b 0 c | ZLEXCOUNT y - + | ZRANGEBYLEX y [a (c
ZREVRANGEBYLEX y + - | ZUNION 2 z y WITHSCORES | ZINTER 2 z y | ZDIFF 2 z y
ZUNIONSTORE u 2 z y WEIGHTS 2 1 AGGREGATE MAX | ZRANGESTORE v u 0 1 | ZRANGE v 0 -1 WITHSCORES
ZINTERSTORE w 2 z y | ZINTERCARD 2 z y | ZDIFFSTORE w 2 y z | ZPOPMIN u | ZPOPMAX u 2 | ZPOPMIN u
ZMPOP 1 z MAX COUNT 2 | ZMPOP 1 none MIN | ZREM y a none | ZREMRANGEBYRANK y 0 0 | ZSCAN y 0
ZREMRANGEBYSCORE y 0 0 | ZREMRANGEBYLEX z - + | ZADD z nan a | ZADD z 1 | OBJECT ENCODING v
`,
  streams: `
XADD s 1-1 a 1 | XADD s 1-2 b 2 c 3 | XADD s 1-2 d 4 | XADD s 5-* e 5 | XADD s NOMKSTREAM 6-1 f 6
XADD none NOMKSTREAM 6-1 f 6 | XLEN s | XRANGE s - + | XRANGE s 1-2 + COUNT 1 | XREVRANGE s + -
XREAD COUNT 2 STREAMS s 0 | XREAD STREAMS s none 1-1 0 | XREAD STREAMS s $ | XDEL s 1-1 9-9
XGROUP CREATE s g 0 | XGROUP CREATE s g 0 | XGROUP CREATE none g 0 | XGROUP CREATE made g $ MKSTREAM
XREADGROUP GROUP g c COUNT 1 STREAMS s > | XREADGROUP GROUP g c STREAMS s 0 | XACK s g 1-2 | XPENDING s g
XGROUP CREATECONSUMER s g d | XGROUP DELCONSUMER s g d | XGROUP SETID s g 0 | XGROUP DESTROY s g
XREADGROUP GROUP g c STREAMS s > | XTRIM s MAXLEN 1 | XTRIM s MINID 9 | XSETID s 9-9 | XINFO GROUPS s
XINFO STREAM s | XINFO STREAM none | XAUTOCLAIM s g c 0 0 | OBJECT ENCODING s | TYPE s | XADD s
`,
  'bits and bytes': `
SETBIT b 7 1 | SETBIT b 100 1 | GETBIT b 7 | GETBIT b 8 | GETBIT none 1 | BITCOUNT b | BITCOUNT b 0 0
BITCOUNT b 5 110 BIT | BITPOS b 1 | BITPOS b 0 | BITPOS b 1 5 | GET b
BITFIELD b SET u8 0 255 GET i5 3 INCRBY u2 100 1 | BITFIELD_RO b GET u8 0 | BITFIELD b GET u99 0
SET c abc | BITOP AND d b c | BITOP NOT d c | GET d | STRLEN d | BITOP XOR d b c | SETBIT b x 1
`,
  'hyperloglogs and places': `
PFADD p a b c | PFADD p a | PFCOUNT p | PFADD q c d | PFCOUNT p q | PFMERGE r p q | PFCOUNT r
PFCOUNT none | GET p | GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEODIST g Palermo Catania km | GEODIST g Palermo none | GEOHASH g Palermo none | GEOPOS g Catania none
GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST | GEORADIUS g 15 37 100 km
GEORADIUS_RO g 15 37 200 km WITHHASH ASC | GEORADIUSBYMEMBER g Palermo 999 km ASC STORE near
GEOSEARCHSTORE near g FROMMEMBER Palermo BYBOX 400 400 km | ZRANGE near 0 -1 | GEOADD g 999 1 x
`,
  scripts: String.raw`
EVAL "return {KEYS[1], ARGV[1], 1, 2.9, false, true, {1, {2}}}" 1 k v
EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 k v | EVAL "return redis.call('GET', KEYS[1])" 1 k
EVAL "return redis.error_reply('MINE oh no')" 0 | EVAL "return redis.status_reply('FINE')" 0
EVAL "return redis.call('NONSENSE')" 0 | EVAL "return redis.pcall('INCR', KEYS[1])" 1 k
EVAL "redis.setresp(3); return redis.call('HGETALL', KEYS[1])" 1 none | EVAL "this is no lua" 0
EVAL_RO "return redis.call('SET', KEYS[1], 'x')" 1 k | SCRIPT LOAD "return ARGV[1]"
EVALSHA 098e0f0d1448c0a81dafe820f66d460eb09263da 0 x | EVALSHA nonsense 0 | EVAL x | EVAL x 2 k
SCRIPT EXISTS 098e0f0d1448c0a81dafe820f66d460eb09263da nonsense
FUNCTION LOAD "#!lua name=lib\nredis.register_function('f', function(k, a) return k[1] end)" | FCALL f 1 k
FCALL none 0 | FCALL_RO f 0 | FUNCTION LIST | FUNCTION DELETE lib | SCRIPT FLUSH
`,
  'keys and their times': `
SET k v | TTL k | PTTL k | TTL none | PTTL none | EXPIRE k 1000 | TTL k | EXPIRE k 1000 NX
EXPIREAT k 4000000000 | EXPIRETIME k | PEXPIRETIME k | PERSIST k | PERSIST k | EXPIRETIME k
PEXPIREAT k 4000000000000 | PEXPIRETIME k | EXPIRE none 10 | COPY k c | COPY k c | COPY k c REPLACE
EXPIRETIME c | RENAME k r | GET k | GET r | RENAME none x | RENAMENX r c | RENAMENX r k | GET k
EXPIRE k -1 | EXISTS k | GET k | SET k v | OBJECT ENCODING k | OBJECT REFCOUNT k | OBJECT FREQ k
OBJECT ENCODING none | OBJECT HELP | DUMP k | DUMP none | TYPE none | DBSIZE | SET s 12345
OBJECT ENCODING s | KEYS none* | DEL c s | KEYS * | RANDOMKEY | SCAN 0 | SCAN 0 MATCH x* | SCAN x
SCAN 0 TYPE string | MOVE k 3 | SELECT 3 | GET k | DBSIZE | SELECT 0 | GET k | SWAPDB 0 3 | GET k
COPY k other DB 5 | FLUSHDB | GET k | DBSIZE | SELECT 5 | GET other | FLUSHALL | GET other
RESTORE k 0 nonsense | RPUSH w 3 1 2 | SORT w | SORT w DESC LIMIT 0 2 | SORT w ALPHA STORE to
LRANGE to 0 -1 | SET weight_1 9 | SET weight_2 1 | SORT w BY weight_*
SORT w BY nosort GET # GET weight_* | SORT_RO w
`,
  'odd keys and values': String.raw`
SET BINARY BINARY | GET BINARY | SET "" "" | GET "" | MGET "" BINARY x | HSET BINARY "" x
HSET h "" "" BINARY BINARY | HGETALL h | HGET h "" | SET large MEGABYTE | GET large | STRLEN large
APPEND large x | GETRANGE large -20 -1 | RPUSH l MEGABYTE "" BINARY | LRANGE l 0 -1 | ECHO MEGABYTE
GET MEGABYTE | DEL large "" BINARY | SET "sp ace" "quo'te \"s" | GET "sp ace" | KEYS sp*
`,
  mistakes: String.raw`
GET | GET a b | SET a | SET | MSET a | MSET a 1 b | MGET | DEL | HSET h a | HGETALL | EVAL | NONSENSE
nonsense a b | NONSENSE a b c d e f g h i j k l m n | HELLO 4 | HELLO x | HELLO 2 x
NONSENSE BINARY "" it's | "NON SENSE" a | "NONSENSE\r\n+OK" "a\r\nb" | "" a | "" | LONG LONG z | OBJECT
OBJECT NONSENSE k | CONFIG NONSENSE | XGROUP NONSENSE | CLIENT NONSENSE | COMMAND NONSENSE | SET k v
LPUSH k x | HGETALL k | SMEMBERS k | ZRANGE k 0 -1 | XRANGE k - + | INCR k | RPUSH l a | GET l | STRLEN l
GETRANGE l 0 1 | MGET l k | SETRANGE k -1 x | SET k v NONSENSE | SET k v EX 0 | EXPIRE k x | LRANGE l x y
ZADD z x m | SUNION k l | PFCOUNT k | GETBIT k -1 | LINDEX l x | SELECT 99 | SELECT x | AUTH x | AUTH a b
AUTH default x | AUTH | SELECT | INCRBY k 99999999999999999999
`,
  'server and connection': `
PING | PING x | PING x y | ECHO x | ECHO | CLIENT GETNAME | CLIENT SETNAME me | CLIENT GETNAME
COMMAND COUNT | COMMAND INFO get nonsense | COMMAND GETKEYS MSET a 1 b 2 | COMMAND GETKEYS NONSENSE
COMMAND LIST FILTERBY PATTERN xad* | COMMAND DOCS get | CONFIG GET maxmemory-policy | CONFIG SET x y
ACL WHOAMI | ACL CAT nonsense | PUBLISH channel x | SPUBLISH channel x | PUBSUB NUMSUB a
LOLWUT VERSION 999 | MEMORY HELP | SLOWLOG HELP | LATENCY LATEST | FLUSHALL SYNC | FLUSHDB x | DBSIZE
`,
};

export interface CorpusGroup {
  readonly title: string;
  readonly commands: readonly Argument[][];
}

export const CORPUS: readonly CorpusGroup[] = Object.entries(LINES).map(([title, lines]) => ({
  title,
  commands: lines
    .trim()
    .split(/ \| |\n/)
    .map(parse),
}));

function parse(command: string): Argument[] {
  const words = command.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return words.map((word) => WORDS[word] ?? (word.startsWith('"') ? JSON.parse(word) : word));
}

/** A command as a failed comparison shows it. */
export function describeCommand(args: readonly Argument[]): string {
  return args.map((arg) => JSON.stringify(Buffer.from(`${arg}`).toString('latin1', 0, 40))).join(' ');
}
