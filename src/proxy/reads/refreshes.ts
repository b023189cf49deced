// Refresh ahead, by rule: what is kept of a hot key is read again shortly before its time is up, by one read that no
// client waits for, so that readers of the key never do. When exactly is drawn, so that several heatsinks, or several
// keys that were filled at once, do not read again at once.
// A. Vattani, F. Chierichetti, K. Lowenstein: Optimal Probabilistic Cache Stampede Prevention, PVLDB 8(8), 2015.

import { type Flights, flightHash } from '../../cache/flights.ts';
import type { Entry, Tier } from '../../cache/tier.ts';
import type { Versions } from '../../cache/versions.ts';
import type { Asks } from '../../cache/witness.ts';
import { clock } from '../../clock.ts';
import { C, type Counters } from '../../counters.ts';
import type { Detector } from '../../hotkeys/detector.ts';
import type { CallOwner } from '../../upstream/call.ts';
import { holdBytes } from '../../upstream/outgoing.ts';
import type { Topology } from '../../upstream/topology.ts';
import { recycle, takeRequest } from '../request.ts';
import type { Fills } from './fills.ts';

export interface RefreshesOptions {
  readonly tier: Tier;
  readonly versions: Versions;
  readonly flights: Flights;
  readonly fills: Fills;
  readonly detector: Detector;
  readonly topology: Topology;
  readonly answers: CallOwner;
  readonly counters: Counters;
}

/** A fill that is faster counts as long as this, in milliseconds: timers and busy threads are not more exact. */
const LEAST_FILL = 10;
/** Of an entry's life, the part before which it is not read again. */
const EARLIEST = 0.5;
/** From one read of an entry to the next one, at the least, in milliseconds. */
const PAUSE = 5;

export class Refreshes {
  readonly #on: RefreshesOptions;

  constructor(options: RefreshesOptions) {
    this.#on = options;
  }

  /** Has an entry read again that was filled by a read sent at `sentAt` (`clock.ms`). */
  plan(entry: Entry, asks: Asks, lease: boolean, sentAt: number): void {
    const now = clock.ms;
    const wait = Math.max(PAUSE, dueAt(entry, sentAt, now, Math.random()) - now);
    // The tier clears it when the entry goes.
    entry.refresh = setTimeout(() => this.#refresh(entry, asks, lease), wait).unref();
  }

  #refresh(entry: Entry, asks: Asks, lease: boolean): void {
    const { versions, flights, fills, detector, topology, answers, counters } = this.#on;
    entry.refresh = null;
    clock.tick();
    const heat = detector.hot(entry.keyHash);
    if (heat === null || !versions.current(entry.keyHash, entry.version, entry.epoch)) return;
    const { byteOffset, byteLength } = entry.request;
    const bytes = Buffer.from(entry.request.buffer as ArrayBuffer, byteOffset, byteLength);
    const node = topology.ownerOf(bytes, entry.keyStart, entry.keyEnd);
    if (node === null) return;
    const request = takeRequest(answers);
    request.space = entry.space;
    request.hash = flightHash(entry.keyHash, entry.request, 0, byteLength);
    request.keyHash = entry.keyHash;
    request.keyStart = entry.keyStart;
    request.keyEnd = entry.keyEnd;
    request.asks = asks;
    request.mayFill = true;
    request.lease = lease;
    request.stamp = versions.stamp(entry.keyHash);
    request.repeatable = true;
    const flying = flights.find(request.hash, request.space, bytes, 0, byteLength) !== null;
    const lane = flying ? null : fills.trackedLane(request, heat, node);
    if (lane === null) {
      recycle(request);
      return;
    }
    flights.list(request);
    holdBytes(request, bytes, 0, byteLength);
    counters[C.refreshes]++;
    fills.begin(request, heat, node, lane, bytes.subarray(entry.keyStart, entry.keyEnd));
    lane.resend(request);
  }
}

/**
 * When the entry is to be read again, on `clock.ms`; `random` is from 0 to 1. One that ends with its key cannot be read
 * ahead, as the key would say the same: it is read when the key has expired, and what is there then is kept.
 */
export function dueAt(entry: Entry, sentAt: number, now: number, random: number): number {
  if (entry.expiresAt <= entry.deadline) return entry.deadline + 1;
  const took = Math.max(now - sentAt, LEAST_FILL);
  // The paper draws from an exponential distribution; once the fill's own time is needed in any case.
  const lead = took * (1 - Math.log(1 - random));
  return entry.deadline - Math.min(lead, (entry.deadline - sentAt) * EARLIEST);
}
