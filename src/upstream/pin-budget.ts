// How many pinned connections there may be, over all nodes and workers, and which must go to make room.

import type { Quota } from '../quota.ts';

/** Where connections wait for their next user. */
export interface IdlePins {
  /** Closes the one that has waited longest; there is one. */
  closeIdle(): void;
}

export class PinBudget {
  readonly quota: Quota;
  /** Those in which any waits. */
  readonly idle = new Set<IdlePins>();
  /** Tells the other workers that one of theirs that waits would be of use here. */
  readonly #wanted: () => void;

  constructor(quota: Quota, wanted: () => void) {
    this.quota = quota;
    this.#wanted = wanted;
  }

  /** Takes room for one more; false when there is none. */
  claim(): boolean {
    if (this.quota.claim()) return true;
    if (this.makeRoom()) return this.quota.claim();
    this.#wanted();
    return false;
  }

  /** Closes a connection that nobody uses, if there is one. */
  makeRoom(): boolean {
    for (const pool of this.idle) {
      pool.closeIdle();
      return true;
    }
    return false;
  }
}
