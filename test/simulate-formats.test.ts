// The three formats of traces, line by line.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command } from '../src/commands/command.ts';
import { findKeys, KeyPositions } from '../src/commands/keys.ts';
import type { RequestFrame } from '../src/resp3/request-frame.ts';
import {
  type Access,
  KEEPABLE,
  MALFORMED,
  NOTHING,
  OTHER_READ,
  REQUEST,
  SIZE,
  type TraceReader,
  WRITE,
  WRITE_ALL,
} from '../src/simulate/access.ts';
import { knownCommands } from '../src/simulate/known-commands.ts';
import { LineSplitter } from '../src/simulate/lines.ts';
import { MonitorReader } from '../src/simulate/monitor.ts';
import { describeRequest, RecordingReader, recordingHead } from '../src/simulate/recording.ts';
import { TwitterReader } from '../src/simulate/twitter.ts';
import { frameOf } from './support/raw-redis.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';

const table = knownCommands();
const bytes = (text: string) => Buffer.from(text, 'latin1');

function read(reader: TraceReader, text: string, cut = false): number {
  const line = bytes(text);
  return reader.read(line, 0, line.length, cut);
}

function keysOf({ buf, keys, keyCount }: Access): string[] {
  return Array.from({ length: keyCount }, (_, i) => buf.toString('latin1', keys[i * 2], keys[i * 2 + 1]));
}

const requestOf = ({ buf, start, end }: Access) => buf.toString('latin1', start, end);

