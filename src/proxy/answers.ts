// What happens when the outcome of a request is known: redirections are followed, writes end, fills are
// published, everybody who shared the read is answered, and the flight that was boarding departs.

import type { Flights } from '../cache/flights.ts';
import type { Tier } from '../cache/tier.ts';
import { ASKS_OTHER, ASKS_VALUES, type Witness } from '../cache/witness.ts';
import { clock } from '../clock.ts';
import { elementsOf } from '../commands/elements.ts';
import { C, type Counters } from '../counters.ts';
import type { Detector } from '../hotkeys/detector.ts';
import { errorReply } from '../resp3/encode.ts';
import { hashBytes, viewOf } from '../resp3/hash.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import type { Call, CallOwner, Carrier, LATER, LargeReply } from '../upstream/call.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { REPLACED, type Topology } from '../upstream/topology.ts';
import type { CopyReads } from './reads/copy-reads.ts';
import type { Fills } from './reads/fills.ts';
import type { LastValues } from './reads/last-values.ts';
import type { LeaseAnswer, LeaseWaits } from './reads/lease-waits.ts';
import type { Negatives } from './reads/negatives.ts';
import { type Redirects, UNSERVED } from './redirects.ts';
import { NO_WRITE, type Request, recycle, share } from './request.ts';
import type { Sizes } from './seen/sizes.ts';
import type { Writes } from './writes.ts';

export const SLOT_UNSERVED = errorReply(UNSERVED);

export interface AnswersOptions {
  readonly tier: Tier;
  readonly flights: Flights;
  readonly detector: Detector;
  readonly topology: Topology;
  readonly redirects: Redirects;
  readonly fills: Fills;
  readonly negatives: Negatives;
  readonly writes: Writes;
  readonly witness: Witness;
  /** Replies that are too large to be held. */
  readonly downloads: {
    take(request: Request, lane: Carrier, size: number): LargeReply | typeof LATER | null;
  };
  readonly lastValues: LastValues;
  readonly sizes: Sizes;
  /** Null where no key can have copies. */
  readonly copies: CopyReads | null;
  /** Null where no rule gives leases. */
  readonly leases: LeaseWaits | null;
  readonly counters: Counters;
}

export class Answers implements CallOwner {
  readonly #on: AnswersOptions;

  constructor(options: AnswersOptions) {
    this.#on = options;
  }

  replied(call: Call, buf: Buffer, start: number, end: number): void {
    const request = call as Request;
    if (buf[start] === TYPE.error) {
      const { redirects, counters } = this.#on;
      const fill = request.fill;
      // Wherever it is sent on to, it does not come back over the tracked connection.
      request.fill = null;
      if (redirects.follow(request, buf, start, end, (node) => laneOf(request, node))) {
        fill?.heat.gone();
        // Its client's writes must not overtake it on its way round.
        if (request.session !== null && !request.shared) share(request.session, request);
        return;
      }
      request.fill = fill;
      counters[C.failed]++;
    } else if (request.mayFill && request.fill === null && this.#on.lastValues.on) {
      this.#on.lastValues.superseded(request.keyHash);
    }
    this.settle(request, buf, start, end);
  }

  failed(call: Call, reason: string, sent: boolean): void {
    const request = call as Request;
    const elsewhere = reason.endsWith(`(${REPLACED})`) && (!sent || request.mayRepeat);
    const node = request.fill !== null || elsewhere ? this.#ownerOf(request) : null;
    // Whatever it is answered with now is not the reply to the fill.
    request.fill?.heat.gone();
    request.fill = null;
    // That a tracked connection broke is no reason to fail a read either.
    if (node !== null && (!sent || this.#mayRetry(node))) {
      laneOf(request, node).resend(request);
      return;
    }
    const last = reason.startsWith('-') ? null : this.#on.lastValues.take(request);
    if (last !== null) {
      if (request.trace !== null) request.trace.outcome = 'stale_on_error';
      this.settle(request, last, 0, last.length);
      return;
    }
    this.#on.counters[C.failed]++;
    const bytes = failure(reason, sent);
    this.settle(request, bytes, 0, bytes.length);
  }

  large(call: Call, lane: Carrier, size: number): LargeReply | typeof LATER | null {
    return this.#on.downloads.take(call as Request, lane, size);
  }

  /** Sends a read that has its bytes to its key's own node. */
  toOwner(request: Request): void {
    const node = this.#ownerOf(request);
    if (node === null) this.settle(request, SLOT_UNSERVED, 0, SLOT_UNSERVED.length);
    else laneOf(request, node).resend(request);
  }

  #mayRetry(node: UpstreamNode): boolean {
    const may = node.retries.take();
    this.#on.counters[may ? C.retried : C.retriesRefused]++;
    return may;
  }

