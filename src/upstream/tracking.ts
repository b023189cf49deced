// The tracked connections to one primary: fills travel here, so that the server promises to tell of every
// change (CLIENT TRACKING, default mode), and a keyed probe proves again and again that nothing was missed.
//
//   RESP3 lane   reads for RESP3 clients, all invalidation pushes, the probe
//   RESP2 lane   reads for RESP2 clients; its invalidations are redirected to the RESP3 lane
//
// https://redis.io/docs/latest/develop/reference/client-side-caching/

import { clock } from '../clock.ts';
import { C, type Counters } from '../counters.ts';
import { encodeRequest, type Protocol } from '../resp3/encode.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import { Call } from './call.ts';
import type { Lane, LaneOptions } from './lane.ts';
import { releaseBytes } from './outgoing.ts';

/**
 * What entries are served on: until when it is proven that every invalidation has arrived. Each life of the
 * tracked connections has one of its own, so that a loss ends all that was filled in it at once.
 */
export interface Proof {
  /** On `clock.ms`; -Infinity once nobody vouches any more. */
  until: number;
}

export interface TrackerOptions {
  /** Makes a lane to this node that says `handshake` behind what every lane says. */
  readonly makeLane: (
    protocol: Protocol,
    extra: Pick<LaneOptions, 'unasked' | 'opened' | 'lost'>,
    handshake: Buffer[],
  ) => Lane;
  /** The oldest proof on which entries are served, in milliseconds; may change at any time. */
  readonly limits: { readonly maxStaleness: number };
  /** A key in a slot of this node, for the probe; null when it has none. */
  readonly probeKey: () => string | null;
  readonly counters: Counters;
  /** The key `buf[start, end)` has changed. */
  readonly invalidated: (buf: Buffer, start: number, end: number) => void;
  /** All that was filled on this proof is void: the node was flushed, or a tracked connection was lost. */
  readonly voided: (proof: Proof, why: 'flush' | 'loss') => void;
  readonly refused: (words: string) => void;
  /** The node refuses the probe's key: perhaps it does not own the slot any more. */
  readonly misrouted: () => void;
}

export type TrackingState = 'connecting' | 'on' | 'refused' | 'closed';

/** A tracked connection that leaves the probe unanswered for so many times `maxStaleness` is given up. */
const SILENCE = 4;
/** Until lost connections are opened again, in milliseconds; doubles up to the last. */
const RETRY_FIRST = 50;
const RETRY_LAST = 1000;
/** Until a server that refused is asked again: somebody may have changed its ACL. */
const REFUSED_RETRY = 30_000;
const INVALIDATE = Buffer.from('$10\r\ninvalidate\r\n');

export class Tracker {
  state: TrackingState = 'connecting';
  proof: Proof = { until: Number.NEGATIVE_INFINITY };
  /** `clock.ms` of the sending of the last probe that was answered. */
  provenAt = Number.NEGATIVE_INFINITY;

  readonly #options: TrackerOptions;
  #pushes: Lane | null = null;
  #redirected: Lane | null = null;
  #redirectedUp = false;
  #clientId = '';
  #timer: NodeJS.Timeout | undefined;
  /** `clock.ms` of the probe that has no answer yet, or null. */
  #probeSentAt: number | null = null;
  #retryAfter = RETRY_FIRST;

  constructor(options: TrackerOptions) {
    this.#options = options;
    this.#open();
  }

