// What the clients of a load were told, for the reckoning at its end: how far each counter must be, and all that
// was wrong.

/** What heatsink says of a write that was on its way when its connection broke: nobody knows whether it was done. */
const UNKNOWN = /; the command may have been executed$/;

export interface LedgerOptions {
  /** Whether this error may be shown for these keys; none for a request without keys. */
  readonly allowed: (words: string, keys: readonly string[]) => boolean;
  /** Whether the servers themselves may lose what they have acknowledged, and so count twice to the same number. */
  readonly mayLose: boolean;
}

interface Counter {
  /** Acknowledged, and kept whatever happens. */
  done: number;
  /** Acknowledged, but perhaps lost since by the servers; or not known to have been executed. */
  maybe: number;
  /** The numbers that were handed out. */
  readonly seen: Set<string>;
}

export class Ledger {
  /** Everything that no client may see; empty when all is well. */
  readonly wrong: string[] = [];
  /** How often clients saw each error, with the digits of its words as 0. */
  readonly errors = new Map<string, number>();
  /** Errors in all. */
  errorCount = 0;
  readonly #options: LedgerOptions;
  readonly #counters = new Map<string, Counter>();

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Names of the counters that were asked for. */
  get counters(): string[] {
    return [...this.#counters.keys()];
  }

  /** Acknowledged additions to all counters. */
  get done(): number {
    return Array.from(this.#counters.values(), ({ done }) => done).reduce((sum, done) => sum + done, 0);
  }

  /** Takes down an error reply, given without its `-`. */
  error(words: string, keys: readonly string[], asked: readonly string[]): void {
    this.errorCount++;
    const kind = words.replace(/\d+/g, '0');
    this.errors.set(kind, (this.errors.get(kind) ?? 0) + 1);
    if (!this.#options.allowed(words, keys)) this.wrong.push(`${asked.join(' ')}: ${words}`);
  }

  /** Compares a reply with the one that is due; errors are judged by `error`. */
  expect(reply: string, due: string, asked: string): void {
    if (reply !== due && !reply.startsWith('-')) this.wrong.push(`${asked}: ${reply} in place of ${due}`);
  }

  /** One addition to that counter was answered with its new number, or an error. `safe`: it cannot be lost. */
  count(name: string, reply: string, safe: boolean): void {
    const counter = this.#counters.get(name) ?? { done: 0, maybe: 0, seen: new Set() };
    this.#counters.set(name, counter);
    if (reply.startsWith(':')) {
      if (safe) counter.done++;
      else counter.maybe++;
      if (counter.seen.has(reply) && !this.#options.mayLose) this.wrong.push(`${name}: ${reply} came twice`);
      counter.seen.add(reply);
    } else if (UNKNOWN.test(reply)) {
      counter.maybe++;
    }
  }

  /** What is wrong with a counter's last number. */
  audit(name: string, last: number): string[] {
    const { done, maybe } = this.#counters.get(name) ?? { done: 0, maybe: 0 };
    if (last >= done && last <= done + maybe) return [];
    return [`${name} is ${last} after ${done} acknowledged and ${maybe} doubtful additions`];
  }
}
