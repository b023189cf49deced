// Commands against a real redis-server: what its table says of each, and where their keys are.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findKeys, KeyPositions } from '../src/commands/keys.ts';
import { CommandTable } from '../src/commands/table.ts';
import { WIDE_ARITY } from '../src/commands/wide.ts';
import type { Argument } from '../src/resp3/encode.ts';
import { frameOf, frameOfBytes } from './support/raw-redis.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';

let server: RedisProcess;
let reply: unknown[][];
let table: CommandTable;

beforeAll(async () => {
  server = await startRedis();
  reply = (await server.call('COMMAND')) as unknown[][];
  table = CommandTable.from(reply);
});

afterAll(() => server.stop());

function keysOf(args: Argument[], commands = table): string[] | number {
  const frame = frameOf(...args);
  const command = commands.find(frame);
  if (command === null) throw new Error(`unknown: ${args[0]}`);
  const keys = new KeyPositions();
  const count = findKeys(command, frame, keys);
  return count < 0 ? count : Array.from(keys.at.subarray(0, count), (i) => String(args[i]));
}

/** The table of a server of version 6.2, which says less: seven fields, no subcommands, no flag for blocking. */
function oldTable(): CommandTable {
  return CommandTable.from(
    reply.map(([name, arity, flags, ...rest]) => {
      const container = /^(xinfo|xgroup|object)$/.test(String(name));
      const keys = container ? [2, 2, 1] : rest.slice(0, 3);
      return [name, arity, (flags as string[]).filter((flag) => flag !== 'blocking'), ...keys, rest[3]];
    }),
  );
}

