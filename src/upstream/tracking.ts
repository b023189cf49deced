// The tracked connections to one primary: fills travel here, so that the server promises to tell of every
// change (CLIENT TRACKING, default mode), and a keyed probe proves again and again that nothing was missed.
//
//   pushes       heatsink's own user, RESP3, the first database: its reads, all invalidation pushes, the probe
//   redirected   one per further space; its invalidations are redirected to the first connection
//
// The server tracks names of keys without their database, so a push ends what is kept of the key in every one.
// https://redis.io/docs/latest/develop/reference/client-side-caching/

import { clock } from '../clock.ts';
import { C, type Counters } from '../counters.ts';
import { encodeRequest } from '../resp3/encode.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import { Backoff, jittered } from './backoff.ts';
import { Call } from './call.ts';
import type { Lane } from './lane.ts';
import { releaseBytes } from './outgoing.ts';
import {
  endProof,
  isRefusal,
  type MakeTrackedLane,
  noProof,
  type Proof,
  proofUntil,
  Redirected,
} from './redirected.ts';

export type { Proof } from './redirected.ts';

export interface TrackerOptions {
  readonly makeLane: MakeTrackedLane;
  /** The space of the connection that receives the pushes: RESP3, heatsink's own user. */
  readonly space: number;
  /** The oldest proof on which entries are served, in milliseconds; may change at any time. */
  readonly limits: { readonly maxStaleness: number };
  /** A key in a slot of this node, for the probe; null when it has none. */
  readonly probeKey: () => string | null;
  /** Whether there are databases to be swapped, which the server announces to nobody. */
  readonly watchesSwaps: boolean;
  readonly counters: Counters;
  /** The key `buf[start, end)` has changed. */
  readonly invalidated: (buf: Buffer, start: number, end: number) => void;
  /** Proofs have ended, and what was filled on them is void: the node was flushed, or a connection was lost. */
  readonly voided: (why: 'flush' | 'loss') => void;
  readonly refused: (words: string) => void;
  /** The node refuses the probe's key: perhaps it does not own the slot any more. */
  readonly misrouted: () => void;
}

export type TrackingState = 'connecting' | 'on' | 'refused' | 'closed';

/** A tracked connection that leaves the probe unanswered for so many times `maxStaleness` is given up. */
const SILENCE = 4;
/** Until a server that refused is asked again: somebody may have changed its ACL. */
const REFUSED_RETRY = 30_000;
const COMMAND_STATS = encodeRequest(['INFO', 'commandstats']);
const SWAPS = Buffer.from('cmdstat_swapdb:calls=');
const COMMA = 0x2c;
const INVALIDATE = Buffer.from('$10\r\ninvalidate\r\n');

export class Tracker {
  state: TrackingState = 'connecting';
  proof: Proof = noProof();
  /** `clock.ms` of the sending of the last probe that was answered. */
  provenAt = Number.NEGATIVE_INFINITY;

  readonly #options: TrackerOptions;
  #pushes: Lane | null = null;
  /** By space. */
  readonly #redirected = new Map<number, Redirected>();
  #clientId = '';
  #timer: NodeJS.Timeout | undefined;
  /** `clock.ms` of the probe that has no answer yet, or null. */
  #probeSentAt: number | null = null;
  readonly #backoff = new Backoff();
  /** How often the server has swapped databases, in its own digits; null before it has said so. */
  #swaps: string | null = null;

