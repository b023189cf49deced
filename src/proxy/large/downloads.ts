// Replies that are too large to be held: they pass through to the client as they come. On a lane that others share,
// a slow client would hold up everybody behind it; so there the reply is read and thrown away, and its read is sent
// again over a connection of the client's own (asides.ts), at once the next time.

import type { Flights } from '../../cache/flights.ts';
import type { Tier } from '../../cache/tier.ts';
import type { Versions } from '../../cache/versions.ts';
import { clock } from '../../clock.ts';
import { C, type Counters } from '../../counters.ts';
import type { Detector } from '../../hotkeys/detector.ts';
import { hashBytes, viewOf } from '../../resp3/hash.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import { type Carrier, LATER, type LargeReply } from '../../upstream/call.ts';
import { holdBytes } from '../../upstream/outgoing.ts';
import type { PinBudget } from '../../upstream/pin-budget.ts';
import type { Topology } from '../../upstream/topology.ts';
import type { Fills } from '../reads/fills.ts';
import type { LastValues } from '../reads/last-values.ts';
import { NO_WRITE, type Request, recycle } from '../request.ts';
import type { Sizes } from '../seen/sizes.ts';
import type { Session } from '../session.ts';
import type { Writes } from '../writes.ts';

/** Places for reads whose replies were large, by the hash of the request; one replaces another. */
const PLACES = 1 << 12;
const MASK = PLACES - 1;
/** How long a reply is expected to be large after it was, in milliseconds. */
const EXPECTED_FOR = 10_000;

const NOTHING = Buffer.alloc(0);
/** Enough of a reply for the line that says its length. */
const FIRST_LINE = 32;

export interface DownloadsOptions {
  readonly topology: Topology;
  readonly flights: Flights;
  readonly fills: Fills;
  readonly tier: Tier;
  readonly versions: Versions;
  readonly detector: Detector;
  readonly lastValues: LastValues;
  readonly writes: Writes;
  readonly pinned: PinBudget;
  readonly sizes: Sizes;
  readonly counters: Counters;
}

export class Downloads {
  /** On `clock.ms`: until then it is worth asking `expects`. */
  knownUntil = Number.NEGATIVE_INFINITY;
  readonly #on: DownloadsOptions;
  readonly #hashes = new Int32Array(PLACES);
  readonly #until = new Float64Array(PLACES);

  constructor(options: DownloadsOptions) {
    this.#on = options;
  }

  /** Whether the read in `frame` had a large reply not long ago, and can go aside without overtaking anything. */
  expects(session: Session, { view, start, end }: RequestFrame): boolean {
    if (session.pins !== null || session.writing > 0 || !this.#hasRoom()) return false;
    const hash = hashBytes(view, start, end);
    return this.#hashes[hash & MASK] === hash && this.#until[hash & MASK] > clock.ms;
  }

  /** What becomes of the reply of at least that size to a request, which has begun to come over that lane. */
  take(request: Request, lane: Carrier, size: number): LargeReply | typeof LATER | null {
    const { session } = request;
    // The tier may be told to keep replies as large as that.
    const mayBeKept = request.mayFill || request.fill !== null;
    if (mayBeKept && size <= this.#on.tier.options.maxEntryBytes) return null;
    if (request.repeatable) this.#expect(request);
    if (lane.options.once === true) {
      if (session !== null && session.waiting !== request) return LATER;
      return this.#passing(request, lane);
    }
    // Where all connections that there may be are taken, it is gathered on the one that it is on.
    if (!this.#hasRoom()) return null;
    if (request.fill !== null) this.#on.fills.giveUp(request.fill);
    request.fill = null;
    for (const passenger of this.#leave(request)) this.#sendAside(passenger, lane);
    if (session === null) return this.#passing(request, lane);
    if (request.mayRepeat) return this.#diverted(request, lane);
    // It cannot be asked for again: who keeps up gets it as it comes.
    return session.waiting === request && !session.slow ? this.#passing(request, lane) : null;
  }

  /** Whether one more connection may be pinned; it is taken when the read's turn has come. */
  #hasRoom(): boolean {
    const { pinned } = this.#on;
    if (!pinned.claim()) return false;
    pinned.quota.release();
    return true;
  }

  #expect({ chunk, offset, length }: Request): void {
    const { buf } = chunk as { buf: Buffer };
    const hash = hashBytes(viewOf(buf), offset, offset + length);
    this.#hashes[hash & MASK] = hash;
    this.knownUntil = this.#until[hash & MASK] = clock.ms + EXPECTED_FOR;
  }

  /** Takes those who share the read, or wait for the next one, out of it: each with its own bytes of the request. */
  #leave(flight: Request): Request[] {
    if (!flight.listed && flight.joined === null) return [];
    const { flights } = this.#on;
    const boarding = flights.landed(flight) as Request | null;
    const passengers = [...takeJoined(flight), ...(boarding === null ? [] : takeJoined(boarding))];
    const { buf } = flight.chunk as { buf: Buffer };
    for (const passenger of passengers) {
      passenger.repeatable = true;
      if (passenger.session === null) recycle(passenger);
      else holdBytes(passenger, buf, flight.offset, flight.offset + flight.length);
    }
    if (boarding !== null) {
      flights.landed(boarding);
      recycle(boarding);
    }
    return passengers.filter(({ session }) => session !== null);
  }

  /** Sends the read over a connection of its client's, to the node from which the reply came. */
  #sendAside(request: Request, { options }: Carrier): void {
    const { topology } = this.#on;
    const replica = options.replica === true ? topology.replicas?.known(options)?.node : null;
    request.session?.sendAside(request, replica ?? topology.at(options.host, options.port));
  }

  #diverted(request: Request, lane: Carrier): LargeReply {
    return {
      begin: () => this.#sendAside(request, lane),
      part() {},
      ended() {},
      broken() {},
    };
  }

  /** Whatever the tiers keep of its keys may be older than this reply, and must not be served after it. */
  #outdate({ keyHash, keyHashes }: Request): void {
    const { detector, versions, lastValues } = this.#on;
    for (const hash of keyHashes ?? [keyHash])
      if (lastValues.on || detector.mayBeHot(hash)) versions.invalidate(hash);
  }

  /** To the request's client, who has got all replies before; to nobody when it has gone. */
  #passing(request: Request, lane: Carrier): LargeReply {
    const { writes, sizes, counters } = this.#on;
    let head = NOTHING;
    let bytes = 0;
    return {
      begin: () => {
        counters[C.largeReads]++;
        // What a replica says may be older than what is kept.
        if (lane.options.replica !== true) this.#outdate(request);
        if (request.writes === NO_WRITE) return;
        writes.end(request);
        request.writes = NO_WRITE;
        if (request.session !== null) request.session.writing--;
      },
      part(buf, start, end) {
        if (bytes === 0) head = Buffer.from(buf.subarray(start, Math.min(end, start + FIRST_LINE)));
        bytes += end - start;
        request.session?.part(buf, start, end);
      },
      ended() {
        sizes.streamed(request, request.space, head, bytes);
        if (request.session === null) recycle(request);
        else request.session.complete(request, NOTHING, 0, 0);
      },
      // Nothing else can take the place of bytes that are missing.
      broken() {
        counters[C.failed]++;
        if (request.session === null) recycle(request);
        else request.session.kill();
      },
    };
  }
}

function takeJoined(flight: Request): Request[] {
  const taken: Request[] = [];
  for (let at = flight.joined as Request | null; at !== null; at = at.nextJoined as Request | null)
    taken.push(at);
  flight.joined = null;
  flight.lastJoined = null;
  return taken;
}
