// How long to wait before something that failed is tried again: longer each time, and never in step with others that
// failed at the same moment.

/** The first wait in milliseconds; it doubles up to the last. */
const FIRST = 50;
const LAST = 1000;

/** Half to all of that time, at random. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

export class Backoff {
  #ms = FIRST;

  /** The next wait in milliseconds. */
  next(): number {
    const ms = this.#ms;
    this.#ms = Math.min(ms * 2, LAST);
    return jittered(ms);
  }

  /** It has succeeded: the next wait is a first one again. */
  reset(): void {
    this.#ms = FIRST;
  }
}