  /** How many connections the server tracks for it now. */
  get connections(): number {
    const redirected = [...this.#redirected.values()].filter(({ lane }) => lane.state === 'up');
    return (this.state === 'on' ? 1 : 0) + redirected.length;
  }

  constructor(options: TrackerOptions) {
    this.#options = options;
    this.#open();
  }

  /** The lane on which a read of that space is tracked; null while there is none. */
  lane(space: number): Lane | null {
    if (this.state !== 'on' || this.proof.until < clock.ms) return null;
    if (space === this.#options.space) return this.#pushes;
    const redirected = this.#redirected.get(space) ?? this.#redirect(space);
    return redirected.usable ? redirected.lane : null;
  }

  /** What a read vouches on that is sent over the lane of that space now. */
  proofOf(space: number): Proof {
    return this.#redirected.get(space)?.proof ?? this.proof;
  }

  /** Closes the connection of a space that nobody uses any more. */
  forget(space: number): void {
    const redirected = this.#redirected.get(space);
    if (redirected === undefined) return;
    this.#redirected.delete(space);
    redirected.lane.close();
    endProof(redirected.proof);
  }

  /** Milliseconds since the last proof was asked for, null before the first. */
  get proofAge(): number | null {
    return this.provenAt === Number.NEGATIVE_INFINITY ? null : clock.tick() - this.provenAt;
  }

  /** Voids what was filled so far, and goes on: entries may be filled anew at once. */
  void(why: 'flush' | 'loss'): void {
    for (const holder of [this, ...this.#redirected.values()]) {
      const { proof } = holder;
      holder.proof = proofUntil(proof.until);
      endProof(proof);
    }
    this.#options.voided(why);
  }

  /** The node is back: opens the connections at once, if they are to be opened at all. */
  retry(): void {
    if (this.state !== 'connecting' || this.#pushes !== null) return;
    clearTimeout(this.#timer);
    this.#open();
  }

  /** Breaks the connections as if the server had. */
  breakUp(reason: string): void {
    this.#pushes?.breakUp(reason);
  }

  /** Whether the server owes an answer on any of them. */
  get waiting(): boolean {
    const redirected = Array.from(this.#redirected.values(), ({ lane }) => lane);
    return [this.#pushes, ...redirected].some((lane) => lane !== null && lane.pending > 0);
  }

  close(): void {
    this.state = 'closed';
    clearTimeout(this.#timer);
    const lane = this.#pushes;
    this.#pushes = null;
    lane?.close();
    this.#end();
  }

  #open(): void {
    if (this.state === 'closed') return;
    this.state = 'connecting';
    const lane: Lane = this.#options.makeLane(
      this.#options.space,
      {
        unasked: (buf, start, end) => this.#pushed(buf, start, end),
        opened: (replies) => {
          this.#clientId = String(replies.at(-2)).slice(1, -2);
          this.state = 'on';
          this.#backoff.reset();
          this.#probe(lane);
        },
        lost: (reason) => this.#lost(lane, reason),
      },
      [encodeRequest(['CLIENT', 'ID']), encodeRequest(['CLIENT', 'TRACKING', 'ON'])],
    );
    this.#pushes = lane;
    lane.connect();
  }

  #redirect(space: number): Redirected {
    const redirected: Redirected = new Redirected({
      space,
      makeLane: this.#options.makeLane,
      target: this.#clientId,
      proof: () => this.proof,
      lost: () => {
        endProof(redirected.proof);
        this.#options.voided('loss');
      },
    });
    this.#redirected.set(space, redirected);
    return redirected;
  }

  /** With the connection of the pushes all are lost: what was filled over any can no longer be vouched for. */
  #lost(lane: Lane, reason: string): void {
    if (lane !== this.#pushes) return;
    this.#pushes = null;
    this.#end();
    if (this.state === 'closed') return;
    const refused = isRefusal(reason);
    this.state = refused ? 'refused' : 'connecting';
    if (refused) this.#options.refused(reason);
    clearTimeout(this.#timer);
    const wait = refused ? jittered(REFUSED_RETRY) : this.#backoff.next();
    this.#timer = setTimeout(() => this.#open(), wait).unref();
  }

  #end(): void {
    this.void('loss');
    endProof(this.proof);
    const redirected = [...this.#redirected.values()];
    this.#redirected.clear();
    for (const { lane, proof } of redirected) {
      endProof(proof);
      lane.close();
    }
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
        this.#prove(sentAt + this.#options.limits.maxStaleness);
      },
      failed: done,
    });
    this.#probeSentAt = sentAt;
    this.#options.counters[C.sentProbe]++;
    if (this.#options.watchesSwaps) this.#askSwaps(lane);
    const request = encodeRequest(['EXISTS', key]);
    lane.send(call, request, 0, request.length);
  }

  /** Ahead of the probe, so that no proof covers a swap that nobody has noticed. */
  #askSwaps(lane: Lane): void {
    const call = new Call({
      replied: (_, buf, start, end) => {
        releaseBytes(call);
        // Not every user may ask.
        if (buf[start] !== TYPE.error && lane === this.#pushes) this.#countSwaps(buf.subarray(start, end));
      },
      failed: releaseBytes,
    });
    lane.send(call, COMMAND_STATS, 0, COMMAND_STATS.length);
  }

  #countSwaps(stats: Buffer): void {
    const at = stats.indexOf(SWAPS);
    const from = at + SWAPS.length;
    const swaps = at < 0 ? '0' : stats.toString('latin1', from, stats.indexOf(COMMA, from));
    if (this.#swaps !== null && swaps !== this.#swaps) this.void('flush');
    this.#swaps = swaps;
  }

  #prove(until: number): void {
    this.proof.until = until;
    for (const { proof } of this.#redirected.values()) {
      // One that has ended stays so: its connection is down.
      if (proof.until !== Number.NEGATIVE_INFINITY) proof.until = until;
    }
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