describe('the table', () => {
  test('finds every command and subcommand that the server lists, in any case', () => {
    let found = 0;
    for (const row of reply) {
      const name = String(row[0]);
      expect(table.find(frameOf(name.toUpperCase(), 'x'))?.name).toBe(name);
      expect(table.find(frameOf(name))?.arity).toBe(row[1]);
      found++;
      for (const sub of row[9] as unknown[][]) {
        const [container, word] = String(sub[0]).split('|');
        const command = table.find(frameOf(container, word.toUpperCase(), 'x'));
        expect([command?.name, command?.arity]).toEqual([sub[0], sub[1]]);
        found++;
      }
    }
    expect(found).toBeGreaterThan(350);
  });

  test('finds nothing for other names, and the container for an unknown subcommand', () => {
    const none = [
      '',
      'g',
      'ge',
      'gett',
      'g\x05t',
      'bitfield\x7fro',
      'BITFIELD?RO',
      'zrevrangebyscor_',
      'zrevr_ngebyscore',
    ];
    for (const name of [...none, 'x'.repeat(40), 'x'.repeat(41)]) {
      expect(table.find(frameOf(name, 'k'))).toBeNull();
    }
    expect(table.find(frameOfBytes(Buffer.from('*0\r\n')))).toBeNull();
    expect(table.find(frameOf('config', 'nonsense'))?.name).toBe('config');
    expect(table.find(frameOf('config'))?.name).toBe('config');
  });

  test('finds the command of an inline request', () => {
    expect(table.find(frameOfBytes(Buffer.from('Get k\r\n')))?.name).toBe('get');
  });

  test('tells reads from writes, scripts being writes unless they are read-only', () => {
    const kinds = (name: string) => {
      const command = table.named(name);
      return `${command?.isRead ? 'r' : ''}${command?.isWrite ? 'w' : ''}`;
    };
    for (const name of ['get', 'mget', 'eval_ro', 'fcall_ro', 'xread', 'dbsize', 'object|encoding']) {
      expect(`${name} ${kinds(name)}`).toBe(`${name} r`);
    }
    const writes = 'set getex eval evalsha fcall xreadgroup sort georadius flushall swapdb xgroup|create';
    for (const name of writes.split(' ')) expect(`${name} ${kinds(name)}`).toBe(`${name} w`);
    for (const name of ['ping', 'echo', 'config|set', 'spublish', 'script|load']) {
      expect(`${name} ${kinds(name)}`).toBe(`${name} `);
    }
  });

  test('lets only deterministic reads of one key be cached', () => {
    for (const name of ['get', 'hgetall', 'zrevrange', 'lrange', 'smembers', 'exists', 'type', 'xrange']) {
      expect(`${name} ${table.named(name)?.cacheable}`).toBe(`${name} true`);
    }
    const others =
      'ttl pttl srandmember hscan xread mget getex object|encoding dump pfcount set touch sort_ro';
    for (const name of others.split(' ')) {
      expect(`${name} ${table.named(name)?.cacheable}`).toBe(`${name} false`);
    }
    const keyed = [...table.all()].filter((command) => command.cacheable && command.fixedKey === 0);
    expect(keyed.map((command) => command.name)).toEqual(['exists']);
  });

  test('knows the place of a key that is always the only one', () => {
    const places = [
      'get',
      'set',
      'object|encoding',
      'memory|usage',
      'mget',
      'exists',
      'copy',
      'eval',
      'ping',
    ];
    expect(places.map((name) => table.named(name)?.fixedKey)).toEqual([1, 1, 2, 2, 0, 0, 0, 0, 0]);
  });

  test('takes the policies from the server, and corrects the two that would break promises', () => {
    const of = (name: string, commands = table) => {
      const command = commands.named(name);
      return `${command?.requestPolicy} ${command?.responsePolicy}`;
    };
    expect(of('mget')).toBe('multi_shard none');
    expect(of('dbsize')).toBe('all_shards agg_sum');
    expect(of('function|stats')).toBe('all_shards special');
    expect(of('get')).toBe('none none');
    expect(of('msetnx')).toBe('none none');
    expect(of('latency|reset')).toBe('all_nodes agg_sum');
    const names =
      'mget mset del unlink exists touch dbsize keys flushall flushdb ping script|load script|flush';
    for (const name of `${names} script|exists script|kill config|set info slowlog|get scan`.split(' ')) {
      const same = name === 'scan' ? 'special special' : of(name);
      expect(`${name}: ${of(name, oldTable())}`).toBe(`${name}: ${same}`);
    }
  });

  test('knows of an older server how many arguments the subcommands take that heatsink completes', () => {
    const old = oldTable();
    for (const [name, arity] of WIDE_ARITY) {
      expect([name, old.named(name)?.arity, old.named(name)?.route]).toEqual([name, arity, 'wide']);
      expect([name, table.named(name)?.arity ?? arity]).toEqual([name, arity]);
    }
  });

  test('refuses what is no COMMAND reply', () => {
    for (const garbage of [
      null,
      undefined,
      'OK',
      7,
      [],
      [[]],
      [['get']],
      [['get', 2]],
      ['get'],
      [[1, 2, []]],
    ]) {
      expect(() => CommandTable.from(garbage)).toThrow(TypeError);
    }
  });

  test('takes module commands: legacy keys, own key finders, names with dots', () => {
    const rows = [
      ['json.get', -2, ['readonly', 'module'], 1, 1, 1, [], [], [], []],
      ['JSON.MSET', -4, ['write', 'module'], 1, -1, 3],
      ['mod.odd', -2, ['write', 'module', 'movablekeys'], 1, 1, 1],
      ['mod.block', -2, ['write', 'module', 'blocking'], 1, 1, 1],
    ];
    const modules = CommandTable.from(rows);
    expect(modules.find(frameOf('json.GET', 'k'))?.cacheable).toBe(true);
    expect(keysOf(['json.mset', 'a', '$', '1', 'b', '$', '2'], modules)).toEqual(['a', 'b']);
    expect(keysOf(['mod.odd', 'a'], modules)).toBe(-1);
    expect(modules.named('mod.block')?.state).toBe('blocking');
    expect(oldTable().named('blpop')?.state).toBe('blocking');
  });
});

