// One seeded 32-bit hash of raw bytes, for every table of the data path: tier, flights, versions, sketch.
// The seed is drawn at start, so that nobody outside can aim keys at one bucket.

import { randomInt } from 'node:crypto';

let seed = randomInt(2 ** 31);

/** Makes this thread hash as another one does; the threads of one process must agree. */
export function setHashSeed(value: number): void {
  seed = value | 0;
}

export function hashSeed(): number {
  return seed;
}

/**
 * A 32-bit integer (may be negative) for the bytes `[start, end)` of a view. Four bytes a step, in the manner
 * of MurmurHash3 (Appleby), with its finalizer so that every bit of the result can pick a bucket.
 */
export function hashBytes(view: DataView, start: number, end: number): number {
  let h = seed ^ (end - start);
  let at = start;
  const words = end - 3;
  for (; at < words; at += 4) {
    let k = Math.imul(view.getInt32(at, true), 0xcc9e2d51 | 0);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + (0xe6546b64 | 0)) | 0;
  }
  let tail = 0;
  for (; at < end; at++) tail = (tail << 8) | view.getUint8(at);
  let k = Math.imul(tail, 0xcc9e2d51 | 0);
  k = (k << 15) | (k >>> 17);
  h ^= Math.imul(k, 0x1b873593);
  return finalize(h);
}

/** MurmurHash3's finalizer: mixes an integer so that each input bit moves each output bit half the time. */
export function finalize(value: number): number {
  let h = value;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b | 0);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35 | 0);
  return h ^ (h >>> 16);
}

/** Whether `a[aStart, aEnd)` and all of `b` are the same bytes. */
export function sameBytes(a: DataView, aStart: number, aEnd: number, b: DataView): boolean {
  const length = b.byteLength;
  if (aEnd - aStart !== length) return false;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    if (a.getInt32(aStart + at, true) !== b.getInt32(at, true)) return false;
  }
  for (; at < length; at++) {
    if (a.getUint8(aStart + at) !== b.getUint8(at)) return false;
  }
  return true;
}

/** A view of a buffer's own bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
