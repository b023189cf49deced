// The time, read once per chunk of input instead of once per request. All threads of the process read the same clock.

/** From a thread's own `performance.now()`, which begins when the thread does, to the clock of the machine. */
const ORIGIN = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const clock = {
  /** Milliseconds since some moment of the past, with fractions; never goes back. */
  ms: 0,
  /** The same in whole microseconds, wrapped to 31 bits: only differences mean something. */
  us: 0,

  tick(): number {
    const now = performance.now() + ORIGIN;
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
