// The time, read once per chunk of input instead of once per request.

export const clock = {
  /** Milliseconds since the process started, with fractions; never goes back. */
  ms: 0,
  /** The same in whole microseconds, wrapped to 31 bits: only differences mean something. */
  us: 0,

  tick(): number {
    const now = performance.now();
    clock.ms = now;
    clock.us = ((now * 1000) % 0x80000000) | 0;
    return now;
  },
};

clock.tick();

/** Microseconds from one reading of `clock.us` to a later one. */
export function microsSince(begun: number): number {
  return (clock.us - begun) & 0x7fffffff;
}
