// Hash slots as Redis Cluster computes them, and the hash that the tables of the data path share.

import calculateSlot from 'cluster-key-slot';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashBytes, hashSeed, sameBytes, setHashSeed, viewOf } from '../src/resp3/hash.ts';
import { keyInSlots, SLOTS, slotOf } from '../src/upstream/slot.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';

/** Keys of any bytes, many of them with braces in all orders. */
const key = fc
  .array(
    fc.oneof(
      fc.constantFrom('{', '}', '{}', '{', '}', 'a', 'user:1'),
      fc.string({ unit: 'binary', maxLength: 8 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Buffer.from(parts.join('')));

/** A key among other bytes, as it lies in the input of a connection. */
const placed = fc.tuple(fc.uint8Array({ maxLength: 9 }), key, fc.uint8Array({ maxLength: 9 }));

const slotOfAll = (bytes: Buffer): number => slotOf(bytes, 0, bytes.length);

/** What the library gets wrong: it looks for a hash tag behind an empty `{}` too, where Redis takes the whole key. */
const startsEmpty = (bytes: Buffer): boolean =>
  bytes
    .toString('latin1')
    .replace(/^[^{]*/, '')
    .startsWith('{}');

describe('the slot of a key', () => {
  let node: RedisProcess;
  beforeAll(async () => {
    node = await startRedis({ cluster: true });
  });
  afterAll(() => node.stop());

  it('is that of cluster-key-slot, wherever in a buffer the key is', () => {
    fc.assert(
      fc.property(placed, ([before, bytes, after]) => {
        fc.pre(!startsEmpty(bytes));
        const all = Buffer.concat([before, bytes, after]);
        expect(slotOf(all, before.length, before.length + bytes.length)).toBe(calculateSlot(bytes));
      }),
      { numRuns: 5000 },
    );
  });

  it('is that of a Redis Cluster node', async () => {
    const keys = fc.sample(key, 3000);
    const slots = await Promise.all(keys.map((bytes) => node.call('CLUSTER', 'KEYSLOT', bytes)));
    expect(keys.map(slotOfAll)).toEqual(slots);
  });

  it.each([
    ['{}', '{}'],
    ['{}a', '{}a'],
    ['{}{a}', '{}{a}'],
    ['{a', '{a'],
    ['a}', 'a}'],
    ['a}{b}', 'b'],
    ['{{a}}', '{a'],
    ['{a}{b}', 'a'],
    ['x{a}y', 'a'],
    ['{a}}', 'a'],
    ['', ''],
  ])('of %j is that of the bytes %j', async (whole, hashed) => {
    const slot = slotOfAll(Buffer.from(whole));
    expect(slot).toBe(await node.call('CLUSTER', 'KEYSLOT', whole));
    if (hashed !== whole) expect(slot).toBe(calculateSlot(hashed));
  });

  it('can be chosen: a key is found in any slot', () => {
    for (const slot of [0, 1, 8191, SLOTS - 1]) {
      const found = keyInSlots('probe', (candidate) => candidate === slot);
      expect(slotOfAll(Buffer.from(String(found)))).toBe(slot);
    }
    expect(keyInSlots('probe', () => false)).toBeNull();
  });
});

describe('the hash of bytes', () => {
  const seed = hashSeed();
  afterAll(() => setHashSeed(seed));

  const bytes = fc.uint8Array({ maxLength: 40 });
  const hashOf = (array: Uint8Array): number => hashBytes(viewOf(array), 0, array.length);

  it('depends on the bytes alone, not on where they are or what is around them', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 9 }),
        bytes,
        fc.uint8Array({ maxLength: 9 }),
        (before, own, after) => {
          const all = Buffer.concat([before, own, after]);
          const hash = hashBytes(viewOf(all), before.length, before.length + own.length);
          expect(hash).toBe(hashOf(own));
          expect(hash).toBe(hash | 0);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('differs for another seed, and is the same again for the same seed', () => {
    fc.assert(
      fc.property(bytes, fc.integer({ min: 0 }), fc.integer({ min: 0 }), (own, one, other) => {
        fc.pre(one !== other);
        setHashSeed(one);
        const hash = hashOf(own);
        setHashSeed(other);
        expect(hashOf(own)).not.toBe(hash);
        setHashSeed(one);
        expect(hashSeed()).toBe(one);
        expect(hashOf(own)).toBe(hash);
      }),
    );
  });

  it('tells nearly all keys apart and fills all buckets alike', () => {
    const keys = 200_000;
    const buckets = new Uint32Array(1024);
    const seen = new Set<number>();
    for (let i = 0; i < keys; i++) {
      const hash = hashOf(Buffer.from(`user:${i}`));
      seen.add(hash);
      buckets[hash & 1023]++;
    }
    // Of random 32-bit numbers about 5 pairs would be equal, and a bucket would hold 195 with a deviation of 14.
    expect(seen.size).toBeGreaterThan(keys - 30);
    expect(Math.min(...buckets)).toBeGreaterThan(195 - 7 * 14);
    expect(Math.max(...buckets)).toBeLessThan(195 + 7 * 14);
  });
});

describe('comparing bytes', () => {
  it('finds equal what is equal, at any place, and nothing else', () => {
    const around = fc.uint8Array({ maxLength: 9 });
    const few = fc.uint8Array({ max: 1, maxLength: 9 });
    fc.assert(
      fc.property(around, few, around, few, around, (before, own, after, other, otherBefore) => {
        const all = viewOf(Buffer.concat([before, own, after]));
        // A view that does not begin where its memory begins.
        const otherView = viewOf(Buffer.concat([otherBefore, other]).subarray(otherBefore.length));
        const same = sameBytes(all, before.length, before.length + own.length, otherView);
        expect(same).toBe(Buffer.compare(own, other) === 0);
      }),
      { numRuns: 5000 },
    );
  });

  it('sees one changed bit anywhere', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        fc.nat(),
        fc.nat({ max: 7 }),
        (own, place, bit) => {
          const changed = own.slice();
          expect(sameBytes(viewOf(own), 0, own.length, viewOf(changed))).toBe(true);
          changed[place % own.length] ^= 1 << bit;
          expect(sameBytes(viewOf(own), 0, own.length, viewOf(changed))).toBe(false);
        },
      ),
    );
  });
});