/** As sdscatrepr of Redis writes an argument. */
function quoted(argument: Buffer): string {
  const named: Record<number, string> = {
    10: '\\n',
    13: '\\r',
    9: '\\t',
    7: '\\a',
    8: '\\b',
    34: '\\"',
    92: '\\\\',
  };
  const shown = [...argument].map((byte) => {
    if (named[byte] !== undefined) return named[byte];
    return byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `"${shown.join('')}"`;
}

const monitored = (args: Buffer[], head = '1700000000.123456 [0 127.0.0.1:5000]') =>
  `${head} ${args.map(quoted).join(' ')}`;

describe('a line of MONITOR', () => {
  const reader = new MonitorReader(table);
  const seen = (text: string) => {
    expect(read(reader, text)).toBe(REQUEST);
    const { ms, kind, db } = reader.access;
    return { ms, kind, db, keys: keysOf(reader.access) };
  };

  it('gives time, database, kind and keys', () => {
    expect(seen('1700000000.123456 [3 127.0.0.1:5000] "GET" "product:1"')).toEqual({
      ms: expect.closeTo(1_700_000_000_123.456, 3),
      kind: KEEPABLE,
      db: 3,
      keys: ['product:1'],
    });
    expect(seen('1.000001 [0 [::1]:5000] "hset" "h" "f" "v"')).toMatchObject({ kind: WRITE, keys: ['h'] });
    expect(seen('1.0 [0 unix:/run/a b.sock] "MGET" "a" "b"')).toMatchObject({
      kind: OTHER_READ,
      keys: ['a', 'b'],
    });
    expect(seen('+1.0 [0 c:1] "MSET" "a" "1" "b" "2"')).toMatchObject({ kind: WRITE, keys: ['a', 'b'] });
    expect(seen('1.0 [0 c:1] "EVAL" "return 1" "2" "a" "b" "x"')).toMatchObject({
      kind: WRITE,
      keys: ['a', 'b'],
    });
    expect(seen('1.0 [0 c:1] "LMPOP" "2" "a" "b" "LEFT"')).toMatchObject({ kind: WRITE, keys: ['a', 'b'] });
    expect(seen('1.0 [0 c:1] "XREAD" "COUNT" "1" "STREAMS" "s" "0"')).toMatchObject({ keys: ['s'] });
    expect(seen('1.0 [0 c:1] "FLUSHALL"')).toMatchObject({ kind: WRITE_ALL, keys: [] });
  });

  it('gives back every byte that was escaped', () => {
    expect(seen(String.raw`1.0 [0 c:1] "GET" "a\x00\"\\\n\r\t\a\b\xFfz"`).keys).toEqual([
      'a\0"\\\n\r\t\x07\b\xffz',
    ]);
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 20 }), (keys) => {
        const args = ['MGET', ...keys].map((arg) => Buffer.from(arg as string));
        expect(read(reader, monitored(args))).toBe(REQUEST);
        expect(keysOf(reader.access)).toEqual(args.slice(1).map((arg) => arg.toString('latin1')));
      }),
    );
  });

  it('is another request whenever its arguments are others', () => {
    const list = fc.array(fc.uint8Array({ maxLength: 4 }), { minLength: 1, maxLength: 4 });
    const requestWith = (args: Uint8Array[]) => {
      const command = ['HMGET', 'h', ...args].map((arg) => Buffer.from(arg as string));
      expect(read(reader, monitored(command))).toBe(REQUEST);
      return requestOf(reader.access);
    };
    fc.assert(
      fc.property(list, list, (a, b) => {
        const same = JSON.stringify(a.map((arg) => [...arg])) === JSON.stringify(b.map((arg) => [...arg]));
        expect(requestWith(a) === requestWith(b)).toBe(same);
      }),
    );
  });

  it('is nothing when it is not about keys, or what a script did', () => {
    const lines = ['OK', '+OK', '', '1.0 [0 c:1] "PING"', '1.0 [0 c:1] "auth" "(redacted)"'];
    for (const line of [...lines, '1.0 [0 c:1] "NOSUCH" "a"', '1.0 [0 lua] "GET" "a"', '1.0 [0 c:1] "GET"']) {
      expect([line, read(reader, line)]).toEqual([line, NOTHING]);
    }
  });

  it('is malformed when it is anything else', () => {
    const wrong = [
      'nonsense that is long enough',
      '1.0 "GET" "a"',
      '1.0 [0 c:1] "GET" "a',
      '1.0 [0 c:1] GET a',
    ];
    const escapes = [String.raw`1.0 [0 c:1] "GET" "\xg0"`, String.raw`1.0 [0 c:1] "GET" "\q"`];
    for (const line of [
      ...wrong,
      ...escapes,
      '1.0 [0 c:1] "GET" "a"x',
      '1.0 [0 c:1] "GET" "a" ',
      '17 [0 c:1] "GET" "a"',
    ]) {
      expect([line, read(reader, line)]).toEqual([line, MALFORMED]);
    }
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(read(reader, text)).not.toBe(REQUEST);
      }),
    );
  });

  it('may end anywhere in a value when it was too long to be kept', () => {
    const whole = String.raw`1.0 [0 c:1] "SET" "k" "v\x00v`;
    for (let length = whole.indexOf('"k"') + 4; length <= whole.length; length++) {
      const text = whole.slice(0, length);
      const took = read(reader, text, true);
      // Without anything of its value a SET has too few arguments to have a key.
      expect([text, took]).toEqual([text, length > whole.indexOf('"v') ? REQUEST : NOTHING]);
    }
  });

  it('of a transaction is no read that the tier serves', () => {
    const kindOf = (client: string) => seen(`1.0 [0 ${client}] "GET" "a"`).kind;
    read(reader, '1.0 [0 c:1] "MULTI"');
    expect([kindOf('c:1'), kindOf('c:2')]).toEqual([OTHER_READ, KEEPABLE]);
    read(reader, '1.0 [0 c:1] "EXEC"');
    expect(kindOf('c:1')).toBe(KEEPABLE);
  });
});

