// What a write means for everybody's reads: the versions of its keys go up before it is sent and again when its
// outcome is known, before that goes to the client, and in between nothing is kept or served for them.

import type { Tier } from '../cache/tier.ts';
import type { Versions } from '../cache/versions.ts';
import { C, type Counters } from '../counters.ts';
import { type Request, WRITES_ALL, WRITES_KEY, WRITES_KEYS, WRITES_LATE } from './request.ts';

export class Writes {
  readonly #versions: Versions;
  readonly #tier: Tier;
  readonly #counters: Counters;

  constructor(versions: Versions, tier: Tier, counters: Counters) {
    this.#versions = versions;
    this.#tier = tier;
    this.#counters = counters;
  }

  /** Before the request is handed to a lane. */
  begin(request: Request): void {
    if (request.writes === WRITES_KEY) {
      this.#beginKey(request.keyHash);
    } else if (request.writes === WRITES_KEYS || request.writes === WRITES_LATE) {
      for (const keyHash of request.keyHashes as number[]) this.#beginKey(keyHash);
    } else if (request.writes === WRITES_ALL) {
      this.#versions.writeAllBegun();
      this.#counters[C.invalidatedByFlush] += this.#tier.dropWhere(() => true);
    }
  }

  /** When its reply, its error or the loss of its connection is known. */
  end(request: Request): void {
    if (request.writes === WRITES_KEY) {
      this.#versions.writeEnded(request.keyHash);
    } else if (request.writes === WRITES_KEYS) {
      for (const keyHash of request.keyHashes as number[]) this.#versions.writeEnded(keyHash);
    } else if (request.writes === WRITES_ALL) {
      this.#versions.writeAllEnded();
    } else if (request.writes === WRITES_LATE) {
      const hashes = request.keyHashes as number[];
      for (const keyHash of hashes) this.#versions.writeEnded(keyHash);
      if (hashes.length === 0) this.#endAnything();
    }
  }

  /** It may have changed any key: DEBUG. */
  #endAnything(): void {
    this.#versions.invalidateAll();
    this.#counters[C.invalidatedByFlush] += this.#tier.dropWhere(() => true);
  }

  #beginKey(keyHash: number): void {
    this.#versions.writeBegun(keyHash);
    if (this.#tier.entries > 0) this.#counters[C.invalidatedByWrite] += this.#tier.dropChanged(keyHash);
  }
}
