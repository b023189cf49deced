// Sweeps that are owed: one at a time, each tried until it has succeeded.

import type { Logger } from 'pino';
import { C, type Counters } from '../counters.ts';
import { Backoff } from '../upstream/backoff.ts';
import { rest } from './listen.ts';
import { type Since, type SweepOptions, sweep } from './sweep.ts';

export interface OwedSweepsOptions extends SweepOptions {
  /** Since when something may have been missed. */
  readonly since: () => Since;
  readonly counters: Counters;
  readonly log: Logger;
}

/** Earlier than every time that PostgreSQL knows. */
const EVER = '-infinity';

export class OwedSweeps {
  readonly #options: OwedSweepsOptions;
  #recent = false;
  #all = false;
  #running = false;

  constructor(options: OwedSweepsOptions) {
    this.#options = options;
  }

  /** Whether one is under way, or owed. */
  get running(): boolean {
    return this.#running;
  }

  /** What changed since it was last known that nothing is missed must be found; or all that there is. */
  owe(what: 'recent' | 'all'): void {
    const { sql, pattern, log } = this.#options;
    if (sql === null && pattern === null) {
      log.warn('there is no sweep: keys of rows that changed while nobody listened stay as they are');
      return;
    }
    if (what === 'all') this.#all = true;
    else this.#recent = true;
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    const { signal, log } = this.#options;
    const backoff = new Backoff();
    let said = '';
    this.#running = true;
    while ((this.#recent || this.#all) && !signal.aborted) {
      const trouble = await this.#sweep();
      if (trouble === null || signal.aborted) continue;
      if (trouble !== said) log.warn({ reason: trouble }, 'the sweep failed: trying again');
      said = trouble;
      await rest(backoff.next(), signal);
    }
    this.#running = false;
  }

  /** Why it failed, or null. */
  async #sweep(): Promise<string | null> {
    const { since, counters, log } = this.#options;
    const all = this.#all;
    this.#recent = false;
    this.#all = false;
    try {
      const { keys, misfit } = await sweep(this.#options, all ? EVER : since());
      counters[C.sweepsDone]++;
      log.info({ keys }, 'swept');
      if (misfit !== null) log.warn({ reason: misfit }, 'a row of the sweep does not fit');
      return null;
    } catch (error) {
      this.#recent = true;
      this.#all ||= all;
      counters[C.sweepsFailed]++;
      return (error as Error).message;
    }
  }
}
