// Keys that wait to be deleted: taken in batches, tried again until heatsink has deleted them. A key that waits is
// there once, however often its row changes meanwhile.

import type { Logger } from 'pino';
import { C, type Counters } from '../counters.ts';
import { Backoff } from '../upstream/backoff.ts';
import type { Call } from '../worker/inside-client.ts';

export interface DeletesOptions {
  /** Sends a command through heatsink. */
  readonly call: Call;
  readonly counters: Counters;
  readonly log: Logger;
  /** Keys that may wait. */
  readonly most: number;
  /** All that waited was given up, as it was too much. */
  readonly gaveUp: (keys: number) => void;
}

/** Keys of one UNLINK, which goes to their nodes in parts where the upstream is a cluster. */
export const BATCH = 500;
/** How often what closes looks whether all is done, in milliseconds. */
const CLOSE_POLL = 10;

export class Deletes {
  readonly #options: DeletesOptions;
  /** By key: with which `add` it came. The oldest are first. */
  readonly #waiting = new Map<string, number>();
  /** Those that are being deleted: one of them that is added now must be deleted once more. */
  #flying: (readonly [key: string, added: number])[] = [];
  #added = 0;
  #working = false;
  #closed = false;
  /** Ends the pause between two tries. */
  #wake = () => {};

  constructor(options: DeletesOptions) {
    this.#options = options;
  }

  /** How often keys were added. */
  get added(): number {
    return this.#added;
  }

  get #size(): number {
    return this.#waiting.size + this.#flying.length;
  }

  /** Takes keys; they are deleted from the next turn on, so that all that comes in one burst goes together. */
  add(keys: readonly string[]): void {
    if (keys.length === 0) return;
    this.#added++;
    for (const key of keys) if (!this.#waiting.has(key)) this.#waiting.set(key, this.#added);
    if (this.#size > this.#options.most) this.#giveUp();
    else if (!this.#working) setImmediate(() => void this.#work());
  }

  /** Whether all keys of the first `added` times are deleted. */
  settled(added: number): boolean {
    const [oldest] = this.#flying.length > 0 ? [this.#flying[0][1]] : this.#waiting.values();
    return oldest === undefined || oldest > added;
  }

  /** Goes on for at most that many milliseconds while keys wait; returns how many it leaves. */
  async close(grace: number): Promise<number> {
    const until = performance.now() + grace;
    while (this.#size > 0 && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, CLOSE_POLL));
    this.#closed = true;
    this.#wake();
    return this.#size;
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    const backoff = new Backoff();
    let failing = false;
    while (!this.#closed && this.#size > 0) {
      const trouble = await this.#deleteSome();
      if (trouble !== null) {
        if (!failing)
          this.#options.log.warn({ ...trouble, keys: this.#size }, 'keys cannot be deleted for now');
        await this.#pause(backoff.next());
      } else if (failing) {
        this.#options.log.info('keys can be deleted again');
        backoff.reset();
      }
      failing = trouble !== null;
    }
    this.#working = false;
  }

  /** What went wrong, or null. A batch that failed, or may have, comes again before all others. */
  async #deleteSome(): Promise<{ reason: string } | null> {
    const { call, counters } = this.#options;
    if (this.#flying.length === 0) this.#flying = this.#take();
    const batch = this.#flying;
    try {
      await call('UNLINK', ...batch.map(([key]) => key));
    } catch (error) {
      counters[C.invalidatorFailures]++;
      return { reason: (error as Error).message };
    }
    counters[C.invalidatorDeletes] += batch.length;
    this.#flying = [];
    return null;
  }

  #take(): (readonly [string, number])[] {
    const batch: (readonly [string, number])[] = [];
    for (const entry of this.#waiting) {
      this.#waiting.delete(entry[0]);
      if (batch.push(entry) === BATCH) break;
    }
    return batch;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #giveUp(): void {
    const keys = this.#size;
    this.#waiting.clear();
    this.#flying = [];
    this.#options.counters[C.invalidatorGivenUp] += keys;
    this.#options.gaveUp(keys);
  }
}
