// Commands on keys, one group for each type of value. See group.ts for how they are written.

import { group } from './group.ts';

export const DATA = [
  group(
    'strings',
    `
SET @s "hello world" | GET @s | get @s | GeT @s | STRLEN @s | GETRANGE @s 0 -3 | SUBSTR @s 1 2 | APPEND @s !
GET @s | SETRANGE @s 14 end | GET @s | GETSET @s other | GETSET @new x | GET @s | SETNX @s x | SETNX @s2 x
GET @s2 | SET @s v NX | SET @s v XX | SET @s w GET | SET @t w GET | SET @s v XX KEEPTTL | GETDEL @s | GET @s
SET @t w NX GET | SET @t w EX 10 PX 10 | SET @t w KEEPTTL EX 10 | SET @t w EX | SET @t w PX 1000000 XX GET
INCR @n | INCRBY @n 41 | DECR @n | DECRBY @n 100 | GET @n | INCRBYFLOAT @n 0.5 | GET @n | INCR @n
INCRBYFLOAT @n nan | INCRBYFLOAT @n x | INCRBY @n 1.5 | DECRBY @n x | SET @max 9223372036854775807 | INCR @max
SETEX @e 1000 v | GET @e | GETEX @e PERSIST | TTL @e | SET @e v EXAT 4000000000 | EXPIRETIME @e | SETEX @e 0 v
SETEX @e x v | PSETEX @e 1000000 v | PSETEX @e -1 v | TTL @e | SET @e v PXAT 4000000000000 | PEXPIRETIME @e
GETEX @e EXAT 4100000000 | EXPIRETIME @e | GETEX @e EX 0 | GETEX @e PERSIST EX 1 | GETEX @e X | GETEX @none EX 5
GETDEL @none | MSET @a 1 @b 2 @c 3 | MGET @a @b @nothing @c @a | MSETNX @a 9 @z 9 | MSETNX @y 9 @z 9 | GET @z
MSET @a 1 @b | MSETNX @a 1 @b | DEL @a @nothing @b | EXISTS @a @b @c @c | UNLINK @c | TOUCH @n @z @nothing
DEL @nothing | TYPE @n | SET @x ohmytext | SET @y mynewtext | LCS @x @y | LCS @x @y LEN | LCS @x @y IDX
LCS @x @y IDX MINMATCHLEN 4 WITHMATCHLEN | LCS @x @y LEN IDX | LCS @x @none | LCS @x @y NONSENSE
SETRANGE @s -1 x | SETRANGE @s 999999999999 x | SETRANGE @none 0 "" | EXISTS @none | GETRANGE @s x 1
`,
  ),
  group(
    'hashes',
    `
HSET @h a 1 b 2 | HGET @h a | HGET @h z | HGETALL @h | HMGET @h a z b | HLEN @h | HEXISTS @h a | HEXISTS @h z
HKEYS @h | HVALS @h | HSTRLEN @h a | HSTRLEN @h z | HINCRBY @h a 5 | HINCRBY @h a x | HINCRBYFLOAT @h a 0.25
HINCRBYFLOAT @h a x | HSETNX @h a 9 | HSETNX @h n 9 | HDEL @h a z n | HGETALL @h | HMSET @h c 3 d 4 | HGETALL @h
HGETALL @none | HRANDFIELD @h 0 | HRANDFIELD @none | HRANDFIELD @none 3 | HRANDFIELD @h 9 WITHVALUES
HRANDFIELD @h x | HRANDFIELD @h 1 NONSENSE | HSCAN @h 0 | HSCAN @h 0 MATCH c* COUNT 5
HSCAN @h x | HSCAN @h 0 COUNT 0 | HSCAN @none 0 | OBJECT ENCODING @h | HDEL @h b c d | EXISTS @h | TYPE @h
HGET @h a | HINCRBY @h s x | HSET @h a | HSET @h a 1 b | HMSET @h a 1 b | HMGET @none a b | HSET @one f v
HRANDFIELD @one | HRANDFIELD @one -2 | HRANDFIELD @one 1 WITHVALUES | HINCRBY @one f 1 | HINCRBYFLOAT @two f 1e3
`,
  ),
  group(
    'lists',
    `
RPUSH @l a b c | LPUSH @l z | LRANGE @l 0 -1 | LRANGE @l 1 2 | LLEN @l | LINDEX @l 0 | LINDEX @l 99 | LINDEX @l x
LINSERT @l BEFORE b x | LINSERT @l AFTER none x | LINSERT @l NEAR b x | LINSERT @none AFTER a b | LSET @l 0 y
LSET @l 99 y | LSET @l x y | LSET @none 0 y | LPOS @l b | LPOS @l none | LPOS @l b RANK 1 COUNT 0 MAXLEN 0
LPOS @l b RANK 0 | LPOS @l b COUNT -1 | LREM @l 1 x | LREM @l x x | LTRIM @l 0 2 | LTRIM @l x 2 | LRANGE @l 0 -1
LPOP @l | RPOP @l 2 | RPOP @l | LPOP @l 3 | LPOP @l 0 | RPOP @l -1 | LPOP @l x | LLEN @l | LPUSHX @l a
RPUSHX @l a | RPUSH @l 1 2 3 | LPUSHX @l 0 | RPUSHX @l 4 | LPOP @l 0 | RPOPLPUSH @l @m | RPOPLPUSH @none @m
LMOVE @l @m LEFT RIGHT | LMOVE @l @m UP DOWN | LMOVE @none @m LEFT LEFT | LRANGE @m 0 -1
LMPOP 2 @l @m LEFT COUNT 2 | OBJECT ENCODING @m | LMPOP 1 @none LEFT | LMPOP 0 @l LEFT | LMPOP 1 @l UP
LMPOP 1 @l LEFT COUNT 0 | LMPOP 9 @l LEFT | EXISTS @l | LRANGE @none 0 -1 | SORT @m | SORT @m DESC
RPUSH @w 3 1 2 | SORT @w | SORT @w DESC LIMIT 0 2 | SORT @w ALPHA STORE @to | LRANGE @to 0 -1 | SORT @none STORE @to
EXISTS @to | SORT_RO @w | SORT_RO @w DESC | SORT_RO @w STORE @to | RPUSH @w x | SORT @w | SORT @w LIMIT 0
SORT_RO @w ALPHA LIMIT 1 2 | SORT @none
`,
  ),
  group(
    'sets',
    `
SADD @s 1 2 3 | SADD @s 3 | SMEMBERS @s | SCARD @s | SISMEMBER @s 1 | SISMEMBER @s 9 | SMISMEMBER @s 1 9
SMISMEMBER @none 1 9 | SREM @s 1 9 | SREM @none 1 | SADD @t 3 4 | SINTER @s @t | SUNION @s @t | SDIFF @s @t
SINTER @s @none | SUNION @none | SDIFF @none @s | SINTERCARD 2 @s @t | SINTERCARD 2 @s @t LIMIT 1
SINTERCARD 0 @s | SINTERCARD x @s | SINTERCARD 3 @s @t | SINTERCARD 1 @s LIMIT -1 | SUNIONSTORE @u @s @t
SMEMBERS @u | SINTERSTORE @u @s @t | SDIFFSTORE @u @s @t | SINTERSTORE @u @s @none | EXISTS @u | SMOVE @s @t 2
SMOVE @s @t 99 | SMOVE @none @t 2 | SMEMBERS @t | SSCAN @t 0 | SSCAN @t 0 MATCH 3 COUNT 100 | SSCAN @t x
SSCAN @none 0 | SSCAN @t 0 NONSENSE | OBJECT ENCODING @t | SADD @t word | OBJECT ENCODING @t | SMEMBERS @none
SPOP @none | SPOP @none 1 | SPOP @s -1 | SPOP @s x | SRANDMEMBER @none | SRANDMEMBER @none 2 | SRANDMEMBER @s x
SADD @one x | SRANDMEMBER @one | SRANDMEMBER @one 2 | SRANDMEMBER @one -2 | SPOP @one | SADD @one x | SPOP @one 5
EXISTS @one | TYPE @s | SCARD @none | SPOP @t 0 | SPOP @s 1 2
`,
  ),
  group(
    'sorted sets',
    `
ZADD @z 1 a 2.5 b 3 c | ZADD @z XX CH 4 a | ZADD @z NX 9 a | ZADD @z GT CH 1 a | ZADD @z INCR 1 a | ZADD @z LT 9 a
ZADD @z NX INCR 1 a | ZADD @z NX XX 1 a | ZADD @z GT LT 1 a | ZADD @z INCR 1 a 2 b | ZADD @z nan a | ZADD @z x m
ZRANGE @z 0 -1 | ZRANGE @z 0 -1 WITHSCORES | ZRANGE @z 0 -1 REV | ZREVRANGE @z 0 -1 WITHSCORES | ZREVRANGE @z 0 0
ZRANGE @z 2 +inf BYSCORE | ZRANGE @z (9 2 BYSCORE REV LIMIT 0 2 | ZRANGE @z [a [b BYLEX | ZRANGE @z 0 1 LIMIT 0 1
ZRANGE @z a b BYLEX | ZRANGE @z x y BYSCORE | ZRANGE @z x y | ZRANGE @z [a [b BYLEX WITHSCORES
ZRANGEBYSCORE @z (2.5 inf WITHSCORES LIMIT 0 1 | ZRANGEBYSCORE @z x 1 | ZREVRANGEBYSCORE @z 9 0
ZREVRANGEBYSCORE @z 9 0 WITHSCORES LIMIT 1 1 | ZSCORE @z b | ZSCORE @z none | ZMSCORE @z a none c | ZRANK @z a
ZMSCORE @none a | ZREVRANK @z a | ZRANK @z none | ZREVRANK @none a | ZCARD @z | ZCARD @none | ZCOUNT @z 1 3
ZCOUNT @z (1 x | ZINCRBY @z 0.5 b | ZINCRBY @z -inf c | ZINCRBY @z x c | ZRANGE @z 0 -1 WITHSCORES
ZINCRBY @z inf c | ZADD @y 0 a 0 b 0 c | ZLEXCOUNT @y - + | ZLEXCOUNT @y [a (c | ZLEXCOUNT @y a c
ZRANGEBYLEX @y [a (c | ZRANGEBYLEX @y - + LIMIT 1 1 | ZRANGEBYLEX @y a c | ZREVRANGEBYLEX @y + - | ZUNION 2 @z @y
ZREVRANGEBYLEX @y [c (a LIMIT 0 1 | ZUNION 2 @z @y WITHSCORES | ZUNION 2 @z @y WEIGHTS 1 2 AGGREGATE MIN WITHSCORES
ZUNION 0 @z | ZUNION 2 @z @y WEIGHTS 1 | ZUNION 9 @z | ZINTER 2 @z @y | ZINTER 2 @z @y WITHSCORES | ZINTER 1 @none
ZINTER x @z | ZDIFF 2 @z @y | ZDIFF 2 @y @none WITHSCORES | ZDIFF 0 @z
ZUNIONSTORE @u 2 @z @y WEIGHTS 2 1 AGGREGATE MAX | ZUNIONSTORE @u 0 @z | ZRANGESTORE @v @u 0 1
ZRANGESTORE @v @u 0 1 WITHSCORES | ZRANGESTORE @v @none 0 1 | ZRANGESTORE @v @u (0 inf BYSCORE LIMIT 0 2
ZRANGE @v 0 -1 WITHSCORES | ZINTERSTORE @w 2 @z @y | ZINTERSTORE @w 2 @z @none | ZINTERSTORE @w 1 @z AGGREGATE x
ZINTERCARD 2 @z @y | ZINTERCARD 2 @z @y LIMIT 1 | ZINTERCARD 0 @z | ZINTERCARD 1 @z LIMIT x | ZDIFFSTORE @w 2 @y @z
ZDIFFSTORE @w 0 @y | ZPOPMIN @u | ZPOPMAX @u 2 | ZPOPMIN @u | ZPOPMIN @none | ZPOPMAX @none 2 | ZPOPMIN @z -1
ZPOPMAX @z x | ZMPOP 1 @z MAX COUNT 2 | ZMPOP 1 @none MIN | ZMPOP 1 @z UP | ZMPOP 0 @z MIN | ZMPOP 1 @z MIN COUNT 0
ZREM @y a none | ZREM @none a | ZREMRANGEBYRANK @y 0 0 | ZREMRANGEBYRANK @y x 0 | ZSCAN @y 0 | ZSCAN @y 0 MATCH c*
ZSCAN @none 0 | ZSCAN @y x | ZADD @r 1 a | ZRANDMEMBER @r | ZRANDMEMBER @r 2 WITHSCORES | ZRANDMEMBER @r -2
ZRANDMEMBER @r x | ZRANDMEMBER @none | ZRANDMEMBER @none 2 | ZREMRANGEBYSCORE @y 0 0 | ZREMRANGEBYSCORE @y x 0
ZREMRANGEBYLEX @r - + | ZREMRANGEBYLEX @r a b | ZADD @z 1 | ZADD @z 1 a 2 | OBJECT ENCODING @v
`,
  ),
  group(
    'streams',
    `
XADD @s 1-1 a 1 | XADD @s 1-2 b 2 c 3 | XADD @s 1-2 d 4 | XADD @s 5-* e 5 | XADD @s NOMKSTREAM 6-1 f 6
XADD @none NOMKSTREAM 6-1 f 6 | XADD @s 0-0 a 1 | XADD @s x a 1 | XADD @s 7-1 a | XADD @s MAXLEN ~ 100 7-1 a 1
XADD @s MAXLEN x 8-1 a 1 | XLEN @s | XLEN @none | XRANGE @s - + | XRANGE @s 1-2 + COUNT 1 | XRANGE @s x +
XRANGE @s - + COUNT x | XRANGE @none - + | XREVRANGE @s + - | XREVRANGE @s + - COUNT 1 | XREVRANGE @s (7-1 -
XREAD COUNT 2 STREAMS @s 0 | XREAD STREAMS @s @none 1-1 0 | XREAD STREAMS @s $ | XREAD STREAMS @s | XREAD COUNT 1
XREAD STREAMS @s > | XREAD STREAMS @s @s 0 | XDEL @s 1-1 9-9 | XDEL @s x | XDEL @none 1-1 | XGROUP CREATE @s g 0
XGROUP CREATE @s g 0 | XGROUP CREATE @none g 0 | XGROUP CREATE @made g $ MKSTREAM | XGROUP CREATE @s g2 x
XGROUP CREATE @s g2 $ ENTRIESREAD 2 | XREADGROUP GROUP g c COUNT 1 STREAMS @s > | XREADGROUP GROUP g c STREAMS @s 0
XREADGROUP GROUP none c STREAMS @s > | XREADGROUP GROUP g c STREAMS @none > | XREADGROUP GROUP g c STREAMS @s $
XREADGROUP STREAMS @s > | XPENDING @s g | XPENDING @s none | XPENDING @s g - + 10 c2 | XPENDING @s g x + 10
XPENDING @s g IDLE 0 - + 10 other | XCLAIM @s g d 0 9-9 | XCLAIM @s g d 0 1-2 JUSTID | XCLAIM @s none d 0 1-2
XCLAIM @s g d x 1-2 | XCLAIM @s g c 0 1-2 TIME 1 RETRYCOUNT 3 FORCE | XAUTOCLAIM @s g d 0 0 | XACK @s g 1-2
XACK @s g 1-2 | XACK @none g 1-2 | XACK @s g x | XAUTOCLAIM @s g d 0 0 COUNT 5 JUSTID | XAUTOCLAIM @s none d 0 0
XAUTOCLAIM @s g d 0 0 COUNT 0 | XAUTOCLAIM @s g c 0 0 | XGROUP CREATECONSUMER @s g e | XGROUP CREATECONSUMER @s x e
XGROUP DELCONSUMER @s g d | XGROUP DELCONSUMER @s g none | XGROUP SETID @s g 0 | XGROUP SETID @s none 0
XINFO GROUPS @s | XINFO GROUPS @none | XINFO CONSUMERS @s g | XINFO CONSUMERS @s none | XINFO STREAM @s
XINFO STREAM @s FULL | XINFO STREAM @s FULL COUNT 1 | XINFO STREAM @none | XGROUP DESTROY @s g | XGROUP DESTROY @s g
XGROUP DESTROY @none g | XREADGROUP GROUP g c STREAMS @s > | XTRIM @s MAXLEN 1 | XTRIM @s MINID 9 | XTRIM @s x 1
XTRIM @none MAXLEN 1 | XTRIM @s MAXLEN = 0 LIMIT 5 | XSETID @s 9-9 | XSETID @s 1-1 ENTRIESADDED 9 MAXDELETEDID 0-1
XSETID @s x | XSETID @none 1-1 | OBJECT ENCODING @s | TYPE @s | XADD @s MINID 5 10-1 a 1 | XINFO STREAM @s
`,
  ),
  group(
    'bits and bytes',
    `
SETBIT @b 7 1 | SETBIT @b 100 1 | SETBIT @b x 1 | SETBIT @b 1 2 | SETBIT @b -1 1 | GETBIT @b 7 | GETBIT @b 8
GETBIT @none 1 | GETBIT @b -1 | BITCOUNT @b | BITCOUNT @b 0 0 | BITCOUNT @b 5 110 BIT | BITCOUNT @b 0
BITCOUNT @none | BITCOUNT @b 0 1 NONSENSE | BITPOS @b 1 | BITPOS @b 0 | BITPOS @b 1 5 | BITPOS @b 1 5 110 BIT
BITPOS @b 2 | BITPOS @none 1 | GET @b | BITFIELD @b SET u8 0 255 GET i5 3 INCRBY u2 100 1 | BITFIELD @b
BITFIELD @b OVERFLOW FAIL INCRBY u2 100 9 | BITFIELD @b OVERFLOW x | BITFIELD @none GET u8 0
BITFIELD_RO @b GET u8 0 | BITFIELD_RO @b SET u8 0 1 | BITFIELD_RO @none GET i8 #1 | BITFIELD @b GET u99 0
SET @c abc | BITOP AND @d @b @c | BITOP NOT @d @c | BITOP NOT @d @b @c | BITOP OR @d @none | BITOP NOR @d @c
BITOP XOR @d @b @c | GET @d | STRLEN @d
`,
  ),
  group(
    'hyperloglogs and places',
    `
PFADD @p a b c | PFADD @p a | PFADD @new | PFCOUNT @p | PFADD @q c d | PFCOUNT @p @q | PFMERGE @r @p @q | PFCOUNT @r
PFCOUNT @none | PFMERGE @r @none | GET @p | PFDEBUG ENCODING @p | PFDEBUG NONSENSE @p | PFDEBUG ENCODING @none
SET @text x | PFCOUNT @text | PFADD @text a | GEOADD @g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEOADD @g NX CH 1 1 Palermo | GEOADD @g NX XX 1 1 x | GEOADD @g 999 1 x | GEOADD @g x 1 x | GEODIST @g Palermo Catania
GEODIST @g Palermo Catania km | GEODIST @g Palermo none | GEODIST @g Palermo Catania league | GEODIST @none a b
GEOHASH @g Palermo none | GEOHASH @none a | GEOPOS @g Catania none | GEOPOS @none a | GEOPOS @g
GEOSEARCH @g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST | GEOSEARCH @g FROMMEMBER none BYRADIUS 1 km
GEOSEARCH @none FROMLONLAT 15 37 BYBOX 4 4 km | GEOSEARCH @g BYBOX 4 4 km | GEOSEARCH @g FROMMEMBER Palermo BYBOX 9 9 km COUNT 0
GEORADIUS @g 15 37 100 km | GEORADIUS @g 15 37 200 km COUNT 1 DESC WITHCOORD | GEORADIUS @g x 37 100 km
GEORADIUS @g 15 37 200 km STORE @near | GEORADIUS @none 1 1 1 m | GEORADIUS_RO @g 15 37 200 km WITHHASH ASC
GEORADIUS_RO @g 15 37 200 km STORE @near | GEORADIUS_RO @none 15 37 200 km | GEORADIUSBYMEMBER @g Palermo 200 km
GEORADIUSBYMEMBER @g Palermo 999 km ASC STORE @near | GEORADIUSBYMEMBER @g none 1 km | GEORADIUSBYMEMBER @none x 1 km
GEORADIUSBYMEMBER_RO @g Palermo 200 km ASC WITHDIST | GEORADIUSBYMEMBER_RO @g none 1 km
GEORADIUSBYMEMBER_RO @g Palermo 1 furlong | GEOSEARCHSTORE @near @g FROMMEMBER Palermo BYBOX 400 400 km
GEOSEARCHSTORE @near @g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST ASC COUNT 1 | ZRANGE @near 0 -1 WITHSCORES
GEOSEARCHSTORE @near @none FROMLONLAT 15 37 BYRADIUS 200 km | GEOSEARCHSTORE @near @g FROMLONLAT 15 37 WITHDIST
`,
  ),
  group(
    'keys and their times',
    `
SET @k v | TTL @k | PTTL @k | TTL @none | PTTL @none | EXPIRE @k 1000 | TTL @k | EXPIRE @k 1000 NX | EXPIRE @k 9 GT
EXPIRE @k 10 NX XX | EXPIRE @k 10 NONSENSE | EXPIRE @k x | EXPIREAT @k 4000000000 | EXPIREAT @k x
EXPIREAT @none 4000000000 | EXPIRETIME @k | EXPIRETIME @none | PEXPIRETIME @k | PEXPIRETIME @none | PERSIST @k
PERSIST @k | PERSIST @none | EXPIRETIME @k | PEXPIRE @k 1000000 | PEXPIRE @none 1000000 | PEXPIRE @k x
PEXPIRE @k 99999999999999999 | PEXPIREAT @k 4000000000000 | PEXPIREAT @k 4100000000000 LT | PEXPIREAT @none 1
PEXPIRETIME @k | EXPIRE @none 10 | COPY @k @c | COPY @k @c | COPY @k @c REPLACE | COPY @none @c | COPY @k @k
COPY @k @c NONSENSE | EXPIRETIME @c | RENAME @k @r | GET @k | GET @r | RENAME @none @x | RENAME @r @r
RENAMENX @r @c | RENAMENX @r @k | RENAMENX @none @k | GET @k | EXPIRE @k -1 | EXISTS @k | GET @k | SET @k v
OBJECT ENCODING @k | OBJECT REFCOUNT @k | OBJECT REFCOUNT @none | OBJECT FREQ @k | OBJECT FREQ @none
OBJECT IDLETIME @k | OBJECT IDLETIME @none | OBJECT ENCODING @none | MEMORY USAGE @k | MEMORY USAGE @none
MEMORY USAGE @k SAMPLES 0 | MEMORY USAGE @k SAMPLES | MEMORY USAGE @k SAMPLES x | DUMP @k | DUMP @none | TYPE @none
TYPE @k | DBSIZE | SET @s 12345 | OBJECT ENCODING @s | KEYS @none* | KEYS @s* | KEYS * | DEL @c @s | UNLINK @none
TOUCH @none | EXISTS @none | KEYS @* | RANDOMKEY | SCAN x | SCAN 0 COUNT 0 | SCAN 0 NONSENSE | SCAN 0 MATCH
RESTORE @k 0 nonsense | RESTORE @k x nonsense | RESTORE @k -1 nonsense REPLACE | RESTORE @k 0 nonsense NONSENSE
FLUSHDB | RANDOMKEY | DBSIZE | FLUSHDB x | FLUSHALL x | FLUSHDB ASYNC | FLUSHALL SYNC | KEYS *
`,
  ),
  group('a walk over all keys', 'SCAN 0 | SET @k v | SCAN 0 | SCAN 0 MATCH @x* | SCAN 0 TYPE list COUNT 100'),
  group(
    'keys of several slots',
    `
SET @k v | SET ^k v | RENAME @k ^r | RENAMENX @k ^r | COPY @k ^c | SMOVE @s ^s x | SINTER @s ^s | SUNIONSTORE @s ^s
LMOVE @l ^l LEFT RIGHT | RPOPLPUSH @l ^l | BLMOVE @l ^l LEFT RIGHT 0.01 | BRPOPLPUSH @l ^l 0.01 | BLPOP @l ^l 0.01
BZPOPMIN @z ^z 0.01 | ZUNION 2 @z ^z | ZRANGESTORE @z ^z 0 1 | BITOP AND @d @k ^k | PFMERGE @p ^p | PFCOUNT @p ^p
GEOSEARCHSTORE @g ^g FROMLONLAT 1 1 BYRADIUS 1 m | SORT @l STORE ^l | MSETNX @x 1 ^x 2 | LCS @k ^k | LMPOP 2 @l ^l LEFT
XREAD STREAMS @x ^x 0 0 | EVAL "return 1" 2 @k ^k | SDIFF @s ^s | ZMPOP 2 @z ^z MIN | SINTERCARD 2 @s ^s
`,
  ),
  group(
    'odd keys and values',
    String.raw`
SET @BINARY BINARY | GET @BINARY | SET @"" "" | GET @"" | MGET @"" @BINARY @x | HSET @BINARY "" x
HSET @h "" "" BINARY BINARY | HGETALL @h | HGET @h "" | SET @large MEGABYTE | GET @large | STRLEN @large
APPEND @large x | GETRANGE @large -20 -1 | RPUSH @l MEGABYTE "" BINARY | LRANGE @l 0 -1 | ECHO MEGABYTE
GET @MEGABYTE | DEL @large @"" @BINARY | SET @"sp ace" "quo'te \"s" | GET @"sp ace" | KEYS @sp*
`,
  ),
  group(
    'databases and the empty key',
    `
SET "" "" | GET "" | MGET "" @x | KEYS "" | DEL "" | GET MEGABYTE | SET @k v | MOVE @k 3 | MOVE @k 99 | MOVE @k x
MOVE @none 3 | SELECT 3 | GET @k | MOVE @k 3 | DBSIZE | SELECT 0 | GET @k | SWAPDB 0 3 | SWAPDB 0 99 | SWAPDB x 0
GET @k | COPY @k @other DB 5 | COPY @k @other DB 99 | COPY @k @other DB x | FLUSHDB | GET @k | DBSIZE | SELECT 5
GET @other | FLUSHALL | GET @other | SELECT 0 | SELECT 99 | SELECT x | SELECT -1 | RPUSH @w 3 1 2
SET @weight_1 9 | SET @weight_2 1 | SORT @w BY @weight_* | SORT @w BY nosort GET # GET @weight_*
SORT_RO @w BY @weight_* GET @weight_*
`,
    { topology: 'standalone' },
  ),
  group(
    'databases of a cluster',
    'SET @k v | SELECT 0 | SELECT 1 | SELECT x | SELECT -1 | MOVE @k 1 | SWAPDB 0 1 | COPY @k @c DB 1 | COPY @k @c DB 0 | SORT @k BY @w_* | SORT @k GET @w_*',
    { topology: 'cluster' },
  ),
  group(
    'mistakes',
    String.raw`
GET | GET a b | SET a | SET | MSET a | MGET | DEL | HSET h a | HGETALL | EVAL | NONSENSE
nonsense a b | NONSENSE a b c d e f g h i j k l m n | NONSENSE BINARY "" it's | "NON SENSE" a
"NONSENSE\r\n+OK" "a\r\nb" | "" a | "" | LONG LONG z | OBJECT | OBJECT NONSENSE k | CONFIG NONSENSE
XGROUP NONSENSE | CLIENT NONSENSE | COMMAND NONSENSE | COMMAND LONG x | SET @k v
SET @k v NONSENSE | SET @k v EX 0 | SET @k v EX x | INCRBY @k 99999999999999999999
`,
  ),
];
