// Reads while heatsink only observes: each goes upstream by itself, and what would have become of it is counted.

import type { Flight, Flights } from '../../cache/flights.ts';
import type { Versions } from '../../cache/versions.ts';
import { C, type Counters } from '../../counters.ts';
import type { Heat } from '../../hotkeys/heat.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Lane } from '../../upstream/lane.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';
import type { ObservedFills } from './observed-fills.ts';

export interface ObservedReadsOptions {
  readonly flights: Flights;
  readonly fills: ObservedFills;
  readonly versions: Versions;
  readonly counters: Counters;
  readonly tierOn: boolean;
}

export class ObservedReads {
  readonly #on: ObservedReadsOptions;
  /** Flights in the air behind which one more would be boarding, by the place of their request. */
  readonly #boarding = new WeakMap<Flight, number>();

  constructor(options: ObservedReadsOptions) {
    this.#on = options;
  }

  /** As SharedReads does, but nothing is shared. */
  serve(
    session: Session,
    frame: RequestFrame,
    request: Request,
    node: UpstreamNode,
    lane: Lane,
    heat: Heat | null,
  ): void {
    const { flights, fills, versions, counters, tierOn } = this.#on;
    const { buf, start, end } = frame;
    const flight = flights.find(request.hash, request.space, buf, start, end);
    const shares = flight !== null && !versions.writing(request.keyHash) && this.#joins(flight);
    if (flight === null) flights.list(request);
    if (shares) {
      node.load.spared++;
      counters[C.observedShared]++;
    }
    session.enqueue(request);
    request.repeatable = true;
    counters[C.forwarded]++;
    counters[C.sentRead]++;
    // What is shared neither hits nor fills.
    if (heat !== null && tierOn && !shares) fills.observe(request, heat, lane);
    lane.send(request, buf, start, end);
  }

  /** Whether it would find company: one that is in the air takes nobody, and the first who waits behind it is sent. */
  #joins(flight: Flight): boolean {
    if (!flight.sent) return true;
    // A flight is used again for other requests: when it was begun tells them apart.
    if (this.#boarding.get(flight) === flight.begunAt) return true;
    this.#boarding.set(flight, flight.begunAt);
    return false;
  }
}
