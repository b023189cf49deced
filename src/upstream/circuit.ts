// Whether a node can be reached, for all of its connections together.
//
//   closed      connections are made; one that cannot be made opens it
//   open        nobody connects, and calls without a connection fail at once
//   half-open   after a while the node is asked on one connection; an answer closes it, calls still fail meanwhile
//
// What is up stays in use whatever the circuit says: a living connection is the better proof. Only a node that says
// nothing over any connection, and does not answer a new one either, loses those that it has.

import { clock } from '../clock.ts';
import { C, type Counters } from '../counters.ts';
import { Backoff } from './backoff.ts';

export interface CircuitOptions {
  /** Finds out whether the node answers, on a new connection: see `askAlive`. */
  readonly ask: (told: (trouble: string | null) => void) => () => void;
  readonly counters: Counters;
  /** Whether the node is in use; one that is not is asked no more. */
  readonly wanted: () => boolean;
  readonly opened: (reason: string) => void;
  readonly closed: () => void;
  /** The node was silent, and stays so when it is asked. */
  readonly silent: (reason: string) => void;
}

export class Circuit {
  /** Whether it is open or half-open. */
  open = false;
  /** Why the node was out of reach when it was last tried. */
  reason = '';
  /** `clock.ms` when anything came from the node, over any connection; lanes write it. */
  heardAt = clock.ms;

  readonly #options: CircuitOptions;
  readonly #backoff = new Backoff();
  #timer: NodeJS.Timeout | undefined;
  /** Ends the question that is under way. */
  #cancel: (() => void) | null = null;
  /** Whether that question, or the next one, is about a node that has been silent for too long. */
  #aboutSilence = false;
  #askAgain = false;
  /** `clock.ms` since when the node owes answers and says nothing, as far as `watch` has seen. */
  #silentSince = clock.ms;
  #watchedAt = clock.ms;
  #ended = false;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  /** A connection was made. */
  made(): void {
    this.#backoff.reset();
  }

  /** A connection could not be made. */
  unmade(reason: string): void {
    if (this.open || this.#ended) return;
    this.open = true;
    this.reason = reason;
    this.#options.counters[C.circuitOpened]++;
    this.#later();
    this.#options.opened(reason);
  }

  /** A connection was made and then broke too soon: perhaps the node is at fault. Asks it, unless somebody does. */
  suspect(): void {
    if (!this.open && this.#cancel === null) this.#ask(false);
  }

  /**
   * To be called once in a while. Asks the node when it has said nothing for `longest` milliseconds, and up to twice the
   * time between two calls more, although it owed answers; `owing` tells whether it does.
   */
  watch(longest: number, owing: () => boolean): void {
    const now = clock.tick();
    const since = this.#watchedAt;
    this.#watchedAt = now;
    if (this.heardAt > since) this.#silentSince = this.heardAt;
    else if (!owing()) this.#silentSince = now;
    // It may have owed nothing yet for most of the time between two calls.
    else if (since - this.#silentSince > longest) this.#askAboutSilence();
  }

  /** The node is not used any more. */
  close(): void {
    this.#ended = true;
    this.open = false;
    clearTimeout(this.#timer);
    this.#cancel?.();
    this.#cancel = null;
  }

  /** From now on, whatever was asked before. */
  #askAboutSilence(): void {
    if (this.#cancel === null) this.#ask(true);
    else if (!this.#aboutSilence) this.#askAgain = true;
  }

  #later(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#options.wanted()) this.#ask(false);
      // Who still has something for it may try.
      else this.open = false;
    }, this.#backoff.next()).unref();
  }

  #ask(aboutSilence: boolean): void {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#aboutSilence = aboutSilence;
    this.#askAgain = false;
    const begunAt = clock.tick();
    this.#options.counters[C.sentProbe]++;
    this.#cancel = this.#options.ask((trouble) => {
      this.#cancel = null;
      if (trouble === null) {
        this.heardAt = clock.tick();
        this.#close();
      } else {
        this.#unanswered(trouble, begunAt);
      }
    });
  }

  #unanswered(trouble: string, begunAt: number): void {
    // Somebody else had an answer in the meantime: what opens the circuit is a connection that clients need.
    const silent = this.heardAt <= begunAt;
    if (this.open) {
      this.reason = trouble;
      this.#later();
    } else if (silent) {
      this.unmade(trouble);
    }
    if (silent && this.#aboutSilence) this.#options.silent(this.reason);
    if (this.#askAgain) this.#ask(true);
  }

  #close(): void {
    if (!this.open) return;
    this.open = false;
    clearTimeout(this.#timer);
    this.#options.closed();
  }
}
