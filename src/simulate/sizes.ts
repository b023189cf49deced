// How large replies are, of which MONITOR does not tell: of some requests a second the key's size is asked for, so that
// soon those of all hot keys are known.

import type { Redis } from 'ioredis';
import { LINE_BREAK } from './recording.ts';

/** Questions a second to all masters together, and requests that are remembered as asked about. */
const PER_SECOND = 100;
const ASKED_MAX = 100_000;
/** Their reply is all of the value. */
const WHOLE = new Set(['get', 'hgetall', 'hvals', 'smembers', 'json.get']);

/** Asks about requests as it sees them, and writes lines with the sizes. */
export function sampleSizes(write: (line: string) => void) {
  const asked = new Set<string>();
  let left = PER_SECOND;
  const timer = setInterval(() => {
    left = PER_SECOND;
  }, 1000);
  return {
    /** A request as it is recorded, of that key, has gone to the master that `control` asks. */
    saw(control: Redis, name: string, described: string, key: () => Buffer): void {
      if (left === 0 || !WHOLE.has(name) || asked.size >= ASKED_MAX || asked.has(described)) return;
      left--;
      asked.add(described);
      control.call('MEMORY', 'USAGE', key()).then(
        (bytes) => {
          if (typeof bytes === 'number') write(`= ${bytes} ${described}${LINE_BREAK}`);
        },
        // Who may not ask has a recording without sizes.
        () => {},
      );
    },
    stop: () => clearInterval(timer),
  };
}
