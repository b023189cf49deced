// What the tier had last of a key whose node is out of reach: `tier.staleOnError`. A value is served past its proof for
// at most that long, never past the key's own expiry, and never once a change of the key is known.

import type { Entry, Tier } from '../../cache/tier.ts';
import type { Versions } from '../../cache/versions.ts';
import { clock } from '../../clock.ts';
import { C, type Counters } from '../../counters.ts';
import { hashBytes, viewOf } from '../../resp3/hash.ts';
import { NO_WRITE, type Request } from '../request.ts';

export interface LastValuesOptions {
  readonly tier: Tier;
  readonly versions: Versions;
  readonly counters: Counters;
  /** `tier.staleOnError` in milliseconds, 0 for never; may change at any time. */
  readonly limits: { readonly staleOnError: number };
}

export class LastValues {
  readonly #on: LastValuesOptions;

  constructor(options: LastValuesOptions) {
    this.#on = options;
  }

  /** Whether any may be served. */
  get on(): boolean {
    return this.#on.limits.staleOnError > 0;
  }

  /** The reply for a read that got none as its node is out of reach, counted as served; null when there is none. */
  take(request: Request): Buffer | null {
    const { session, chunk } = request;
    if (!this.on || chunk === null || request.writes !== NO_WRITE) return null;
    // Who caches by itself would not be told of changes; and nobody overtakes a write of its own.
    if (session !== null && (session.pins !== null || session.writing > 0)) return null;
    const view = viewOf(chunk.buf);
    const end = request.offset + request.length;
    const hash = hashBytes(view, request.offset, end);
    const entry = this.#on.tier.find(hash, request.space, view, request.offset, end);
    if (entry === null || !this.#fit(entry)) return null;
    this.#on.counters[C.staleServed]++;
    for (let other = request.joined; other !== null; other = other.nextJoined)
      this.#on.counters[C.staleServed]++;
    return entry.reply;
  }

  /** The key is being read from its node: what was kept before is not the last value any more, for no worker. */
  superseded(keyHash: number): void {
    const { tier, versions } = this.#on;
    if (tier.dropInvalid(keyHash, clock.ms) > 0) versions.invalidate(keyHash);
  }

  #fit(entry: Entry): boolean {
    const { versions, limits } = this.#on;
    const { proof } = entry;
    const proven = proof.until === Number.NEGATIVE_INFINITY ? proof.heldUntil : proof.until;
    const now = clock.tick();
    return (
      now < entry.expiresAt &&
      now - Math.min(proven, entry.deadline) <= limits.staleOnError &&
      versions.current(entry.keyHash, entry.version, entry.epoch)
    );
  }
}
