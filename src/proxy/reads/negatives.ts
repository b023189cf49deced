// Negative caching, by rule: that a key does not exist is kept though the key is not hot, so that callers who ask for
// what is not there do not all reach its shard. Only who is asked for twice is kept, and within a bound: keys that are
// made up, each asked for once, take nothing from anybody.

import type { HitCount } from '../../cache/tier.ts';
import { C, type Counters, G } from '../../counters.ts';
import type { Detector } from '../../hotkeys/detector.ts';
import { TYPE } from '../../resp3/reply-frame.ts';

/** Places for keys that were missing when they were last read; a power of two. */
const PLACES = 1 << 16;
const MASK = PLACES - 1;
const ZERO = 0x30;
const MINUS = 0x2d;

/** What a fill must know of the key that it is for, be it hot or missing. */
export interface Warmth extends HitCount {
  /** Whether it is worth keeping still. */
  readonly hot: boolean;
  /** On `clock.ms`: no fill before. */
  unfitUntil: number;
  readonly writeHotUntil: number;
  /** Whether it is only kept when the key is missing. */
  readonly spare: boolean;
}

export class Negatives {
  readonly #detector: Detector;
  readonly #counters: Counters;
  /** Hashes of keys, each in its place until another one takes it. */
  readonly #missing = new Int32Array(PLACES);

  constructor(detector: Detector, counters: Counters) {
    this.#detector = detector;
    this.#counters = counters;
  }

  /** A read of a key of the rule was answered by `buf[start]` and what follows. */
  saw(keyHash: number, buf: Buffer, start: number): void {
    if (saysNothing(buf, start)) this.#missing[keyHash & MASK] = keyHash;
  }

  /** Whether the key was missing not long ago. */
  expects(keyHash: number): boolean {
    return this.#missing[keyHash & MASK] === keyHash;
  }

  /** For a fill of such a key; `gone` must be called for it, by whom it is given to. */
  begin(keyHash: number): Warmth {
    const detector = this.#detector;
    const counters = this.#counters;
    let gone = false;
    // Before the fill is sent: from now on everybody looks whether a reply shows that the key is there.
    detector.watch(keyHash);
    counters[G.negatives]++;
    return {
      hot: true,
      unfitUntil: 0,
      writeHotUntil: 0,
      spare: true,
      hit() {
        counters[C.negativeHits]++;
      },
      changed() {},
      gone() {
        if (gone) return;
        gone = true;
        detector.unwatch(keyHash);
        counters[G.negatives]--;
      },
    };
  }
}

/** Whether the reply may be that of a key that is not there: null, nothing, an empty text or list, 0. */
function saysNothing(buf: Buffer, start: number): boolean {
  const type = buf[start];
  if (type === TYPE.error || type === TYPE.bulkError) return false;
  return (
    type === TYPE.null || buf[start + 1] === MINUS || (buf[start + 1] === ZERO && buf[start + 2] === 0x0d)
  );
}
