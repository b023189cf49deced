// All the ways in which a key is written and read here. A value is a number, and whatever holds it has only that:
// the string itself, the field `v` of a hash, the one element of a list.

export type Kind = 'string' | 'hash' | 'list' | 'counter';

/** What a reply means. */
export type Effect =
  /** The value was written; the reply says no more. */
  | 'set'
  /** The same, and the reply is the value before. */
  | 'swap'
  /** The same, unless the reply is 0: then nothing is known. */
  | 'copy'
  /** Written if the reply is 1: the key was missing. Nothing happened, else. */
  | 'if-missing'
  /** The value was written, and expires after `LIFE`. */
  | 'passing'
  /** The key was removed; 0 says that it was missing. */
  | 'remove'
  /** The same, and the reply is the value before, or that it was missing. */
  | 'take'
  /** The reply is the counter's new value. */
  | 'add'
  /** The reply is the value. */
  | 'read'
  /** 0 says that the key is missing. */
  | 'measure';

export interface Form {
  /** The commands, with their arguments as far as they are short. */
  readonly name: string;
  readonly effect: Effect;
  /** `spare` is a key of the same slot that nobody else uses. */
  readonly requests: (key: string, value: string, spare: string) => readonly (readonly string[])[];
  /** Which reply tells the outcome; the last one unless told otherwise. */
  readonly wanted?: number;
}

/** How long a passing value lives, in milliseconds. */
export const LIFE = 15;

/** To be loaded before the forms are used. */
export const LIBRARY =
  "#!lua name=consistency\nredis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)";

const PUT = "return redis.call('SET', KEYS[1], ARGV[1])";
const TELL = "return redis.call('GET', KEYS[1])";
const COUNT = "return redis.call('INCR', KEYS[1])";
// Not by DEL first: while a slot moves, a script that has removed a key may not make it again.
const HASH_PUT = "return redis.call('HSET', KEYS[1], 'v', ARGV[1])";
const LIST_PUT = "redis.call('RPUSH', KEYS[1], ARGV[1]) return redis.call('LTRIM', KEYS[1], -1, -1)";

export const form = (effect: Effect, requests: Form['requests'], wanted?: number): Form => ({
  name: requests('key', 'value', 'spare')
    .map((args) => args.filter(({ length }) => length < 10).join(' '))
    .join(', '),
  effect,
  requests,
  ...(wanted === undefined ? {} : { wanted }),
});

/** Filled under a spare name, and moved or copied over the key. */
const ready = (...fill: readonly string[]): Form[] => [
  form('set', (key, value, spare) => [
    [fill[0], spare, ...fill.slice(1), value],
    ['RENAME', spare, key],
  ]),
  form(
    'copy',
    (key, value, spare) => [
      [fill[0], spare, ...fill.slice(1), value],
      ['COPY', spare, key, 'REPLACE'],
      ['DEL', spare],
    ],
    1,
  ),
];

const transaction = (...requests: readonly (readonly string[])[]) => [['MULTI'], ...requests, ['EXEC']];

const removals: readonly Form[] = [
  form('remove', (key) => [['DEL', key]]),
  form('remove', (key) => [['UNLINK', key]]),
];

