// Copies that vanish, nodes that take none, slots that move under them; and that nobody gets to see them.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { itemsOf } from '../src/commands/elements.ts';
import { FanOutBench } from './support/fan-out.ts';
import { waitFor } from './support/redis.ts';
import { beginSlotMove } from './support/slot-move.ts';
import type { Wire } from './support/wire.ts';

let bench: FanOutBench;
let wire: Wire;

beforeAll(async () => {
  bench = await FanOutBench.start('on');
});

afterAll(() => bench.stop());

beforeEach(async () => {
  await bench.clear();
  wire = await bench.client();
});

const bulk = (value: string) => `$${Buffer.byteLength(value)}\r\n${value}`;

const BOTH = [`${bulk('seen')}\r\n`, `${bulk('other')}\r\n`];

/** A hot key with copies. */
async function hot(key: string, value = 'value'): Promise<() => Promise<void>> {
  await wire.say('SET', key, value);
  const read = async () => expect(await wire.say('GET', key)).toBe(bulk(value));
  await bench.untilCopied(read);
  return read;
}

/** Until there are new ones: reads must be right all the time. */
async function untilReplaced(read: () => Promise<void>, gone: readonly string[]): Promise<void> {
  await waitFor(async () => {
    for (let i = 0; i < 20; i++) await read();
    const names = await bench.copies();
    return names.some((name) => !gone.includes(name));
  }, 10_000);
}

describe('reads are right when copies', () => {
  it('are deleted', async () => {
    const read = await hot('deleted');
    for (let round = 0; round < 3; round++) {
      const names = await bench.copies();
      for (const name of names) await (await bench.cluster.slotOwner(name)).call('DEL', name);
      await untilReplaced(read, names);
    }
  });

  it('expire too soon', async () => {
    const read = await hot('expired');
    const names = await bench.copies();
    for (const name of names) await (await bench.cluster.slotOwner(name)).call('PEXPIRE', name, 1);
    await untilReplaced(read, names);
  });

  it('are flushed with all else on their master, which tells nobody', async () => {
    const read = await hot('flushed');
    const owner = await bench.cluster.slotOwner('flushed');
    const names = await bench.copies();
    for (const node of bench.cluster.nodes) if (node !== owner) await node.call('FLUSHALL');
    await untilReplaced(read, names);
  });

  it('are refused by a master without memory', async () => {
    const owner = await bench.cluster.slotOwner('refused');
    const full = bench.cluster.nodes.find((node) => node !== owner);
    const failed = await bench.metric('copies_total', { event: 'failed' });
    await full?.call('CONFIG', 'SET', 'maxmemory', '1');
    try {
      const read = await hot('refused');
      for (let i = 0; i < 100; i++) await read();
      expect(full && (await bench.copiesOn(full))).toEqual([]);
      expect(await bench.metric('copies_total', { event: 'failed' })).toBeGreaterThan(failed);
    } finally {
      await full?.call('CONFIG', 'SET', 'maxmemory', '0');
    }
  });

  it('lie in a slot that moves, as does their key', async () => {
    const read = await hot('moving');
    const [name] = await bench.copies();
    for (const key of [name, 'moving', 'moving']) {
      const move = await beginSlotMove(bench.cluster, key);
      for (let i = 0; i < 50; i++) await read();
      await move.migrate();
      for (let i = 0; i < 50; i++) await read();
      await move.migrate();
      await move.finish();
      await bench.untilCopied(read);
    }
  });

  it('belong to a key that is flushed, renamed or made anew as another type', async () => {
    await hot('changed');
    expect(await wire.say('FLUSHALL')).toBe('+OK');
    expect(await wire.say('GET', 'changed')).toBe('$-1');
    await hot('changed', 'again');
    expect(await wire.say('RENAME', 'changed', '{changed}2')).toBe('+OK');
    expect(await wire.say('GET', 'changed')).toBe('$-1');
    expect(await wire.say('RPUSH', 'changed', 'one')).toBe(':1');
    await bench.untilCopied(() => wire.say('LLEN', 'changed'));
    expect(await wire.say('GET', 'changed')).toMatch(/^-WRONGTYPE /);
  });
});

describe('nobody sees copies', () => {
  it('in SCAN, KEYS, RANDOMKEY and DBSIZE', async () => {
    const read = await hot('seen');
    await wire.say('SET', 'other', 'x');
    await read();
    expect((await bench.copies()).length).toBeGreaterThan(0);
    expect(
      itemsOf(await wire.ask('KEYS', '*'))
        .map(String)
        .sort(),
    ).toEqual(BOTH);
    expect(await wire.say('KEYS', 'heatsink:*')).toBe('*0');
    const found: string[] = [];
    let cursor = '0';
    do {
      const [next, keys] = itemsOf(await wire.ask('SCAN', cursor, 'COUNT', 100));
      cursor = String(next).split('\r\n')[1];
      found.push(...itemsOf(keys).map(String));
    } while (cursor !== '0');
    expect(found.sort()).toEqual(BOTH);
    for (let i = 0; i < 20; i++) expect([bulk('seen'), bulk('other')]).toContain(await wire.say('RANDOMKEY'));
    // What was flushed behind heatsink's back it finds out within half a second.
    await waitFor(async () => (await wire.say('DBSIZE')) === ':2');
  });

  it('by their names, in any command', async () => {
    await hot('named');
    const [name] = await bench.copies();
    const refused = /^-ERR heatsink: heatsink:copy: begins the names/;
    const tag = name.slice(name.indexOf('{'), name.indexOf('}') + 1);
    for (const command of [
      ['GET', name],
      ['SET', name, 'x'],
      ['DEL', 'named', name],
      ['MGET', `${tag}a`, name],
      ['EXPIRE', name, '100'],
      ['EVAL', 'return 1', '1', name],
      ['BLPOP', name, '1'],
      ['WATCH', name],
      ['SORT', 'named', 'STORE', name],
    ])
      expect(await wire.say(...command), command.join(' ')).toMatch(refused);
    // Where it is no key, it is nobody's name.
    expect(await wire.say('SET', 'free', name)).toBe('+OK');
    expect(await wire.say('ECHO', name)).toBe(bulk(name));
  });

  it('in a transaction, which fails for it', async () => {
    expect(await wire.say('MULTI')).toBe('+OK');
    expect(await wire.say('SET', 'before', '1')).toBe('+QUEUED');
    expect(await wire.say('GET', 'heatsink:copy:{x}')).toMatch(/^-ERR heatsink: heatsink:copy:/);
    expect(await wire.say('EXEC')).toMatch(/^-EXECABORT /);
    expect(await wire.say('GET', 'before')).toBe('$-1');
  });
});
