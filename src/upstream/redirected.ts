// A tracked connection whose invalidations the server sends to another one: for reads of another protocol version,
// database or user than those of the connection that receives the pushes.

import { clock } from '../clock.ts';
import { encodeRequest } from '../resp3/encode.ts';
import { Backoff, jittered } from './backoff.ts';
import type { Lane } from './lane.ts';
import type { LaneOptions } from './lane-options.ts';

/**
 * What entries are served on: until when it is proven that every invalidation has arrived. Each life of a tracked
 * connection has one of its own, so that its loss ends all that was filled over it at once.
 */
export interface Proof {
  /** On `clock.ms`; -Infinity once nobody vouches any more. */
  until: number;
  /** On `clock.ms`: until when it held, once nobody vouches any more. */
  heldUntil: number;
}

/** A proof that has ended. */
export function noProof(): Proof {
  return { until: Number.NEGATIVE_INFINITY, heldUntil: Number.NEGATIVE_INFINITY };
}

/** A proof that holds until then, on `clock.ms`, and may be prolonged. */
export function proofUntil(until: number): Proof {
  return { until, heldUntil: until };
}

/** Nobody vouches any more for what was filled on it. */
export function endProof(proof: Proof): void {
  if (proof.until === Number.NEGATIVE_INFINITY) return;
  proof.heldUntil = Math.min(proof.until, clock.ms);
  proof.until = Number.NEGATIVE_INFINITY;
}

/** Makes a lane to a node for that space, that says `handshake` behind what every lane says. */
export type MakeTrackedLane = (
  space: number,
  extra: Pick<LaneOptions, 'unasked' | 'opened' | 'lost'>,
  handshake: Buffer[],
) => Lane;

export interface RedirectedOptions {
  readonly space: number;
  readonly makeLane: MakeTrackedLane;
  /** The server's id of the connection that receives the pushes. */
  readonly target: string;
  /** The proof of that connection now. */
  readonly proof: () => Proof;
  /** What was filled over this connection is void. */
  readonly lost: () => void;
}

/** Until a server that refused is asked again, in milliseconds. */
const REFUSED_RETRY = 30_000;

export class Redirected {
  proof: Proof = noProof();
  readonly lane: Lane;
  #up = false;
  #retryAt = Number.NEGATIVE_INFINITY;
  readonly #backoff = new Backoff();

  constructor({ space, makeLane, target, proof, lost }: RedirectedOptions) {
    this.lane = makeLane(
      space,
      {
        opened: () => {
          this.#up = true;
          this.#backoff.reset();
          this.proof = proofUntil(proof().until);
        },
        lost: (reason) => {
          this.#up = false;
          this.#retryAt = clock.tick() + (isRefusal(reason) ? jittered(REFUSED_RETRY) : this.#backoff.next());
          lost();
        },
      },
      [encodeRequest(['CLIENT', 'TRACKING', 'ON', 'REDIRECT', target])],
    );
  }

  /** Whether reads may be sent on it now. While it is down it connects, for the next one. */
  get usable(): boolean {
    if (!this.#up && clock.ms >= this.#retryAt) this.lane.connect();
    return this.#up;
  }
}

/** Whether the server's words mean that it will not track such a connection, not that it cannot now. */
export function isRefusal(words: string): boolean {
  return /^(NOPERM|NOPROTO|NOAUTH|WRONGPASS|ERR unknown)/i.test(words);
}
