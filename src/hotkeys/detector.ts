// Finds hot keys while reads flow by. Every read is counted in a sketch that lives for one sub-window; a key
// that stands out there becomes a candidate with an exact sliding window; a candidate that reaches the
// threshold is hot at once, and stays so until its window falls below a lower mark. Sketch and windows are those
// of all workers; the keys themselves are known to each worker that has met them.

import { hashBytes, sameBytes, viewOf } from '../resp3/hash.ts';
import { Heat, type KeepLimits } from './heat.ts';
import { Sketch, sketchMemory } from './sketch.ts';
import { type WindowMemory, Windows, windowMemory } from './windows.ts';

export interface DetectorOptions {
  /** Reads a second from which a key is hot. */
  readonly threshold: number;
  /** Length of the sliding window in milliseconds, and its sub-windows. */
  readonly window: number;
  readonly steps: number;
  /** Share of the threshold below which a hot key cools. */
  readonly cool: number;
  /** The most keys with an exact window. */
  readonly candidates: number;
  readonly keep: KeepLimits;
  /**
   * A key is about to be found cold. To be done before anybody can see it; in one of the workers.
   */
  readonly cooling: (keyHash: number) => void;
  /** A key is not hot any more; in each worker that has met it. */
  readonly cooled: (keyHash: number) => void;
}

/** What worker threads share. */
export interface HeatMemory {
  readonly sketch: SharedArrayBuffer;
  readonly windows: WindowMemory;
}

export function heatMemory(
  workers: number,
  { candidates, steps }: { candidates: number; steps: number },
): HeatMemory {
  return { sketch: sketchMemory(), windows: windowMemory(workers, candidates, steps) };
}

export class Detector {
  #options: DetectorOptions;
  readonly #sketch: Sketch;
  readonly #windows: Windows;
  readonly #heats = new Map<number, Heat>();
  /** Hashes of keys that are hot whatever their rate. */
  readonly #pinned = new Set<number>();
  /** Reads in a window that make a key hot. */
  #hotFrom = 1;
  readonly #stepLength: number;
  /** Reads in one sub-window that make a key a candidate: at first a quarter of what a hot key must have. */
  #least = 1;
  #most = 1;
  #noticed = 1;
  #stepEnds = 0;

  constructor(options: DetectorOptions, memory: HeatMemory = heatMemory(1, options), worker = 0) {
    this.#options = options;
    this.#sketch = new Sketch(memory.sketch);
    this.#windows = new Windows(memory.windows, worker);
    this.#stepLength = options.window / options.steps;
    this.tune({});
  }

  /** Changes what can change while keys are counted. Keys that are hot stay so until they fall below the new mark. */
  tune(changed: Partial<Pick<DetectorOptions, 'threshold' | 'cool'>>): void {
    this.#options = { ...this.#options, ...changed };
    const { threshold, window, steps } = this.#options;
    this.#hotFrom = Math.max(1, (threshold * window) / 1000);
    this.#most = Math.max(1, Math.floor(this.#hotFrom / steps));
    this.#least = Math.max(1, this.#most >> 2);
    this.#noticed = this.#least;
  }

  get hotKeys(): number {
    return this.#windows.hotKeys;
  }

  get candidates(): number {
    return this.#windows.used;
  }

