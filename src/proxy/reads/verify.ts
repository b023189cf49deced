// Heatsink's promise, watched while it serves: of every so many hits one is read from the server as well. The same
// answer is what is promised. Another one is allowed only until the server's push ends the entry, and how long that
// takes is counted; an entry that outlives the promise is a mistake, which is logged, counted and ended.

import type { Entry, Tier } from '../../cache/tier.ts';
import type { Versions } from '../../cache/versions.ts';
import { clock } from '../../clock.ts';
import { C, type Counters, G } from '../../counters.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import { Call } from '../../upstream/call.ts';
import { releaseBytes } from '../../upstream/outgoing.ts';
import type { Topology } from '../../upstream/topology.ts';

export interface VerifierOptions {
  readonly tier: Tier;
  readonly versions: Versions;
  readonly topology: Topology;
  readonly counters: Counters;
  /** `tier.verifyShare` of all hits, and the promise in milliseconds; may change at any time. */
  readonly limits: { readonly verifyShare: number; readonly maxStaleness: number };
  readonly mismatch: (key: Buffer) => void;
}

/** Hits until somebody asks again whether to verify at all. */
const NEVER = 2 ** 20;
/** Between two looks at an entry that is known to be old, in milliseconds. */
const LOOK = 1;

export class Verifier {
  readonly #on: VerifierOptions;

  constructor(options: VerifierOptions) {
    this.#on = options;
  }

  /** How many hits to let pass before the next is verified: drawn, so that no pattern of reads can hide from it. */
  draw(): number {
    const { verifyShare } = this.#on.limits;
    return verifyShare === 0 ? NEVER : Math.ceil(Math.random() * 2 * (1 / verifyShare - 0.5));
  }

  /** Reads what that entry, which was just served, says from the server. */
  verify(entry: Entry): void {
    const { topology, counters, limits } = this.#on;
    // What is kept for a time makes no promise.
    if (limits.verifyShare === 0 || entry.proof.until === Number.POSITIVE_INFINITY) return;
    const { buffer, byteOffset, byteLength } = entry.request;
    const bytes = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
    const node = topology.ownerOf(bytes, entry.keyStart, entry.keyEnd);
    if (node === null) return;
    const call = new Call({
      replied: (_, buf, start, end) => {
        releaseBytes(call);
        if (buf[start] !== TYPE.error) this.#compare(entry, buf.subarray(start, end));
      },
      failed: releaseBytes,
    });
    call.repeatable = true;
    counters[C.sentVerify]++;
    const lane = node.lane(entry.space, 0);
    lane.send(call, bytes, 0, bytes.length);
    lane.seal();
  }

  #compare(entry: Entry, reply: Buffer): void {
    const { tier, counters } = this.#on;
    if (reply.equals(entry.reply)) counters[C.verifiedSame]++;
    else if (!tier.valid(entry, clock.ms)) counters[C.verifiedChanged]++;
    else this.#watch(entry, clock.ms);
  }

  /** The server has another value, and the entry can still be served. */
  #watch(entry: Entry, since: number): void {
    const { tier, counters, limits, versions } = this.#on;
    const age = clock.tick() - since;
    if (!tier.valid(entry, clock.ms)) {
      counters[C.verifiedStale]++;
      counters[C.staleSeconds] += age / 1000;
      counters[G.worstStaleness] = Math.max(counters[G.worstStaleness], age / 1000);
    } else if (age > limits.maxStaleness) {
      counters[C.verifiedMismatch]++;
      versions.invalidate(entry.keyHash);
      const { buffer, byteOffset } = entry.request;
      const { keyStart, keyEnd } = entry;
      this.#on.mismatch(Buffer.from(buffer as ArrayBuffer, byteOffset + keyStart, keyEnd - keyStart));
    } else {
      setTimeout(() => this.#watch(entry, since), LOOK);
    }
  }
}
