// How late this thread is: a timer that measures how long after its time it fires. Past a limit what would be sent on
// is refused at once, as it would only come later still, and make everything else later.

import { type Counters, G } from '../counters.ts';
import { errorReply } from '../resp3/encode.ts';

/** Milliseconds between two measurements. */
const INTERVAL = 100;

export interface LagLimit {
  /** Milliseconds; 0: any. May change at any time. */
  lag: number;
}

/**
 * Measures until the returned function is called. `shed` gets the reply to what would be sent on, or null for none.
 */
export function watchLoopLag(
  limit: LagLimit,
  counters: Counters,
  shed: (reply: Buffer | null) => void,
): () => void {
  let due = performance.now() + INTERVAL;
  const timer = setInterval(() => {
    const now = performance.now();
    const lag = Math.max(0, now - due);
    due = now + INTERVAL;
    counters[G.loopLag] = lag / 1000;
    shed(limit.lag > 0 && lag > limit.lag ? refusal(lag, limit.lag) : null);
  }, INTERVAL).unref();
  return () => clearInterval(timer);
}

function refusal(lag: number, most: number): Buffer {
  return errorReply(
    `BUSY heatsink: it is ${Math.round(lag)} ms behind, and past ${most} ms (shed.lag) nothing is sent on`,
  );
}