const KEYED: readonly string[] = [
  'GET k',
  'SET k v EX 10',
  'MGET a b c',
  'MSET a 1 b 2',
  'MSETNX a 1 b 2',
  'DEL a b',
  'RENAME a b',
  'COPY a b REPLACE',
  'SMOVE a b m',
  'LMOVE a b LEFT RIGHT',
  'BLPOP a b 0',
  'BLMPOP 1 2 a b LEFT',
  'LMPOP 2 a b LEFT COUNT 3',
  'ZMPOP 1 a MIN',
  'BITOP AND d a b c',
  'PFMERGE d a b',
  'PFCOUNT a b',
  'LCS a b',
  'SINTERCARD 2 a b LIMIT 1',
  'SUNIONSTORE d a b',
  'ZDIFF 2 a b WITHSCORES',
  'ZUNION 1 a',
  'ZUNIONSTORE d 2 a b WEIGHTS 1 2',
  'ZINTERSTORE d 1 a',
  'ZRANGESTORE d s 0 1',
  'GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 km',
  'GEORADIUS k 1 2 3 km STORE d',
  'GEORADIUS k 1 2 3 km COUNT 1 STOREDIST d',
  'GEORADIUS k 1 2 3 km ASC',
  'GEORADIUSBYMEMBER k m 3 km store d',
  'EVAL return 0',
  'EVAL return 2 a b x y',
  'EVALSHA abc 1 a x',
  'FCALL f 2 a b c',
  'EVAL_RO return 1 a',
  'XREAD STREAMS a b 0 0',
  'XREAD COUNT 2 BLOCK 0 streams a 0',
  'XREADGROUP GROUP g c COUNT 1 STREAMS a b > >',
  'XGROUP CREATE k g $',
  'XINFO STREAM k',
  'XADD k * f v',
  'SORT k',
  'SORT k BY w_* LIMIT 0 5 GET # GET store STORE d',
  'SORT k STORE d STORE e',
  'SORT k GET STORE',
  'SORT k LIMIT 0 STORE x',
  'SORT_RO k BY w GET x',
  'OBJECT ENCODING k',
  'MEMORY USAGE k SAMPLES 0',
  'DUMP k',
  'RESTORE k 0 x',
  'WATCH a b',
  'PFDEBUG ENCODING k',
];

describe('keys', () => {
  test.each(KEYED)('are those of COMMAND GETKEYS: %s', async (line) => {
    const args = line.split(' ');
    const answer = await server.call('COMMAND', 'GETKEYS', ...args).catch((error: Error) => {
      expect(error.message).toMatch(/no key arguments/);
      return [];
    });
    expect(keysOf(args)).toEqual(answer);
  });

  test('of a server older than 7.0 are found as well', () => {
    const old = oldTable();
    // What such a server has not, or describes by another row than today's.
    const newer = /^(BLMPOP|LMPOP|ZMPOP|SINTERCARD|FCALL|EVAL_RO|SORT_RO|LCS|PFDEBUG)/;
    for (const line of KEYED.filter((each) => !newer.test(each))) {
      expect(`${line}: ${keysOf(line.split(' '), old)}`).toBe(`${line}: ${keysOf(line.split(' '))}`);
    }
    expect(keysOf(['MIGRATE', 'h', '1', 'k', '0', '9'], old)).toEqual(['k']);
  });

  test('of commands with passwords are never asked for, as a server logs the question', () => {
    const many = ['MIGRATE', 'h', '1', '', '0', '9', 'AUTH', 'secret', 'KEYS', 'a', 'b'];
    expect(keysOf(many)).toEqual(['', 'a', 'b']);
    const asked = [...table.all()].filter(({ keysUnknown }) => keysUnknown).map(({ name }) => name);
    expect(asked).toEqual([]);
  });

  test('are none when arguments are missing or do not fit, so that the server says so', () => {
    const wrong = [
      'GET',
      'GET a b',
      'MSET a',
      'MSET a 1 b',
      'EVAL x',
      'EVAL x 3 a',
      'EVAL x -1 a',
      'EVAL x 1',
    ];
    for (const line of [...wrong, 'ZUNIONSTORE d 5 a', 'XREAD COUNT 1 a', 'XREAD STREAMS a b 0', 'COPY a']) {
      expect(`${line}: ${keysOf(line.split(' '))}`).toBe(`${line}: `);
    }
    expect(keysOf(['PING'])).toEqual([]);
  });

  test('of the sharded channels are routed like keys', () => {
    expect(keysOf(['SPUBLISH', 'news', 'x'])).toEqual(['news']);
  });

  test('may be more than fit at first', () => {
    const names = Array.from({ length: 500 }, (_, i) => `k${i}`);
    expect(keysOf(['DEL', ...names])).toEqual(names);
  });
});