  /** The lane on which a read for clients of that protocol is tracked; null while there is none. */
  lane(protocol: Protocol): Lane | null {
    if (this.state !== 'on' || this.proof.until < clock.ms) return null;
    if (protocol === 3) return this.#pushes;
    if (this.#redirected === null) this.#openRedirected();
    return this.#redirectedUp ? this.#redirected : null;
  }

  /** Milliseconds since the last proof was asked for, null before the first. */
  get proofAge(): number | null {
    return this.provenAt === Number.NEGATIVE_INFINITY ? null : clock.tick() - this.provenAt;
  }

  /** Voids what was filled so far, and goes on: entries may be filled anew at once. */
  void(why: 'flush' | 'loss'): void {
    const old = this.proof;
    this.proof = { until: old.until };
    old.until = Number.NEGATIVE_INFINITY;
    this.#options.voided(old, why);
  }

  close(): void {
    this.state = 'closed';
    clearTimeout(this.#timer);
    const lanes = [this.#pushes, this.#redirected];
    this.#pushes = null;
    this.#redirected = null;
    for (const lane of lanes) lane?.close();
    this.void('loss');
    this.proof.until = Number.NEGATIVE_INFINITY;
  }

  #open(): void {
    if (this.state === 'closed') return;
    this.state = 'connecting';
    const lane: Lane = this.#options.makeLane(
      3,
      {
        unasked: (buf, start, end) => this.#pushed(buf, start, end),
        opened: (replies) => {
          this.#clientId = String(replies.at(-2)).slice(1, -2);
          this.state = 'on';
          this.#retryAfter = RETRY_FIRST;
          this.#probe(lane);
        },
        lost: (reason) => this.#lost(lane, reason),
      },
      [encodeRequest(['CLIENT', 'ID']), encodeRequest(['CLIENT', 'TRACKING', 'ON'])],
    );
    this.#pushes = lane;
    lane.connect();
  }

  #openRedirected(): void {
    const lane: Lane = this.#options.makeLane(
      2,
      {
        opened: () => {
          this.#redirectedUp = this.#redirected === lane;
        },
        lost: (reason) => this.#lost(lane, reason),
      },
      [encodeRequest(['CLIENT', 'TRACKING', 'ON', 'REDIRECT', this.#clientId])],
    );
    this.#redirected = lane;
    lane.connect();
  }

  /** One connection lost is both lost: what was filled over either can no longer be vouched for. */
  #lost(lane: Lane, reason: string): void {
    if (lane !== this.#pushes && lane !== this.#redirected) return;
    const others = [this.#pushes, this.#redirected];
    this.#pushes = null;
    this.#redirected = null;
    this.#redirectedUp = false;
    for (const other of others) other?.close();
    this.void('loss');
    this.proof.until = Number.NEGATIVE_INFINITY;
    if (this.state === 'closed') return;
    const refused = /^(NOPERM|NOPROTO|ERR unknown)/i.test(reason);
    this.state = refused ? 'refused' : 'connecting';
    if (refused) this.#options.refused(reason);
    clearTimeout(this.#timer);
    this.#retryAfter = Math.min(this.#retryAfter * 2, RETRY_LAST);
    this.#timer = setTimeout(() => this.#open(), refused ? REFUSED_RETRY : this.#retryAfter).unref();
  }

  /**
   * Replies and pushes of one connection are in order, so the reply proves that every invalidation up to the
   * probe's execution is in. It names a key because a primary without majority refuses keys, but not PING.
   */
  #probe(lane: Lane): void {
    clearTimeout(this.#timer);
    if (lane !== this.#pushes) return;
    this.#timer = setTimeout(() => this.#probe(lane), this.#options.limits.maxStaleness / 4).unref();
    const sentAt = clock.tick();
    if (this.#probeSentAt !== null) {
      if (sentAt - this.#probeSentAt > this.#options.limits.maxStaleness * SILENCE)
        lane.breakUp('no answer to the probe');
      return;
    }
    const key = this.#options.probeKey();
    if (key === null) return;
    const done = (call: Call): void => {
      releaseBytes(call);
      this.#probeSentAt = null;
    };
    const call = new Call({
      replied: (_, buf, start) => {
        done(call);
        if (buf[start] === TYPE.error) this.#options.misrouted();
        if (buf[start] !== TYPE.integer || lane !== this.#pushes) return;
        this.provenAt = sentAt;
        this.proof.until = sentAt + this.#options.limits.maxStaleness;
      },
      failed: done,
    });
    this.#probeSentAt = sentAt;
    this.#options.counters[C.sentProbe]++;
    const request = encodeRequest(['EXISTS', key]);
    lane.send(call, request, 0, request.length);
  }

  /** `>2 invalidate [keys]`, or null instead of the keys when everything was flushed. */
  #pushed(buf: Buffer, start: number, end: number): true {
    let at = buf.indexOf(10, start) + 1;
    if (buf.compare(INVALIDATE, 0, INVALIDATE.length, at, Math.min(at + INVALIDATE.length, end)) !== 0)
      return true;
    at += INVALIDATE.length;
    if (buf[at] !== TYPE.array) {
      this.void('flush');
      return true;
    }
    at = buf.indexOf(10, at) + 1;
    while (at < end) {
      const line = buf.indexOf(10, at) + 1;
      const keyEnd = line + Number(buf.toString('latin1', at + 1, line - 2));
      this.#options.invalidated(buf, line, keyEnd);
      at = keyEnd + 2;
    }
    return true;
  }
}
