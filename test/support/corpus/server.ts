// Scripts, functions, and commands about the server or the connection. See group.ts for how they are
// written.

import { group } from './group.ts';

/** A library with a function that reads a key and one that gives its arguments back. */
const LIBRARY = JSON.stringify(
  [
    '#!lua name=lib',
    "redis.register_function('f', function(k, a) return redis.call('GET', k[1]) end)",
    "redis.register_function{function_name='ro', callback=function(k, a) return a end, flags={'no-writes'}}",
  ].join('\n'),
);

export const SERVER = [
  group(
    'scripts',
    String.raw`
EVAL "return {KEYS[1], ARGV[1], 1, 2.9, false, true, {1, {2}}}" 1 @k v | EVAL "return redis.call('GET', KEYS[1])" 1 @k
EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 @k v | EVAL "return redis.error_reply('MINE oh no')" 0
EVAL "return redis.status_reply('FINE')" 0 | EVAL "return redis.call('NONSENSE')" 0
EVAL "return redis.call('GET', KEYS[1])" 1 @k | EVAL "return redis.pcall('INCR', KEYS[1])" 1 @k
EVAL "return redis.call('INCR', KEYS[1])" 1 @k | EVAL "redis.setresp(3); return redis.call('HGETALL', KEYS[1])" 1 @none
EVAL "redis.setresp(3); return {double=1.5}" 0 | EVAL "this is no lua" 0 | EVAL "return redis.call('BLPOP', KEYS[1], 0)" 1 @l
EVAL "return redis.call('SUBSCRIBE', 'x')" 0 | EVAL "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 'x')" 1 @k
EVAL_RO "return redis.call('SET', KEYS[1], 'x')" 1 @k | EVAL_RO "return redis.call('GET', KEYS[1])" 1 @k
EVAL_RO "return 1" x | EVALSHA 098e0f0d1448c0a81dafe820f66d460eb09263da 1 @k x | SCRIPT LOAD "return ARGV[1]"
EVALSHA 098e0f0d1448c0a81dafe820f66d460eb09263da 0 x | EVALSHA 098e0f0d1448c0a81dafe820f66d460eb09263da 1 @k x
EVALSHA 098E0F0D1448C0A81DAFE820F66D460EB09263DA 1 @k x | EVALSHA nonsense 0 | EVALSHA nonsense 1 @k
EVALSHA_RO 098e0f0d1448c0a81dafe820f66d460eb09263da 1 @k x | EVALSHA_RO nonsense 0 | EVAL x | EVAL x 2 k | EVAL x -1
EVAL x y | SCRIPT EXISTS 098e0f0d1448c0a81dafe820f66d460eb09263da nonsense | SCRIPT LOAD "no lua" | SCRIPT FLUSH SYNC
SCRIPT EXISTS 098e0f0d1448c0a81dafe820f66d460eb09263da | SCRIPT FLUSH x | SCRIPT FLUSH | SCRIPT KILL | SCRIPT DEBUG NO
SCRIPT DEBUG x
`,
  ),
  group(
    'functions',
    `
FUNCTION LOAD ${LIBRARY} | FUNCTION LOAD ${LIBRARY} | FUNCTION LOAD REPLACE ${LIBRARY} | FUNCTION LOAD nonsense
FUNCTION LOAD "#!lua name=broken\\nnonsense" | FUNCTION LOAD x ${LIBRARY} | SET @k v | FCALL f 1 @k | FCALL ro 0 a b
FCALL none 0 | FCALL none 1 @k | FCALL f x | FCALL f 9 @k | FCALL f -1 | FCALL_RO f 0 | FCALL_RO f 1 @k
FCALL_RO ro 1 @k x | FCALL_RO none 0 | FUNCTION LIST | FUNCTION LIST LIBRARYNAME l* WITHCODE | FUNCTION LIST NONSENSE
FUNCTION LIST LIBRARYNAME | FUNCTION STATS | FUNCTION KILL | FUNCTION DELETE none | FUNCTION DUMP
FUNCTION RESTORE nonsense | FUNCTION RESTORE x y | FUNCTION DELETE lib | FUNCTION LIST | FUNCTION FLUSH x
FUNCTION FLUSH ASYNC | FUNCTION FLUSH | FUNCTION DUMP
`,
  ),
  group(
    'what is carried in a dump',
    `
FUNCTION LOAD ${LIBRARY} | FUNCTION DUMP | FUNCTION RESTORE LAST | FUNCTION RESTORE LAST REPLACE | FUNCTION FLUSH
FUNCTION RESTORE LAST APPEND | FUNCTION LIST | ZADD @z 1 a 2 b | DUMP @z | RESTORE @z 0 LAST | RESTORE @z2 0 LAST
ZRANGE @z2 0 -1 WITHSCORES | DUMP @z | RESTORE @z 4000000000000 LAST ABSTTL REPLACE | RESTORE @z3 0 LAST IDLETIME 5
RESTORE @z4 0 LAST FREQ 5 | RESTORE @z5 0 LAST IDLETIME -1 | PEXPIRETIME @z | OBJECT ENCODING @z3
MIGRATE 127.0.0.1 1 @none 0 10 | MIGRATE 127.0.0.1 1 @z 0 x | MIGRATE 127.0.0.1 1 "" 0 10 KEYS @none
`,
  ),
  group(
    'the table of commands',
    `
COMMAND COUNT | COMMAND | COMMAND INFO get nonsense config|get GET | COMMAND INFO | COMMAND DOCS get nonsense
COMMAND DOCS | COMMAND LIST | COMMAND LIST FILTERBY PATTERN xad* | COMMAND LIST FILTERBY ACLCAT hyperloglog
COMMAND LIST FILTERBY MODULE none | COMMAND LIST FILTERBY NONSENSE x | COMMAND LIST x | COMMAND GETKEYS NONSENSE
COMMAND GETKEYS MSET a 1 b 2 | COMMAND GETKEYS PING | COMMAND GETKEYS GET | COMMAND GETKEYS EVAL x 2 a b c
COMMAND GETKEYSANDFLAGS LMOVE a b LEFT LEFT | COMMAND GETKEYSANDFLAGS SET a b | COMMAND GETKEYSANDFLAGS NONSENSE
`,
  ),
  group(
    'the server',
    `
PING | PING x | PING x y | ECHO x | ECHO "" | TIME | LASTSAVE | ROLE | INFO | INFO server | INFO everything | INFO nonsense
INFO keyspace commandstats | LOLWUT | LOLWUT VERSION 999 | LOLWUT VERSION | LOLWUT x | DBSIZE | PUBLISH channel x
SPUBLISH @channel x | PUBSUB CHANNELS | PUBSUB CHANNELS a* | PUBSUB NUMSUB | PUBSUB NUMSUB a b | PUBSUB NUMPAT
PUBSUB SHARDCHANNELS | PUBSUB SHARDNUMSUB | PUBSUB SHARDNUMSUB @a | WAIT 0 10 | WAIT 1 10 | WAIT x 10 | WAIT 0 -1
CONFIG GET maxmemory-policy | CONFIG GET max*-entries lfu* maxmemory-samples | CONFIG GET nonsense | CONFIG SET x y
CONFIG SET maxmemory-samples 7 | CONFIG GET maxmemory-samples | CONFIG SET maxmemory-samples x
CONFIG SET maxmemory-samples 5 lfu-decay-time 1 | CONFIG SET maxmemory-samples 5 maxmemory-samples 6
CONFIG RESETSTAT | CONFIG REWRITE | SAVE | BGSAVE x | BGSAVE SCHEDULE | MODULE LIST | MODULE LOAD /none
MODULE LOADEX /none | MODULE UNLOAD none | DEBUG SLEEP 0 | DEBUG OBJECT @none | DEBUG JMAP | DEBUG NONSENSE
READONLY | READWRITE | ASKING
`,
  ),
  group(
    'watching the server',
    `
SLOWLOG RESET | SLOWLOG LEN | SLOWLOG GET | SLOWLOG GET 5 | SLOWLOG GET -1 | SLOWLOG GET -5 | SLOWLOG GET x
LATENCY RESET | LATENCY RESET command | LATENCY LATEST | LATENCY HISTORY command | LATENCY GRAPH command | LATENCY DOCTOR
LATENCY HISTOGRAM get | LATENCY HISTOGRAM nonsense | LATENCY HISTOGRAM | MEMORY DOCTOR | MEMORY STATS | MEMORY PURGE
MEMORY MALLOC-STATS
`,
  ),
  group(
    'users',
    `
AUTH default x | AUTH x | AUTH a b | AUTH a b c | ACL WHOAMI | ACL USERS | ACL LIST | ACL CAT | ACL CAT scripting
ACL CAT nonsense | ACL GETUSER default | ACL GETUSER none | ACL GENPASS | ACL GENPASS 8 | ACL GENPASS x
ACL SETUSER worker on >pw ~w* %R~r* &c* +get -@all +@read (~x +set) | ACL GETUSER worker | ACL SETUSER worker nonsense
ACL DRYRUN worker GET wx | ACL DRYRUN worker SET wx 1 | ACL DRYRUN none GET x | ACL DRYRUN worker NONSENSE | ACL LIST
ACL USERS | ACL DELUSER worker none | ACL DELUSER default | ACL LOAD | ACL SAVE | ACL LOG RESET | ACL LOG | ACL LOG 5
ACL LOG x
`,
  ),
  group(
    'a cluster seen by its clients',
    `
CLUSTER KEYSLOT @k | CLUSTER KEYSLOT "" | CLUSTER KEYSLOT a{b}c | CLUSTER COUNTKEYSINSLOT 0 | CLUSTER COUNTKEYSINSLOT x
CLUSTER COUNTKEYSINSLOT 99999 | CLUSTER GETKEYSINSLOT 0 10 | CLUSTER GETKEYSINSLOT 0 x | CLUSTER GETKEYSINSLOT x 1
CLUSTER INFO | CLUSTER NODES | CLUSTER SLOTS | CLUSTER SHARDS | CLUSTER LINKS | CLUSTER MYID | CLUSTER REPLICAS x
CLUSTER SLAVES x | CLUSTER COUNT-FAILURE-REPORTS x | CLUSTER REPLICAS LAST | CLUSTER SLAVES LAST
CLUSTER COUNT-FAILURE-REPORTS LAST
`,
  ),
  group(
    'changes of the cluster, where there is none',
    `
CLUSTER ADDSLOTS 1 | CLUSTER ADDSLOTSRANGE 1 2 | CLUSTER BUMPEPOCH | CLUSTER DELSLOTS 1 | CLUSTER DELSLOTSRANGE 1 2
CLUSTER FAILOVER | CLUSTER FLUSHSLOTS | CLUSTER FORGET x | CLUSTER MEET 127.0.0.1 1 | CLUSTER REPLICATE x | CLUSTER RESET
CLUSTER SAVECONFIG | CLUSTER SET-CONFIG-EPOCH 1 | CLUSTER SETSLOT 1 STABLE
`,
    { topology: 'standalone' },
  ),
];