describe('a line of a Twitter cache trace', () => {
  it('gives second, key, kind and size', () => {
    const reader = new TwitterReader();
    expect(read(reader, '7,q:q:1:abc,40,1024,5,get,0\r')).toBe(REQUEST);
    const { access } = reader;
    expect(keysOf(access)).toEqual(['q:q:1:abc']);
    expect(access).toMatchObject({ kind: KEEPABLE, db: 0 });
    expect(Math.floor(access.ms / 1000)).toBe(7);
    // The request and its reply together, as the key was as long as that.
    expect(access.bytes + access.end - access.start).toBeGreaterThanOrEqual(1024 + 40);
    expect(read(reader, '7,k,1,1,5,gets,0')).toBe(REQUEST);
    for (const operation of ['set', 'add', 'replace', 'cas', 'append', 'prepend', 'delete', 'incr', 'decr']) {
      expect(read(reader, `7,k,1,1,5,${operation},3600`)).toBe(REQUEST);
      expect(access.kind).toBe(WRITE);
    }
  });

  it('is malformed otherwise', () => {
    const reader = new TwitterReader();
    for (const line of [
      '7,k,1,1,5,get',
      '7,k,1,1,5,get,0,0',
      'x,k,1,1,5,get,0',
      '7,k,,1,5,get,0',
      '7,k,1,1,5,steal,0',
    ]) {
      expect([line, read(reader, line)]).toEqual([line, MALFORMED]);
    }
    expect(read(reader, '')).toBe(NOTHING);
  });

  it('has its time within its second, in the order of the lines', () => {
    const reader = new TwitterReader();
    let last = 0;
    for (let second = 1; second < 5; second++) {
      for (let i = 0; i < 500 * second; i++) {
        read(reader, `${second},k,1,1,5,get,0`);
        const { ms } = reader.access;
        expect(Math.floor(ms / 1000)).toBe(second);
        expect(ms).toBeGreaterThanOrEqual(last);
        last = ms;
      }
    }
  });
});

describe('a recording', () => {
  it('gives back keys of any bytes, and tells requests apart as MONITOR does', () => {
    const key = fc.uint8Array({ maxLength: 12 });
    const request = fc.oneof(
      fc.tuple(fc.constant('GET'), key),
      fc.tuple(fc.constant('HGET'), key, key),
      fc.tuple(fc.constant('SET'), key, key),
      fc.array(key, { minLength: 1, maxLength: 5 }).map((keys) => ['MGET', ...keys]),
    );
    const monitor = new MonitorReader(table);
    const recording = new RecordingReader(table);
    const replayed = (args: (string | Uint8Array)[]) => {
      expect(read(monitor, monitored(args.map((arg) => Buffer.from(arg as string))))).toBe(REQUEST);
      const command = table.find(monitor.frame);
      if (command === null) throw new Error('unknown');
      const line = `5 3 ${describeRequest(monitor.access, command, monitor.frame)}`;
      expect(line).toMatch(/^[!-~ ]+$/);
      expect(read(recording, line)).toBe(REQUEST);
      const { access } = recording;
      expect(access.db).toBe(3);
      expect(access.kind).toBe(monitor.access.kind);
      expect(keysOf(access)).toEqual(keysOf(monitor.access));
      return { request: requestOf(access), original: requestOf(monitor.access), kind: access.kind };
    };
    fc.assert(
      fc.property(request, request, (a, b) => {
        const [first, second] = [replayed(a), replayed(b)];
        if (first.kind !== KEEPABLE || second.kind !== KEEPABLE) return;
        expect(first.request === second.request).toBe(first.original === second.original);
      }),
    );
  });

  it('has sizes of replies, and its time in steps', () => {
    const reader = new RecordingReader(table);
    expect(read(reader, recordingHead(3).trimEnd())).toBe(NOTHING);
    expect(read(reader, '1500 0 get - a')).toBe(REQUEST);
    const { access } = reader;
    const request = requestOf(access);
    expect([access.ms, access.bytes]).toEqual([1.5, Number.NaN]);
    expect(read(reader, '= 77 get - a')).toBe(SIZE);
    expect([requestOf(access), access.bytes]).toEqual([request, 77]);
    expect(read(reader, '500 0 flushall -')).toBe(REQUEST);
    expect([access.ms, access.kind]).toEqual([2, WRITE_ALL]);
  });

  it('is malformed otherwise', () => {
    const reader = new RecordingReader(table);
    const wrong = [
      'get - a',
      '1 get - a',
      '1 0 nosuch - a',
      '1 0 get -',
      '1 0 get',
      '1 0 get - a%2',
      '1 0 get - %zz',
    ];
    for (const line of [
      ...wrong,
      '= x get - a',
      '1 0 get - a ',
      '1 0 get  a',
      'heatsink-trace 2 masters=1',
      '-1 0 get - a',
    ]) {
      expect([line, read(reader, line)]).toEqual([line, MALFORMED]);
    }
  });

  it('holds no value and no argument but keys', () => {
    const monitor = new MonitorReader(table);
    for (const args of [
      ['SET', 'k', 'secret'],
      ['HGET', 'k', 'secret'],
      ['EVAL', 'secret', '1', 'k', 'secret'],
    ]) {
      read(monitor, monitored(args.map((arg) => Buffer.from(arg))));
      const command = table.find(monitor.frame);
      if (command === null) throw new Error('unknown');
      expect(describeRequest(monitor.access, command, monitor.frame)).toMatch(/^\w+ (-|[0-9a-f]+) k$/);
    }
  });
});