/** Writes whose outcome does not depend on what was there. */
export const WRITES: Readonly<Record<Kind, readonly Form[]>> = {
  string: [
    form('set', (key, value) => [['SET', key, value]]),
    form('set', (key, value) => [['SET', key, value]]),
    form('set', (key, value) => [['SET', key, `${value}:${'x'.repeat(3000)}`]]),
    form('swap', (key, value) => [['GETSET', key, value]]),
    form('swap', (key, value) => [['SET', key, value, 'GET']]),
    form('set', (key, value) => transaction(['SET', key, value])),
    form('set', (key, value) => [['EVAL', PUT, '1', key, value]]),
    form('set', (key, value) => [['FCALL', 'put', '1', key, value]]),
    ...ready('SET'),
    ...removals,
    form('take', (key) => [['GETDEL', key]]),
  ],
  hash: [
    form('set', (key, value) => [['HSET', key, 'v', value]]),
    form('set', (key, value) => [['HMSET', key, 'v', value]]),
    form('set', (key, value) => transaction(['DEL', key], ['HSET', key, 'v', value])),
    form('set', (key, value) => [['EVAL', HASH_PUT, '1', key, value]]),
    ...ready('HSET', 'v'),
    ...removals,
    form('remove', (key) => [['HDEL', key, 'v']]),
  ],
  list: [
    form('set', (key, value) => transaction(['DEL', key], ['RPUSH', key, value])),
    form('set', (key, value) => [['EVAL', LIST_PUT, '1', key, value]]),
    // A spare key that is deleted behind it may be gone before it is sorted: while a slot moves, commands on several
    // keys wait, and what follows on one key does not.
    form('set', (key, value, spare) => [
      ['RPUSH', spare, value],
      ['PEXPIRE', spare, '5000'],
      ['SORT', spare, 'STORE', key],
    ]),
    ...ready('RPUSH'),
    ...removals,
    form('take', (key) => [['LPOP', key]]),
    form('take', (key) => [['BLPOP', key, '0.005']]),
  ],
  counter: [
    form('add', (key) => [['INCR', key]]),
    form('add', (key) => [['INCR', key]]),
    form('add', (key) => [['INCRBY', key, '1']]),
    form('add', (key) => transaction(['INCR', key])),
    form('add', (key) => [['EVAL', COUNT, '1', key]]),
  ],
};

/** Writes whose outcome time or the value before decides. */
export const CHANCY_WRITES: Readonly<Record<Kind, readonly Form[]>> = {
  string: [
    form('passing', (key, value) => [['SET', key, value, 'PX', `${LIFE}`]]),
    form('passing', (key, value) => [['PSETEX', key, `${LIFE}`, value]]),
    form('passing', (key, value) => transaction(['SET', key, value], ['PEXPIRE', key, `${LIFE}`])),
    form('if-missing', (key, value) => [['SETNX', key, value]]),
    form('if-missing', (key, value) => [['SETNX', key, value]]),
  ],
  hash: [form('if-missing', (key, value) => [['HSETNX', key, 'v', value]])],
  list: [],
  counter: [],
};

/** The first one of each kind is the one that is used most. */
export const READS: Readonly<Record<Kind, readonly Form[]>> = {
  string: [
    form('read', (key) => [['GET', key]]),
    form('read', (key) => [['get', key]]),
    form('read', (key) => [['GETRANGE', key, '0', '-1']]),
    form('read', (key) => [['SUBSTR', key, '0', '-1']]),
    form('read', (key) => [['MGET', key]]),
    form('read', (key) => [['GETEX', key]]),
    form('read', (key) => [['EVAL_RO', TELL, '1', key]]),
    form('read', (key) => transaction(['GET', key])),
    form('measure', (key) => [['EXISTS', key]]),
    form('measure', (key) => [['STRLEN', key]]),
  ],
  hash: [
    form('read', (key) => [['HGET', key, 'v']]),
    form('read', (key) => [['HMGET', key, 'v']]),
    form('read', (key) => [['HGETALL', key]]),
    form('read', (key) => [['HVALS', key]]),
    form('measure', (key) => [['HEXISTS', key, 'v']]),
    form('measure', (key) => [['EXISTS', key]]),
  ],
  list: [
    form('read', (key) => [['LINDEX', key, '0']]),
    form('read', (key) => [['LRANGE', key, '0', '-1']]),
    form('read', (key) => [['LINDEX', key, '-1']]),
    form('measure', (key) => [['LLEN', key]]),
    form('measure', (key) => [['EXISTS', key]]),
  ],
  counter: [
    form('read', (key) => [['GET', key]]),
    form('read', (key) => [['GETRANGE', key, '0', '-1']]),
    form('read', (key) => [['MGET', key]]),
    form('read', (key) => [['EVAL_RO', TELL, '1', key]]),
    form('read', (key) => transaction(['GET', key])),
    form('measure', (key) => [['EXISTS', key]]),
  ],
};