  /** Gives out the final reply. The request, and all that joined it, must not be used any more. */
  settle(request: Request, buf: Buffer, start: number, end: number): void {
    const { sizes } = this.#on;
    if (end - start > sizes.above || request.length > sizes.above)
      sizes.look(request, request.space, buf, start, end);
    if (request.writes !== NO_WRITE) this.#on.writes.end(request);
    if (request.negative) this.#on.negatives.saw(request.keyHash, buf, start);
    if (request.load !== null) request.load.bytes += end - start;
    if (request.fill !== null) this.#on.fills.publish(request, request.fill, buf, start, end);
    else if (request.asks !== ASKS_OTHER || request.mayFill) this.#saw(request, buf, start, end);
    const answer = request.lease ? (this.#on.leases?.answer(request, buf, start, end) ?? null) : null;
    if (request.listed || request.joined !== null) this.#land(request, buf, start, end, answer);
    else finish(request, buf, start, end, answer);
  }

  /** Whatever the tiers keep that this answer of a server shows to be old must not be served after it. */
  #saw(request: Request, buf: Buffer, start: number, end: number): void {
    if (request.asks === ASKS_VALUES) this.#sawValues(request, buf, start, end);
    else if (this.#on.detector.mayBeHot(request.keyHash) && buf[start] !== TYPE.error)
      this.#on.witness.saw(request, buf, start, end);
  }

  #sawValues({ keyHash: only, keyHashes, space }: Request, buf: Buffer, start: number, end: number): void {
    const { detector, witness } = this.#on;
    if (keyHashes === null && !detector.mayBeHot(only)) return;
    const hashes = keyHashes ?? [only];
    if (!hashes.some((keyHash) => detector.mayBeHot(keyHash))) return;
    const elements = elementsOf(buf.subarray(start, end));
    if (elements === null || elements.count !== hashes.length) return;
    for (const [i, keyHash] of hashes.entries()) {
      const [from, to] = [start + elements.bounds[i], start + elements.bounds[i + 1]];
      if (detector.mayBeHot(keyHash)) witness.sawValue(space, keyHash, buf, from, to);
    }
  }

  #land(request: Request, buf: Buffer, start: number, end: number, answer: LeaseAnswer | null): void {
    const boarding = this.#on.flights.landed(request) as Request | null;
    let passenger = request.joined as Request | null;
    finish(request, buf, start, end, answer);
    while (passenger !== null) {
      const next = passenger.nextJoined as Request | null;
      finish(passenger, buf, start, end, answer);
      passenger = next;
    }
    if (boarding !== null) this.depart(boarding);
  }

  /** Sends a read for those who have joined it, or answers it from the tier. */
  depart(flight: Request): void {
    const { tier, fills, detector, counters, copies } = this.#on;
    const { buf } = flight.chunk as { buf: Buffer };
    const end = flight.offset + flight.length;
    const view = viewOf(buf);
    // Published by the flight before: whoever asked a moment later would have hit it.
    const entry = tier.find(hashBytes(view, flight.offset, end), flight.space, view, flight.offset, end);
    if (entry !== null && tier.valid(entry, clock.ms)) {
      this.settle(flight, entry.reply, 0, entry.reply.length);
      return;
    }
    const node = this.#ownerOf(flight);
    if (node === null) {
      this.settle(flight, SLOT_UNSERVED, 0, SLOT_UNSERVED.length);
      return;
    }
    const heat = detector.hot(flight.keyHash);
    if (heat !== null && copies?.send(flight, heat, buf, flight.offset, end)) return;
    const mayFill = flight.mayFill && flight.load === null;
    const tracked = heat === null || !mayFill ? null : fills.trackedLane(flight, heat, node);
    const lane = tracked ?? node.lane(flight.space, 0);
    if (tracked !== null && heat !== null) {
      const key = buf.subarray(flight.offset + flight.keyStart, flight.offset + flight.keyEnd);
      fills.begin(flight, heat, node, lane, key);
    } else {
      counters[C.sentRead]++;
    }
    lane.resend(flight);
  }

  #ownerOf(request: Request) {
    const { buf } = request.chunk as { buf: Buffer };
    return this.#on.topology.ownerOf(buf, request.offset + request.keyStart, request.offset + request.keyEnd);
  }
}

/** The error for a call that got no reply. */
export function failure(reason: string, sent: boolean): Buffer {
  if (reason.startsWith('-')) return errorReply(reason.slice(1));
  return errorReply(
    sent
      ? `ERR heatsink: the connection to ${reason} broke before the reply; the command may have been executed`
      : `ERR heatsink: cannot reach ${reason}; the command was not sent`,
  );
}

/** The lane of the request's client to that node; any for a request that no client leads. */
function laneOf(request: Request, node: UpstreamNode): Carrier {
  return request.session?.laneTo(node) ?? node.lane(request.space, 0);
}

function finish(request: Request, buf: Buffer, start: number, end: number, answer: LeaseAnswer | null): void {
  if (answer?.keeps(request)) return;
  if (request.session === null) recycle(request);
  else request.session.complete(request, buf, start, end);
}
