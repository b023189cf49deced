// The commands whose raw reply may be given again until their one key changes: an allow-list, because the
// server's table cannot tell a deterministic read from one that looks at the clock, chance or the connection.

/**
 * Rows by data type. Each command here reads nothing but one key's value and its own arguments. Whether it is
 * a read at all is asked of the server's table as well.
 *
 * Out, though flagged as reads of one key:
 * - TTL PTTL EXPIRETIME PEXPIRETIME: the answer moves with the clock, or is what a deadline is made from.
 * - OBJECT, MEMORY USAGE, DUMP: encoding, idle time, counters and memory change without any write.
 * - SRANDMEMBER HRANDFIELD ZRANDMEMBER: chance. SSCAN HSCAN ZSCAN: a cursor is part of a walk.
 * - XREAD, XPENDING, XINFO: they wait, or read idle times and consumers. SORT_RO: BY and GET read other keys.
 * - TOUCH: its whole point is the effect. PFCOUNT: it rewrites its own cached count inside the value.
 * - LCS SINTER SUNION SDIFF ZUNION ... MGET: several keys. EVAL_RO FCALL_RO: they do what a script wants.
 * - Modules other than JSON: whether each change of a value announces itself is not known of them.
 *
 * Hash reads are in although a field may have a TTL of its own (HEXPIRE, Redis 7.4), which the key's PTTL does
 * not show: such an entry lives no longer than the tier's own time limit.
 */
const CACHEABLE = new Set(
  [
    'get strlen getrange substr getbit bitcount bitpos bitfield_ro',
    'hget hgetall hmget hkeys hvals hlen hexists hstrlen',
    'llen lrange lindex lpos',
    'scard smembers sismember smismember',
    'zcard zcount zlexcount zrange zrangebylex zrangebyscore zrevrange zrevrangebylex zrevrangebyscore',
    'zrank zrevrank zscore zmscore',
    'geodist geohash geopos geosearch georadius_ro georadiusbymember_ro',
    'xlen xrange xrevrange',
    'exists type',
    'json.get json.type json.strlen json.arrlen json.arrindex json.objkeys json.objlen json.resp',
  ]
    .join(' ')
    .split(' '),
);

/** Whether this command, by its lower-case name, is on the list. */
export function isDeterministicRead(name: string): boolean {
  return CACHEABLE.has(name);
}

const RANDOM = new Set(['srandmember', 'hrandfield', 'zrandmember']);

/** Whether it shows some of the key's elements that chance chooses: never kept or shared, but any copy can tell. */
export function isRandomRead(name: string): boolean {
  return RANDOM.has(name);
}
