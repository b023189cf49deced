// One key that one worker has noticed, and where all workers count its reads.

import { viewOf } from '../resp3/hash.ts';
import type { Windows } from './windows.ts';

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
  /** Whether it was hot when this worker last looked at all keys. */
  wasHot = false;

  readonly #windows: Windows;
  readonly #counts: Int32Array;

  constructor(key: Buffer, keyHash: number, slot: number, windows: Windows) {
    this.key = key;
    this.view = viewOf(key);
    this.keyHash = keyHash;
    this.slot = slot;
    this.#windows = windows;
    this.#counts = windows.counts;
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
