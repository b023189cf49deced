// The upstream's users that clients have shown to be: each has connections of its own, which are closed a while after
// the last client of that user has gone.

import type { Identity } from '../upstream/space.ts';

export interface IdentitiesOptions {
  /** How many may be known at once, in use or not. */
  readonly most: number;
  /** Milliseconds that one is kept when nobody uses it. */
  readonly idle: number;
  /** Closes all that was opened for it. */
  readonly close: (identity: Identity) => void;
}

interface Known {
  readonly identity: Identity;
  readonly key: string;
  /** Clients that it has now. */
  clients: number;
  /** When the last one left, in the time of `sweep`. */
  idleSince: number;
}

export class Identities {
  readonly #options: IdentitiesOptions;
  readonly #byKey = new Map<string, Known>();
  readonly #known = new WeakMap<Identity, Known>();

  constructor(options: IdentitiesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** The identity for one more client; null when there are too many. Bytes are latin1. */
  take(username: string, password: string): Identity | null {
    // No length can be mistaken for a part of the name.
    const key = `${username.length}:${username}${password}`;
    let known = this.#byKey.get(key);
    if (known === undefined) {
      if (this.#byKey.size >= this.#options.most && !this.#dropIdle()) return null;
      known = { identity: { username, password }, key, clients: 0, idleSince: 0 };
      this.#byKey.set(key, known);
      this.#known.set(known.identity, known);
    }
    known.clients++;
    return known.identity;
  }

  /** A client of it has gone. */
  give(identity: Identity, now: number): void {
    const known = this.#known.get(identity);
    if (known === undefined) return;
    known.clients--;
    known.idleSince = now;
  }

  /** Closes what has been idle for long; to be called from time to time. */
  sweep(now: number): void {
    for (const known of this.#byKey.values())
      if (known.clients === 0 && now - known.idleSince >= this.#options.idle) this.#close(known);
  }

  /** Closes the one that has been idle for the longest; false when all are in use. */
  #dropIdle(): boolean {
    let oldest: Known | null = null;
    for (const known of this.#byKey.values())
      if (known.clients === 0 && (oldest === null || known.idleSince < oldest.idleSince)) oldest = known;
    if (oldest !== null) this.#close(oldest);
    return oldest !== null;
  }

  #close({ key, identity }: Known): void {
    this.#byKey.delete(key);
    this.#known.delete(identity);
    this.#options.close(identity);
  }
}
