// Reads that others may share: they join one that has not left yet, or are sent for all who come after. The read
// of a hot key goes over the tracked connection and fills the tier.

import type { Flight, Flights } from '../../cache/flights.ts';
import type { KeySettings } from '../../cache/rules.ts';
import type { Versions } from '../../cache/versions.ts';
import { C, type Counters } from '../../counters.ts';
import type { Heat } from '../../hotkeys/heat.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Lane } from '../../upstream/lane.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import { holdBytes } from '../../upstream/outgoing.ts';
import type { Answers } from '../answers.ts';
import { type Request, share, takeRequest } from '../request.ts';
import type { Session } from '../session.ts';
import type { CopyReads } from './copy-reads.ts';
import type { Fills } from './fills.ts';
import type { Negatives, Warmth } from './negatives.ts';

/** Requests up to this size may be kept and shared; looking longer ones up costs more than it could save. */
export const SHARED_MAX = 1024;

import type { Question } from './lease-lines.ts';

export interface SharedReadsOptions {
  readonly flights: Flights;
  readonly fills: Fills;
  readonly versions: Versions;
  readonly answers: Answers;
  readonly counters: Counters;
  readonly tierOn: boolean;
  readonly negatives: Negatives;
  /** Null where no key can have copies. */
  readonly copies: CopyReads | null;
}

export class SharedReads {
  readonly #on: SharedReadsOptions;

  constructor(options: SharedReadsOptions) {
    this.#on = options;
  }

  /** Serves the read in `frame`; `lane` is the client's own to `node`, `heat` that of the key when it is hot. */
  serve(
    session: Session,
    frame: RequestFrame,
    request: Request,
    node: UpstreamNode,
    lane: Lane,
    heat: Heat | null,
    settings: KeySettings,
  ): void {
    const { flights, fills, tierOn, versions, counters, copies } = this.#on;
    const { buf, start, end } = frame;
    const flight = flights.find(request.hash, request.space, buf, start, end);
    if (flight === null) {
      flights.list(request);
    } else if (!versions.writing(request.keyHash)) {
      // One of those who board is sent.
      if (!flight.sent || flight.boarding !== null) node.load.spared++;
      this.#join(session, flight, request, buf, start, end);
      return;
    }
    session.enqueue(request);
    request.repeatable = true;
    counters[C.forwarded]++;
    if (heat !== null && copies?.send(request, heat, buf, start, end)) {
      share(session, request);
      return;
    }
    const warmth = heat ?? (settings.negative && request.mayFill ? this.#negative(request) : null);
    const mayFill = request.mayFill && request.load === null;
    const tracked = warmth !== null && mayFill ? fills.trackedLane(request, warmth, node) : null;
    if (warmth !== null && tracked !== null) {
      share(session, request);
      fills.begin(request, warmth, node, tracked, keyOf(request, buf, start));
      tracked.send(request, buf, start, end);
      return;
    }
    if (heat === null) warmth?.gone();
    const untracked = heat !== null && tierOn && settings.consistency === 'ttl';
    if (untracked) fills.begin(request, heat, null, lane, keyOf(request, buf, start));
    else counters[C.sentRead]++;
    lane.send(request, buf, start, end);
  }

  /** What a fill is for that is not hot, but was missing when it was asked for last. */
  #negative(request: Request): Warmth | null {
    const { negatives } = this.#on;
    request.negative = true;
    return negatives.expects(request.keyHash) ? negatives.begin(request.keyHash) : null;
  }

  /** Reads that again for requests that have their places, and were answered in no way so far. */
  again(question: Question, askers: readonly Request[]): void {
    const { flights, answers } = this.#on;
    const { bytes } = question;
    const flying = flights.find(question.hash, question.space, bytes, 0, bytes.length);
    let flight = flying;
    if (flight === null || flight.sent || flight.boarding !== null) {
      flight = flying?.boarding ?? this.#boarding(question, bytes, 0, bytes.length);
      if (flying !== null) flying.boarding = flight;
    }
    takePart(flight as Request, question);
    for (const asker of askers) {
      if (asker.session !== null) share(asker.session, asker);
      flight.join(asker);
    }
    if (flying !== null) return;
    flights.list(flight);
    answers.depart(flight as Request);
  }

  #join(session: Session, flight: Flight, request: Request, buf: Buffer, start: number, end: number): void {
    this.#on.counters[C.coalesced]++;
    let joined = flight;
    // One that is sent again is on the ground once more, but behind those who board already.
    if (flight.sent || flight.boarding !== null) {
      flight.boarding ??= this.#boarding(request, buf, start, end);
      joined = flight.boarding;
    }
    session.enqueue(request);
    share(session, request);
    if (request.lease) takePart(joined as Request, request);
    joined.join(request);
  }

  /** A flight of its own, that no client leads: it is sent when the one in the air has landed. */
  #boarding(like: Request | Question, buf: Buffer, start: number, end: number): Request {
    const flight = takeRequest(this.#on.answers);
    flight.space = like.space;
    flight.hash = like.hash;
    flight.keyHash = like.keyHash;
    flight.keyStart = like.keyStart;
    flight.keyEnd = like.keyEnd;
    flight.mayFill = like.mayFill;
    flight.fanOut = like.fanOut;
    flight.asks = like.asks;
    flight.lease = like.lease;
    flight.stamp = like.stamp;
    flight.repeatable = true;
    holdBytes(flight, buf, start, end);
    return flight;
  }
}

/** Whoever began the flight: what its answer means for those who join it must be asked. */
function takePart(flight: Request, { stamp }: { readonly stamp: number }): void {
  if (flight.lease) return;
  flight.lease = true;
  flight.stamp = stamp;
}

function keyOf(request: Request, buf: Buffer, start: number): Buffer {
  return buf.subarray(start + request.keyStart, start + request.keyEnd);
}