it('lines are the same however a trace is cut into chunks', () => {
  const lines = (chunks: Buffer[]) => {
    const found: string[] = [];
    const splitter = new LineSplitter((buf, start, end) => found.push(buf.toString('latin1', start, end)));
    for (const chunk of chunks) splitter.push(chunk);
    splitter.end();
    return found;
  };
  fc.assert(
    fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', '\n', '\r\n', 'bc') })), (parts) => {
      const whole = parts.join('');
      const expected = whole.split('\n').map((line) => line.replace(/\r$/, ''));
      if (whole === '' || whole.endsWith('\n')) expected.pop();
      expect(lines(parts.filter((part) => part !== '').map(bytes))).toEqual(expected);
    }),
  );
  const long = bytes(`${'x'.repeat(3 << 20)}\nnext`);
  const found = lines([long.subarray(0, 1 << 19), long.subarray(1 << 19, 1 << 21), long.subarray(1 << 21)]);
  expect(found.map((line) => line.length)).toEqual([1 << 20, 4]);
});

describe('the table of commands', () => {
  let redis: RedisProcess;
  it('says of every command what a server says of it', async () => {
    redis = await startRedis();
    const { CommandTable } = await import('../src/commands/table.ts');
    const served = CommandTable.from(await redis.call('COMMAND'));
    await redis.stop();
    const wrong: unknown[] = [];
    const facts = (command: Command, frame: RequestFrame) => {
      const { arity, isRead, isWrite, cacheable, fixedKey } = command;
      const keys = new KeyPositions();
      const count = findKeys(command, frame, keys);
      return {
        arity,
        isRead,
        isWrite,
        cacheable,
        fixedKey,
        keys: [...keys.at.subarray(0, Math.max(0, count))],
      };
    };
    for (const command of table.all()) {
      const other = served.named(command.name);
      // Newer than the server, or of a module.
      if (other === null || command.route === 'local' || command.route === 'own') continue;
      // From one argument more than needed: PFMERGE of one key alone is told in different ways.
      for (let more = 1; more < 5; more++) {
        const frame = frameOf(command.name, ...Array(Math.abs(command.arity) - 1 + more).fill('1'));
        const [ours, theirs] = [facts(command, frame), facts(other, frame)];
        if (JSON.stringify(ours) !== JSON.stringify(theirs)) wrong.push([command.name, ours, theirs]);
      }
    }
    expect(wrong).toEqual([]);
    const named = [...served.all()].filter(
      (command) => !command.name.includes('|') && command.isRead && command.keySpecs.length > 0,
    );
    expect(named.filter(({ name }) => table.named(name) === null).map(({ name }) => name)).toEqual([]);
  });
});
