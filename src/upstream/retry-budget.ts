// How many reads may be sent a second time: a token bucket, so that a node that breaks its connections again and
// again is not asked twice for everything.

import { clock } from '../clock.ts';

export class RetryBudget {
  readonly #perSecond: number;
  #tokens: number;
  #filledAt = clock.ms;

  /** It begins with, and never holds more than, what a second gives; 0 gives nothing. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
  }

  /** Whether one more may be sent again now. */
  take(): boolean {
    const gained = ((clock.ms - this.#filledAt) * this.#perSecond) / 1000;
    this.#filledAt = clock.ms;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + gained);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