  /**
   * Counts a read of the key `[start, end)` of the view, whose `hashBytes` is `keyHash`. Returns its heat when
   * it is hot, else null.
   */
  count(keyHash: number, view: DataView, start: number, end: number): Heat | null {
    const estimate = this.#sketch.add(keyHash);
    if (estimate < this.#noticed && (this.#pinned.size === 0 || !this.#pinned.has(keyHash))) return null;
    return this.#notice(estimate, keyHash, view, start, end);
  }

  /** Has the key be hot from now on, whatever its rate, as far as this worker is concerned; `unpin` ends it. */
  pin(key: Buffer): void {
    const view = viewOf(key);
    const keyHash = hashBytes(view, 0, key.length);
    this.#pinned.add(keyHash);
    const known = this.#heats.get(keyHash);
    const heat = known?.known ? known : this.#meet(1, keyHash, view, 0, key.length);
    if (heat === undefined) return;
    heat.pinned = true;
    heat.writeHotUntil = 0;
    this.#windows.heat(heat.slot);
  }

  unpin(key: Buffer): void {
    const keyHash = hashBytes(viewOf(key), 0, key.length);
    this.#pinned.delete(keyHash);
    const heat = this.#heats.get(keyHash);
    if (heat !== undefined) heat.pinned = false;
  }

  /** The heat of a key if it is hot now, without counting. */
  hot(keyHash: number): Heat | null {
    const heat = this.#heats.get(keyHash);
    return heat?.hot ? heat : null;
  }

  /** Whether a key with that hash is hot, though this worker may not have met it. */
  isHot(keyHash: number): boolean {
    if (!this.#windows.mayBeHot(keyHash)) return false;
    const slot = this.#windows.find(keyHash);
    return slot >= 0 && this.#windows.isHot(slot);
  }

  /** False only if no key with that hash is hot in any worker. */
  mayBeHot(keyHash: number): boolean {
    return this.#windows.mayBeHot(keyHash);
  }

  /** Until `unwatch`, `mayBeHot` is true of the key for all workers. */
  watch(keyHash: number): void {
    this.#windows.watch(keyHash);
  }

  unwatch(keyHash: number): void {
    this.#windows.unwatch(keyHash);
  }

  /** Hot keys of which this worker keeps nothing for now, as they are written too often. */
  get writeHot(): number {
    let count = 0;
    for (const heat of this.#heats.values()) if (heat.writeHot) count++;
    return count;
  }

  /** Moves the window on; `now` in milliseconds, by a clock of all workers. Cheap when no sub-window has ended. */
  advance(now: number): void {
    if (now < this.#stepEnds) return;
    const step = Math.floor(now / this.#stepLength);
    this.#stepEnds = (step + 1) * this.#stepLength;
    const passed = Math.min(this.#windows.begin(step | 0), this.#options.steps);
    const coolBelow = this.#hotFrom * this.#options.cool;
    for (let left = passed - 1; left >= 0; left--)
      this.#windows.endStep(step - left, coolBelow, this.#noticed, this.#options.cooling, this.#pinned);
    if (passed > 0) this.#sketch.clear();
    this.#look();
  }

  /** The most read keys that this worker has met, most read first. */
  top(count: number): Heat[] {
    return [...this.#heats.values()]
      .filter((heat) => heat.known)
      .sort((a, b) => b.count - a.count)
      .slice(0, count);
  }

  #notice(estimate: number, keyHash: number, view: DataView, start: number, end: number): Heat | null {
    let heat = this.#heats.get(keyHash);
    if (heat === undefined || !heat.known) {
      heat = this.#meet(estimate, keyHash, view, start, end);
      if (heat === undefined) return null;
    } else if (!sameBytes(view, start, end, heat.view)) {
      // Two keys of one 32-bit hash: the first one keeps the place.
      return null;
    } else if (estimate === this.#noticed && !heat.pinned) {
      // Its reads of this sub-window were too few so far to look it up.
      heat.credit(estimate - 1);
    }
    heat.read();
    if (heat.hot) return heat;
    if (heat.count < this.#hotFrom && !heat.pinned) return null;
    this.#windows.heat(heat.slot);
    return heat;
  }

  #meet(estimate: number, keyHash: number, view: DataView, start: number, end: number): Heat | undefined {
    let slot = this.#windows.find(keyHash);
    const first = slot < 0;
    const pinned = this.#pinned.has(keyHash);
    if (first && (pinned || this.candidates < this.#options.candidates)) slot = this.#windows.claim(keyHash);
    if (slot < 0) return undefined;
    const key = Buffer.from(view.buffer.slice(view.byteOffset + start, view.byteOffset + end) as ArrayBuffer);
    const heat = new Heat(key, keyHash, slot, this.#windows, this.#options.keep);
    heat.pinned = pinned;
    if (first) heat.credit(estimate - 1);
    this.#heats.set(keyHash, heat);
    return heat;
  }

  /** Looks at all keys that this worker has met: which have cooled, which have lost their slot. */
  #look(): void {
    for (const heat of this.#heats.values()) {
      const { hot, known } = heat;
      if (heat.wasHot && !hot) this.#options.cooled(heat.keyHash);
      heat.wasHot = hot;
      if (!known) this.#heats.delete(heat.keyHash);
    }
    // A full table asks for more from newcomers, up to what a hot key has at the least in its best sub-window.
    const full = this.candidates / this.#options.candidates;
    if (full > 0.75) this.#noticed = Math.min(this.#noticed * 2, this.#most);
    else if (full < 0.25) this.#noticed = Math.max(this.#noticed >> 1, this.#least);
  }
}
