// Finds hot keys while reads flow by. Every read is counted in a sketch that lives for one sub-window; a key
// that stands out there becomes a candidate with an exact sliding window; a candidate that reaches the
// threshold is hot at once, and stays so until its window falls below a lower mark.

import { sameBytes } from '../resp3/hash.ts';
import { Heat } from './heat.ts';
import { Sketch } from './sketch.ts';

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
  /** Told when a key gets hot or cools. */
  readonly changed: (heat: Heat) => void;
}

export class Detector {
  hotKeys = 0;

  #options: DetectorOptions;
  readonly #sketch = new Sketch();
  readonly #heats = new Map<number, Heat>();
  /** Reads in a window that make a key hot. */
  #hotFrom = 1;
  readonly #stepLength: number;
  /** Reads in one sub-window that make a key a candidate: at first a quarter of what a hot key must have. */
  #least = 1;
  #most = 1;
  #noticed = 1;
  #step = 0;
  #stepEnds = 0;

  constructor(options: DetectorOptions) {
    this.#options = options;
    this.#stepLength = options.window / options.steps;
    this.tune({});
  }

  /** Changes what can change while keys are counted. Keys that are hot stay so until they fall below the new mark. */
  tune(changed: Partial<Pick<DetectorOptions, 'threshold' | 'cool' | 'candidates'>>): void {
    this.#options = { ...this.#options, ...changed };
    const { threshold, window, steps } = this.#options;
    this.#hotFrom = Math.max(1, (threshold * window) / 1000);
    this.#most = Math.max(1, Math.floor(this.#hotFrom / steps));
    this.#least = Math.max(1, this.#most >> 2);
    this.#noticed = this.#least;
  }

  get candidates(): number {
    return this.#heats.size;
  }

  /**
   * Counts a read of the key `[start, end)` of the view, whose `hashBytes` is `keyHash`. Returns its heat when
   * it is hot, else null.
   */
  count(keyHash: number, view: DataView, start: number, end: number): Heat | null {
    const estimate = this.#sketch.add(keyHash);
    if (estimate < this.#noticed) return null;
    return this.#notice(estimate, keyHash, view, start, end);
  }

  /** The heat of a key if it is hot now, without counting. */
  hot(keyHash: number): Heat | null {
    const heat = this.#heats.get(keyHash);
    return heat?.hot ? heat : null;
  }

  /** Moves the window on; `now` in milliseconds. Cheap when no sub-window has ended. */
  advance(now: number): void {
    if (now < this.#stepEnds) return;
    const passed = this.#stepEnds === 0 ? 1 : 1 + Math.floor((now - this.#stepEnds) / this.#stepLength);
    this.#stepEnds =
      this.#stepEnds === 0 ? now + this.#stepLength : this.#stepEnds + passed * this.#stepLength;
    for (let i = 0; i < Math.min(passed, this.#options.steps); i++) this.#endStep();
  }

  /** The most read keys, most read first. */
  top(count: number): Heat[] {
    return [...this.#heats.values()].sort((a, b) => b.count - a.count).slice(0, count);
  }

  #notice(estimate: number, keyHash: number, view: DataView, start: number, end: number): Heat | null {
    let heat = this.#heats.get(keyHash);
    if (heat === undefined) {
      if (this.#heats.size >= this.#options.candidates) return null;
      const key = Buffer.from(
        view.buffer.slice(view.byteOffset + start, view.byteOffset + end) as ArrayBuffer,
      );
      heat = new Heat(key, keyHash, this.#options.steps);
      heat.now = estimate - 1;
      this.#heats.set(keyHash, heat);
    } else if (!sameBytes(view, start, end, heat.view)) {
      // Two keys of one 32-bit hash: the first one keeps the place.
      return null;
    } else if (estimate === this.#noticed) {
      // Its reads of this sub-window were too few so far to look it up.
      heat.now += estimate - 1;
    }
    heat.now++;
    if (!heat.hot && heat.count >= this.#hotFrom) this.#promote(heat);
    return heat.hot ? heat : null;
  }

  #promote(heat: Heat): void {
    heat.hot = true;
    heat.hotSince = Date.now();
    heat.hits = 0;
    this.hotKeys++;
    this.#options.changed(heat);
  }

  #endStep(): void {
    const coolBelow = this.#hotFrom * this.#options.cool;
    this.#sketch.clear();
    this.#step++;
    for (const heat of this.#heats.values()) {
      heat.advance(this.#step);
      if (heat.hot && heat.count < coolBelow) this.#cool(heat);
      if (!heat.hot && heat.count < this.#noticed) this.#heats.delete(heat.keyHash);
    }
    // A full table asks for more from newcomers, up to what a hot key has at the least in its best sub-window.
    const full = this.#heats.size / this.#options.candidates;
    if (full > 0.75) this.#noticed = Math.min(this.#noticed * 2, this.#most);
    else if (full < 0.25) this.#noticed = Math.max(this.#noticed >> 1, this.#least);
  }

  #cool(heat: Heat): void {
    heat.hot = false;
    heat.hotSince = 0;
    this.hotKeys--;
    this.#options.changed(heat);
  }
}
