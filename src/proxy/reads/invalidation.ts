// Everything that ends entries of the tier, besides time and the writes of heatsink's own clients: the server's
// pushes, flushes, lost tracked connections, slots with a new owner, keys that are not hot any more.

import type { Tier } from '../../cache/tier.ts';
import type { Versions } from '../../cache/versions.ts';
import { clock } from '../../clock.ts';
import { C, type Counters } from '../../counters.ts';
import { hashBytes, viewOf } from '../../resp3/hash.ts';
import { slotOf } from '../../upstream/slot.ts';

export class Invalidation {
  readonly #tier: Tier;
  readonly #versions: Versions;
  readonly #counters: Counters;
  readonly #limits: { readonly staleOnError: number };
  #sweep: NodeJS.Timeout | undefined;

  /** `limits`: for how many milliseconds what was lost is kept, should its node be out of reach; may change. */
  constructor(tier: Tier, versions: Versions, counters: Counters, limits: { readonly staleOnError: number }) {
    this.#tier = tier;
    this.#versions = versions;
    this.#counters = counters;
    this.#limits = limits;
  }

  /** The server says that the key `buf[start, end)` has changed. */
  keyChanged(buf: Buffer, start: number, end: number): void {
    const keyHash = hashBytes(viewOf(buf), start, end);
    // First, so that a fill in flight is not published either.
    this.#versions.invalidate(keyHash);
    this.#counters[C.invalidatedByPush]++;
    this.#tier.dropChanged(keyHash);
  }

  /** All that was filled on proofs that have ended is void. They say so themselves; here the memory is given back. */
  voided(why: 'flush' | 'loss'): void {
    if (why === 'loss' && this.#limits.staleOnError > 0) {
      this.#sweep ??= setTimeout(() => this.#dropLost(), this.#limits.staleOnError).unref();
      return;
    }
    const dropped = this.#tier.dropWhere((entry) => entry.proof.until === Number.NEGATIVE_INFINITY);
    this.#counters[why === 'flush' ? C.invalidatedByFlush : C.invalidatedByLoss] += dropped;
  }

  close(): void {
    clearTimeout(this.#sweep);
  }

  /** Drops what was kept after its proof has ended, once it is too old to be served. */
  #dropLost(): void {
    this.#sweep = undefined;
    const oldest = clock.tick() - this.#limits.staleOnError;
    let kept = 0;
    this.#counters[C.invalidatedByLoss] += this.#tier.dropWhere(({ proof }) => {
      if (proof.until !== Number.NEGATIVE_INFINITY) return false;
      if (proof.heldUntil < oldest) return true;
      kept++;
      return false;
    });
    if (kept > 0) this.#sweep = setTimeout(() => this.#dropLost(), this.#limits.staleOnError).unref();
  }

  /**
   * Slots have a new owner. A missing key that was cached is the worst of it: the old owner never tells of it
   * again. Fills in flight see the new topology generation.
   */
  slotsMoved(moved: (slot: number) => boolean): void {
    this.#counters[C.invalidatedByMove] += this.#tier.dropWhere(({ request, keyStart, keyEnd }) => {
      const bytes = new Uint8Array(request.buffer, request.byteOffset, request.byteLength);
      return moved(slotOf(bytes, keyStart, keyEnd));
    });
  }

  /** A key cools: from now on nobody looks whether something of it is kept, so nothing may be. */
  readonly cooling = (keyHash: number): void => {
    this.#versions.invalidate(keyHash);
  };

  /** It has: what is kept leaves, so that its reads are seen again. */
  readonly cooled = (keyHash: number): void => {
    this.#tier.dropKey(keyHash);
  };
}
