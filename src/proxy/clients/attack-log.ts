// Says in the log that somebody speaks HTTP, and not more often than once in a while: an attacker has many requests.

import { clock } from '../../clock.ts';

/** Milliseconds between two lines, as in Redis. */
const INTERVAL = 60_000;

/** To be called with the address of each client that does. */
export function attackLog(log: { warn(fields: object, text: string): void }): (address: string) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (address) => {
    if (clock.ms - last < INTERVAL) return;
    last = clock.ms;
    log.warn(
      { address },
      'possible attack: somebody sends POST or Host: as commands, as if to make a browser speak to heatsink (cross ' +
        'protocol scripting); the connection was closed',
    );
  };
}
