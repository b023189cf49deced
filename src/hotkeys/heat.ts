// One key that one worker has noticed, and where all workers count its reads.

import { clock } from '../clock.ts';
import { viewOf } from '../resp3/hash.ts';
import type { Windows } from './windows.ts';

/** `tier.minHits`; may change at any time. */
export interface KeepLimits {
  minHits: number;
}

/** Changes of a key over which the hits between them are averaged, and what one of them counts at the most. */
const REMEMBERED = 8;
const HITS_MAX = 64;
/** For how long nothing of a key is kept that is written too often, in milliseconds; then it is tried again. */
const WRITE_HOT_FOR = 1000;

export class Heat {
  readonly key: Buffer;
  /** The key again, to compare four bytes at a time. */
  readonly view: DataView;
  readonly keyHash: number;
  readonly slot: number;
  /** Reads that this worker has served from its tier since it noticed the key. */
  hits = 0;
  /** On `clock.ms`: until then it is not worth a fill, as a reply was too large for the tier. */
  unfitUntil = 0;
  /** On `clock.ms`: until then it is not worth a fill, as it is written too often. */
  writeHotUntil = 0;
  /** Whether it is to be hot whatever its rate. */
  pinned = false;
  /** Whether it was hot when this worker last looked at all keys. */
  wasHot = false;

  readonly #windows: Windows;
  readonly #counts: Int32Array;
  readonly #limits: KeepLimits;
  /** The hits between two changes of the key, on average, and what `hits` was at the last one. */
  #worth = HITS_MAX;
  #hitsThen = 0;

  constructor(key: Buffer, keyHash: number, slot: number, windows: Windows, limits: KeepLimits) {
    this.key = key;
    this.view = viewOf(key);
    this.keyHash = keyHash;
    this.slot = slot;
    this.#windows = windows;
    this.#counts = windows.counts;
    this.#limits = limits;
  }

  /** Counts a read. */
  read(): void {
    this.#counts[this.slot]++;
  }

  /** Counts reads that nobody has looked up the key for. */
  credit(reads: number): void {
    this.#counts[this.slot] += reads;
  }

  /** Counts a read that was served from the tier. */
  hit(): void {
    this.#counts[this.slot]++;
    this.hits++;
  }

  /** What was kept of it, or was to be, has ended by a change: was it worth the fill? */
  changed(): void {
    // Whoever pins it wants it kept all the same.
    if (this.pinned) return;
    const served = Math.min(this.hits - this.#hitsThen, HITS_MAX);
    this.#hitsThen = this.hits;
    this.#worth += (served - this.#worth) / REMEMBERED;
    const { minHits } = this.#limits;
    if (this.#worth >= minHits) return;
    this.writeHotUntil = clock.ms + WRITE_HOT_FOR;
    // When it is tried again, a few changes decide.
    this.#worth = minHits * 2;
  }

  /** An entry of it has left the tier. */
  gone(): void {}

  /** Its entries have the room that they need. */
  get spare(): boolean {
    return false;
  }

  /** Whether nothing of it is kept for now, as it is written too often. */
  get writeHot(): boolean {
    return this.writeHotUntil > clock.ms && this.hot;
  }

  /** Whether the slot is still this key's. */
  get known(): boolean {
    return this.#windows.holds(this.slot, this.keyHash);
  }

  get hot(): boolean {
    return this.#windows.isHot(this.slot) && this.known;
  }

  /** Epoch milliseconds since when it is hot. */
  get hotSince(): number {
    return this.#windows.hotSince(this.slot);
  }

  /** Reads of all workers in the window. */
  get count(): number {
    return this.#windows.count(this.slot);
  }
}
