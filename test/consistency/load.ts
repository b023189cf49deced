// Many clients on few keys: enough of them to keep a core of heatsink busy, each with a depth of its own.

import { CHANCY_WRITES, type Form, LIBRARY, READS, WRITES } from './forms.ts';
import { PipelinedClient, type Task } from './pipelined-client.ts';
import type { Random } from './random.ts';
import { readAll, request, type Subject, taskOf, writeAll } from './tasks.ts';

export interface LoadOptions {
  readonly random: Random;
  readonly subjects: readonly Subject[];
  /** The load ends after so many operations on keys. */
  readonly operations: number;
  /** It goes on until this has ended, too. */
  readonly meanwhile?: (progress: Progress) => Promise<void>;
}

export interface Progress {
  operations(): number;
  /** Whether there have been operations enough. */
  enough(): boolean;
}

/** The share of writes among all that a client of `mixed` does. */
const WRITE_SHARE = 0.05;

export class Load {
  /** By their words, without addresses. */
  readonly errors = new Map<string, number>();
  readonly #options: LoadOptions;
  readonly #clients: PipelinedClient[] = [];
  #busy = false;
  #stopped = false;
  #counted = 0;
  #countAgain = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** A client that reads any subject, and writes if told so. */
  mixed(port: number, protocol: 2 | 3, depth: number, writes = WRITE_SHARE): void {
    const { random, subjects } = this.#options;
    this.#join(port, protocol, depth, 0, () =>
      random.next() < writes ? anyWrite(random, subjects) : anyRead(random, subjects),
    );
  }

  /**
   * The one writer of a subject: its values are in order. It rests for so many milliseconds between two. What it
   * sees where it writes the readers elsewhere need not know.
   */
  writer(port: number, protocol: 2 | 3, subject: Subject, pause: number, forms = WRITES[subject.kind]): void {
    const { random } = this.#options;
    this.#join(port, protocol, 1, pause, () => taskOf(subject, random.of(forms), true));
  }

  /** A client of which every task is made by `next`. */
  client(port: number, protocol: 2 | 3, depth: number, pause: number, next: () => Task): void {
    this.#join(port, protocol, depth, pause, next);
  }

  /** Runs until there is enough; milliseconds that it took. */
  async run(): Promise<number> {
    const { meanwhile, operations } = this.#options;
    const began = performance.now();
    const progress = { operations: () => this.operations, enough: () => this.operations >= operations };
    if (meanwhile !== undefined) {
      this.#busy = true;
      meanwhile(progress)
        .catch((error) => this.#error(`what happened meanwhile failed: ${error}`))
        .finally(() => {
          this.#busy = false;
        });
    }
    await Promise.all(this.#clients.map(({ ended }) => ended));
    return performance.now() - began;
  }

  /** Ends the load, whatever is still to be done. */
  stop(): void {
    this.#stopped = true;
  }

  /** How many operations on keys were recorded. */
  get operations(): number {
    return this.#options.subjects.reduce((sum, { history }) => sum + history.length, 0);
  }

  #join(port: number, protocol: 2 | 3, depth: number, pause: number, make: () => Task): void {
    const next = () => (this.#enough() ? null : make());
    const error = (text: string) => this.#error(text);
    this.#clients.push(new PipelinedClient({ port, protocol, depth, pause, next, error }));
  }

  #enough(): boolean {
    if (this.#stopped) return true;
    if (this.#busy) return false;
    if (--this.#countAgain <= 0) {
      this.#countAgain = 100;
      this.#counted = this.operations;
    }
    return this.#counted >= this.#options.operations;
  }

  #error(text: string): void {
    const words = text.replace(/\d+\.\d+\.\d+\.\d+:\d+/g, '<node>').replace(/\d{2,}/g, '<number>');
    this.errors.set(words, (this.errors.get(words) ?? 0) + 1);
  }
}

/** Mostly the usual way of reading, so that there is something in the tier to be wrong. */
export function anyRead(random: Random, subjects: readonly Subject[]): Task {
  const subject = random.of(subjects);
  if (random.next() < 0.05) {
    const several = subjects.filter(({ kind }) => kind === 'string' || kind === 'counter');
    if (several.length > 1) return readAll([random.of(several), random.of(several), random.of(several)]);
  }
  const forms = READS[subject.kind];
  return taskOf(subject, random.next() < 0.7 ? forms[0] : random.of(forms));
}

function anyWrite(random: Random, subjects: readonly Subject[]): Task {
  const subject = random.of(subjects);
  const strings = subjects.filter(({ kind }) => kind === 'string');
  if (random.next() < 0.1 && strings.length > 1) {
    const first = random.below(strings.length);
    const other = (first + 1 + random.below(strings.length - 1)) % strings.length;
    return writeAll([strings[first], strings[other]]);
  }
  const forms: readonly Form[] = random.next() < 0.2 ? CHANCY_WRITES[subject.kind] : [];
  return taskOf(subject, random.of(forms.length > 0 ? forms : WRITES[subject.kind]));
}

/** Loads the functions that the forms call, on all masters. */
export async function loadLibrary(port: number): Promise<void> {
  let failed = '';
  const text = request(['FUNCTION', 'LOAD', 'REPLACE', LIBRARY]);
  const task: Task = { text, replies: 1, wanted: 0, invoked: 0, client: '', took() {}, lost() {} };
  let asked = false;
  const client = new PipelinedClient({
    port,
    protocol: 3,
    depth: 1,
    error: (text) => {
      failed = text;
    },
    next: () => {
      if (asked) return null;
      asked = true;
      return task;
    },
  });
  await client.ended;
  if (failed !== '') throw new Error(failed);
}
