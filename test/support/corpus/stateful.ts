// What a connection is told and has to remember: transactions, subscriptions, blocking, tracking, reply modes.
// See group.ts for how these are written.

import { group } from './group.ts';

export const STATEFUL = [
  group(
    'transactions',
    `
MULTI | SET @k v | GET @k | INCR @n | EXEC | GET @k | MULTI | EXEC | MULTI | SET @k w | DISCARD | GET @k | EXEC | DISCARD
MULTI | MULTI | GET @k | EXEC | MULTI | WATCH @k | GET @k | EXEC | MULTI | GET | SET @k x | EXEC | GET @k
MULTI | NONSENSE | EXEC | MULTI | EXEC x | EXEC | MULTI | LPUSH @k x | INCR @n | EXEC | GET @n
MULTI | MGET @k @n | DEL @k @n | EXISTS @k | MSET @k 1 @n 2 | EXEC | MULTI | BLPOP @l 0 | BRPOPLPUSH @l @m 0 | EXEC
MULTI | XREAD BLOCK 0 STREAMS @x $ | WAIT 0 0 | EXEC | MULTI | EVAL "return redis.call('GET', KEYS[1])" 1 @k | EXEC
MULTI | PING | PING x | ECHO x | PUBLISH channel x | SCRIPT LOAD "return 1" | EXEC
MULTI | CLIENT SETNAME me | CLIENT GETNAME | EXEC | CLIENT GETNAME | MULTI | SET @k 5 PX 1000000 | EXPIREAT @k 4000000000
PEXPIRETIME @k | EXEC | MULTI x | DISCARD x | DISCARD
MULTI | DISCARD | MULTI | SET @k v | GET @k | EXEC | MULTI | UNWATCH | EXEC | MULTI | COMMAND COUNT | EXEC
MULTI | CONFIG GET maxmemory-samples | OBJECT ENCODING @k | EXEC | MULTI | QUIT => end
`,
  ),
  group(
    'watched keys',
    `
SET @k v | WATCH @k | MULTI | GET @k | EXEC | WATCH @k | b> SET @k w | MULTI | GET @k | EXEC | GET @k | MULTI | GET @k
EXEC | WATCH @k @none | b> SET @none x | UNWATCH | MULTI | GET @k | EXEC | WATCH @k | SET @k own | MULTI | SET @k x | EXEC
GET @k | WATCH @k | b> FLUSHALL | MULTI | PING | EXEC | WATCH @k | MULTI | SET @k y | DISCARD | b> SET @k z | MULTI
GET @k | EXEC | WATCH | UNWATCH x | UNWATCH | WATCH @k | b> SET @k a | GET @k | MULTI | EXEC | WATCH @k | WATCH @l
b> RPUSH @l 1 | MULTI | EXEC | WATCH @k | b> GET @k | MULTI | EXEC | WATCH @k | RESET | b> SET @k q | MULTI | GET @k | EXEC
`,
  ),
  group(
    'transactions of several slots',
    `
MULTI | SET @k v | SET ^k v | EXEC | GET @k | GET ^k | MULTI | SET @k v | MGET @k ^k | EXEC | MULTI | RENAME @k ^k | EXEC
WATCH @k ^k | MULTI | PING | EXEC
`,
  ),
  group(
    'what is about all keys, in transactions',
    `
SET @k v | MULTI | DBSIZE | FLUSHALL | EXEC | GET @k
`,
    { topology: 'standalone' },
  ),
  group(
    'databases in transactions',
    `
MULTI | SELECT 2 | SET @k two | EXEC | GET @k | SELECT 0 | GET @k | WATCH @k | SELECT 2 | b> SET @k zero | MULTI | GET @k
EXEC | MULTI | SELECT 99 | EXEC | MULTI | SWAPDB 0 2 | GET @k | EXEC | MULTI | RESET | GET @k
`,
    { topology: 'standalone' },
  ),
  group(
    'subscriptions',
    `
SUBSCRIBE a b => 2 | b> PUBLISH a hi | < 1 | b> PUBLISH none hi | b> PUBSUB CHANNELS | b> PUBSUB NUMSUB a b c
PSUBSCRIBE a* x? => 2 | b> PUBSUB NUMPAT | b> PUBLISH a hi | < 2 | b> PUBLISH x1 hi | < 1 | SUBSCRIBE a => 1
UNSUBSCRIBE a | UNSUBSCRIBE none | b> PUBLISH a hi | < 1 | PUNSUBSCRIBE a* | PUNSUBSCRIBE none | UNSUBSCRIBE => 1
UNSUBSCRIBE => 1 | PUNSUBSCRIBE => 1 | PUNSUBSCRIBE => 1 | GET @k | SUBSCRIBE | b> PUBSUB CHANNELS | b> PUBSUB NUMPAT
SUBSCRIBE BINARY "" => 2 | b> PUBLISH BINARY BINARY | < 1 | b> PUBLISH "" "" | < 1 | b> PUBLISH "" MEGABYTE | < 1
`,
  ),
  group(
    'subscriptions of a shard',
    `
SSUBSCRIBE @a @b => 2 | b> SPUBLISH @a hi | < 1 | b> SPUBLISH @none hi | b> PUBSUB SHARDCHANNELS
b> PUBSUB SHARDNUMSUB @a @none | SUNSUBSCRIBE @a | SUNSUBSCRIBE @none | b> SPUBLISH @a hi | SUNSUBSCRIBE => 1
SUNSUBSCRIBE => 1 | SSUBSCRIBE | SSUBSCRIBE @a ^a | PING
`,
  ),
  group(
    'subscribed in RESP2',
    `
SUBSCRIBE a => 1 | PING | PING x | GET @k | SET @k v | NONSENSE | GET | MULTI | EXEC | HELLO | CLIENT ID | SELECT 0
PUBLISH a x | SUBSCRIBE b => 1 | PSUBSCRIBE p => 1 | SSUBSCRIBE @s => 1 | UNSUBSCRIBE b | UNSUBSCRIBE => 1 | GET @k | PUNSUBSCRIBE => 1
GET @k | SUNSUBSCRIBE => 1 | GET @k | PING | SUBSCRIBE a => 1 | RESET | PING | GET @k | b> PUBLISH a hi | SUBSCRIBE a => 1
QUIT => end
`,
    { protocol: 2 },
  ),
  group(
    'subscribed in RESP3',
    `
SUBSCRIBE a => 1 | PING | PING x | SET @k v | GET @k | GET | NONSENSE | MULTI | GET @k | EXEC | b> PUBLISH a hi | < 1
GET @k | CLIENT GETNAME | UNSUBSCRIBE => 1 | PING | SUBSCRIBE a => 1 | RESET | PING | b> PUBLISH a hi | HELLO 3
SUBSCRIBE a => 1 | HELLO 2 | GET @k | PING | HELLO 3 | UNSUBSCRIBE => 1 | QUIT => end
`,
    { protocol: 3 },
  ),
  group(
    'blocking commands that need not wait, or not for long',
    `
BLPOP @l 0.01 | BRPOP @l @m 0.01 | RPUSH @l a b c d e f | BLPOP @l 0 | BLPOP @none @l 0 | BRPOP @l 0 | BLPOP @l -1
BLPOP @l x | BRPOP @l 99999999999999999999 | BLPOP @l 0.01 @l 0.01 | BLMOVE @l @m LEFT RIGHT 0
BLMOVE @none @m LEFT RIGHT 0.01 | BLMOVE @l @m UP RIGHT 0 | BLMOVE @l @m LEFT RIGHT x | BRPOPLPUSH @l @m 0
BRPOPLPUSH @none @m 0.01 | BRPOPLPUSH @l @m -1 | BLMPOP 0 1 @m LEFT COUNT 5 | BLMPOP 0.01 1 @m LEFT | BLMPOP 0 1 @m UP
BLMPOP 0 0 @m LEFT | BLMPOP x 1 @m LEFT | ZADD @z 1 a 2 b 3 c | BZPOPMIN @z 0 | BZPOPMAX @none @z 0
BZPOPMIN @none 0.01 | BZPOPMAX @none 0.01 | BZPOPMIN @z x | BZMPOP 0 1 @z MIN | BZMPOP 0.01 1 @none MAX COUNT 2
BZMPOP 0 1 @z UP | BZMPOP 0 1 @z MIN COUNT 0 | SET @k v | BLPOP @k 0 | BZPOPMIN @k 0 | BLMOVE @k @m LEFT LEFT 0
BZMPOP 0 1 @k MIN | XREAD BLOCK 10 STREAMS @x $ | XADD @x 1-1 a 1 | XREAD BLOCK 0 STREAMS @x 0 | XREAD BLOCK x STREAMS @x 0
XREAD BLOCK -1 STREAMS @x $ | XREAD COUNT 1 BLOCK 10 STREAMS @x 5 | XGROUP CREATE @x g 0
XREADGROUP GROUP g c BLOCK 0 STREAMS @x > | XREADGROUP GROUP g c BLOCK 10 STREAMS @x >
XREADGROUP GROUP g c COUNT 1 BLOCK 10 NOACK STREAMS @x > | XREADGROUP GROUP none c BLOCK 0 STREAMS @x > | WAIT 0 0
WAIT 5 10 | GET @k
`,
  ),
  group(
    'blocking commands that are served in the end',
    `
b> BLPOP @none @l 0 => 0 | ? blocked 1 | RPUSH @l x y | b< 1 | LRANGE @l 0 -1 | b> BLMOVE @none @m LEFT LEFT 5 => 0
? blocked 1 | LPUSH @none q | b< 1 | LRANGE @m 0 -1 | b> BZPOPMAX @z 0 => 0 | ? blocked 1 | ZADD @z 1 a | b< 1
b> XREAD BLOCK 0 STREAMS @x $ => 0 | ? blocked 1 | XADD @x 1-1 a 1 | b< 1 | b> BLPOP @l2 0 => 0 | ? blocked 1 | SET @l2 v
DEL @l2 | RPUSH @l2 z | b< 1 | b> GET @l2 | b> BLPOP @a 0 => 0 | ? blocked 1 | c> BLPOP @a 0 => 0 | ? blocked 2
RPUSH @a 1 2 | b< 1 | c< 1 | b> BLPOP @t 0 => 0 | b> SET @k v => 0 | b> GET @k => 0 | ? blocked 1 | GET @k | RPUSH @t 1
b< 3 | b> BLMPOP 0 1 @p RIGHT => 0 | ? blocked 1 | MULTI | RPUSH @p 1 2 | RPUSH @p 3 | EXEC | b< 1 | LLEN @p
b> CLIENT ID | b> BLPOP @t 0 => 0 | ? blocked 1 | CLIENT UNBLOCK LAST | b< 1 | b> CLIENT ID | b> BZMPOP 0 1 @z MIN => 0
? blocked 1 | CLIENT UNBLOCK LAST ERROR | b< 1 | CLIENT UNBLOCK LAST | b> PING
`,
  ),
  group(
    'reply modes',
    `
CLIENT REPLY ON | CLIENT REPLY OFF => 0 | SET @k v => 0 | NONSENSE => 0 | GET @k => 0 | CLIENT REPLY ON | GET @k
CLIENT REPLY SKIP => 0 | SET @k w => 0 | GET @k | CLIENT REPLY SKIP => 0 | CLIENT REPLY SKIP => 0 | PING => 0 | PING
CLIENT REPLY SKIP => 0 | NONSENSE => 0 | GET @k | CLIENT REPLY x | CLIENT REPLY | CLIENT REPLY OFF => 0 | MULTI => 0
GET @k => 0 | EXEC => 0 | CLIENT REPLY ON | CLIENT REPLY OFF => 0 | CLIENT REPLY SKIP => 0 | PING => 0 | CLIENT REPLY ON
PING | CLIENT REPLY OFF => 0 | RESET | PING
`,
  ),
  group(
    'the client itself',
    `
CLIENT GETNAME | CLIENT SETNAME me | CLIENT GETNAME | CLIENT SETNAME "with space" | CLIENT SETNAME "" | CLIENT GETNAME
CLIENT INFO | CLIENT LIST | CLIENT LIST TYPE normal | CLIENT LIST TYPE pubsub | CLIENT LIST TYPE x
CLIENT ID | CLIENT LIST ID LAST | CLIENT LIST ID x | CLIENT LIST NONSENSE | CLIENT KILL ID 999999999 | CLIENT KILL ID x
CLIENT KILL 1.2.3.4:5 | CLIENT KILL NONSENSE x | CLIENT KILL TYPE x | CLIENT KILL TYPE pubsub | CLIENT KILL USER none
CLIENT KILL ADDR 1.2.3.4:5 LADDR 1.2.3.4:6 SKIPME yes | CLIENT KILL SKIPME x | CLIENT UNBLOCK 999999999
CLIENT UNBLOCK x | CLIENT UNBLOCK 1 NONSENSE | CLIENT NO-EVICT on | CLIENT NO-EVICT off | CLIENT NO-EVICT x
CLIENT PAUSE 0 | CLIENT PAUSE x | CLIENT PAUSE 0 x | CLIENT PAUSE 1 WRITE | CLIENT UNPAUSE | CLIENT GETREDIR
CLIENT TRACKINGINFO | CLIENT TRACKING x | CLIENT TRACKING off | CLIENT CACHING yes | CLIENT CACHING x | CLIENT NO-TOUCH on
CLIENT SETINFO lib-name x | b> CLIENT ID | CLIENT KILL ID LAST | b< end | c> CLIENT ID | c> CLIENT KILL ID LAST SKIPME no
c< end | CLIENT PAUSE 5 ALL | PING | MONITOR | RESET
`,
  ),
  group(
    'greetings',
    `
HELLO | HELLO 3 | GET @none | HELLO 2 | GET @none | HELLO 4 | HELLO x | HELLO 2 x | HELLO 3 SETNAME me | CLIENT GETNAME
HELLO 2 SETNAME "a b" | HELLO 3 AUTH default x | HELLO 3 AUTH none x | HELLO 3 AUTH | HELLO 2 AUTH default x SETNAME you
CLIENT GETNAME | HELLO 3 SETNAME | HELLO 99999999999999999999 | RESET | CLIENT GETNAME | HSET @h a 1 | HGETALL @h
HELLO 3 | HGETALL @h | RESET | HGETALL @h | RESET x | MULTI | HELLO 3 | DISCARD | HGETALL @h | MULTI | RESET | EXEC
ECHO x | QUIT => end
`,
  ),
  group(
    'tracking in RESP3',
    `
CLIENT TRACKING on | CLIENT TRACKINGINFO | CLIENT GETREDIR | SET @k v | GET @k | b> SET @k w | < 1 | b> SET @k x | GET @k
b> DEL @k | < 1 | MGET @k @l | b> MSET @k 1 @l 2 | < 2 | CLIENT TRACKING off | GET @k | b> SET @k y | PING
CLIENT TRACKING on OPTIN | GET @k | b> SET @k 1 | CLIENT CACHING yes | GET @k | b> SET @k 2 | < 1 | CLIENT CACHING no
CLIENT TRACKINGINFO | CLIENT TRACKING on OPTOUT | CLIENT TRACKING off | CLIENT TRACKING on OPTOUT | CLIENT CACHING no
GET @k | b> SET @k 3 | GET @k | b> SET @k 4 | < 1 | CLIENT CACHING yes | CLIENT TRACKING off | CLIENT TRACKING on NOLOOP
GET @k | SET @k 5 | PING | CLIENT TRACKING off | CLIENT TRACKING on BCAST PREFIX @x PREFIX @y | CLIENT TRACKINGINFO
b> SET @x1 v | < 1 | b> SET @z v | PING | CLIENT TRACKING on BCAST PREFIX @xx | CLIENT TRACKING on | CLIENT TRACKING off
CLIENT TRACKING on OPTIN OPTOUT | CLIENT TRACKING on BCAST OPTIN | CLIENT TRACKING on PREFIX @x | CLIENT TRACKING on x
CLIENT TRACKING on REDIRECT 999999999 | CLIENT TRACKING on REDIRECT x | CLIENT TRACKING on | GET @k | MULTI | GET @l | EXEC
b> MSET @k 1 @l 2 | < 2 | RESET | CLIENT TRACKINGINFO | GET @k | b> SET @k 6 | PING
`,
    { protocol: 3 },
  ),
  group(
    'tracking in RESP2',
    `
CLIENT TRACKING on | CLIENT TRACKINGINFO | CLIENT TRACKING off | b> CLIENT ID | b> SUBSCRIBE __redis__:invalidate => 1
CLIENT TRACKING on REDIRECT LAST | CLIENT TRACKING on REDIRECT LAST BCAST | GET @k | SET @k v | b< 1 | c> SET @k w | GET @k
c> SET @k x | b< 1 | CLIENT TRACKING off | CLIENT TRACKINGINFO | CLIENT GETREDIR | CLIENT CACHING yes
`,
    { protocol: 2, topology: 'standalone' },
  ),
];
