// Miss leases: of all who find a hot key missing, one gets the reply that says so, and with it the right to rebuild
// the key. The others wait until it is there, for `lease.wait` at the most. Whatever may have brought it, a write of
// any worker or the server's push, changes the key's version; then all who asked the same share one more read. While
// that finds nothing they go on waiting, and when the holder is gone or silent the first of them gets the lease.

import { flightHash } from '../../cache/flights.ts';
import { type HeldLease, type LastHolder, type Leases, TAKEN } from '../../cache/leases.ts';
import type { Rules } from '../../cache/rules.ts';
import type { Versions } from '../../cache/versions.ts';
import { clock } from '../../clock.ts';
import type { Command } from '../../commands/command.ts';
import { readsWhole, saysMissing } from '../../commands/whole-reads.ts';
import { C, type Counters } from '../../counters.ts';
import type { Detector } from '../../hotkeys/detector.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import { databaseOf } from '../../upstream/space.ts';
import type { Asker, Request } from '../request.ts';
import { LeaseLines, type Line, type Missing, missingOf, type Question, questionOf } from './lease-lines.ts';

/** `lease.wait` and `lease.hold`, in milliseconds; they may change at any time. */
export interface LeaseLimits {
  wait: number;
  hold: number;
}

export interface LeaseWaitsOptions {
  readonly leases: Leases;
  readonly rules: Rules;
  readonly tierOn: boolean;
  readonly versions: Versions;
  readonly detector: Detector;
  readonly limits: LeaseLimits;
  /** How many requests of one client may wait. */
  readonly most: () => number;
  /** Whether the servers are paused: they would answer no read. */
  readonly paused: () => boolean;
  /** Reads it again, from now on, for all of them. */
  readonly again: (question: Question, askers: readonly Request[]) => void;
  /** Clients were answered outside the work on any server's chunk. */
  readonly answered: () => void;
  readonly counters: Counters;
}

export interface LeaseAnswer {
  /** Whether the one who asked waits; else it gets the reply. */
  keeps(asker: Request): boolean;
}

/** Between two looks at what may have come, in milliseconds. */
const LOOK = 1;
/** After so long it is read again in any case: nobody tells of a write behind heatsink's back to a key not tracked. */
const READ_AGAIN = 100;
/** While a write is under way its end is waited for, for so long: it may be one that waits itself. */
const WRITE_PATIENCE = 10;

const GIVEN_AFTER: Readonly<Record<LastHolder, number>> = {
  present: C.leasePassedSilent,
  gone: C.leasePassedGone,
  nobody: C.leaseGiven,
};

export class LeaseWaits {
  readonly lines = new LeaseLines();
  readonly #on: LeaseWaitsOptions;
  /** Who waits, and has the answer on its way. */
  #asking = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: LeaseWaitsOptions) {
    this.#on = options;
  }

  /** Makes the read in `frame` one that takes part, if there is a rule for its key and its reply can say enough. */
  enlist(frame: RequestFrame, command: Command, request: Request, keyStart: number, keyEnd: number): void {
    if (!readsWhole(command, frame)) return;
    const { buf, view, start, end } = frame;
    const settings = this.#on.rules.of(buf, keyStart, keyEnd);
    if (!settings.lease || settings.consistency === 'off') return;
    request.lease = true;
    request.stamp = this.#on.versions.stamp(request.keyHash);
    request.hash = flightHash(request.keyHash, view, start, end);
    request.keyStart = keyStart - start;
    request.keyEnd = keyEnd - start;
    request.mayFill = this.#on.tierOn && settings.consistency === 'tracked';
  }

  /** What the reply `buf[start, end)` to a read that takes part means for those who asked; null: no more than it says. */
  answer(request: Request, buf: Buffer, start: number, end: number): LeaseAnswer | null {
    const failed = buf[start] === TYPE.error;
    if (!failed && saysMissing(buf, start)) {
      const missing = missingOf(request, Buffer.from(buf.subarray(start, end)));
      return { keeps: (asker) => this.#keeps(asker, missing) };
    }
    if (!failed) this.#on.leases.found(request.keyHash, databaseOf(request.space), request.begunAt);
    if (this.lines.none && this.#asking === 0) return null;
    const { space, bytes } = questionOf(request);
    const reply = buf.subarray(start, end);
    return {
      keeps: (asker) => {
        if (asker.waitUntil !== 0) this.#waited(failed ? C.leaseWaitEnded : C.leaseWaitFound);
        if (!failed) this.#answerEarlier(asker, this.lines.of(space, bytes), reply);
        return false;
      },
    };
  }

  /** The lease of a key, for who looks from outside; null for none. */
  stateOf(keyHash: number): { heldMs: number | null; waiters: number } | null {
    const age = this.#on.leases.age(keyHash);
    const heldMs = age !== null && age < this.#on.limits.hold ? age : null;
    const waiters = this.lines.count(keyHash);
    return heldMs === null && waiters === 0 ? null : { heldMs, waiters };
  }

  /** The leases that the client still has. */
  heldBy(session: Asker): readonly HeldLease[] {
    if (session.leases.length > 0)
      session.leases = session.leases.filter((lease) => this.#on.leases.has(lease));
    return session.leases;
  }

  /** Its waiting reads are answered with what they found. */
  end(session: Asker): void {
    for (const line of this.lines.all())
      this.#giveUp(line, C.leaseWaitEnded, (one) => one.session === session);
  }

  /** The client says nothing more: it rebuilds nothing, and nothing is kept from it. */
  leaves(session: Asker): void {
    this.#release(session);
    this.end(session);
  }

  /** It is gone: nobody but its queue has its requests from now on. */
  forget(session: Asker): void {
    this.#release(session);
    if (session.leaseWaits === 0) return;
    for (const line of this.lines.all())
      for (const request of this.lines.take(line, (one) => one.session === session)) request.ready = true;
  }

  /** From now on nobody waits. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const line of this.lines.all()) this.#giveUp(line, C.leaseWaitEnded, () => true);
    this.#on.answered();
  }

  #release(session: Asker): void {
    for (const lease of session.leases) this.#on.leases.release(lease);
    session.leases = [];
  }

  /** Whether the asker waits; else it gets the reply that says that the key is missing. */
  #keeps(request: Request, missing: Missing): boolean {
    const { leases, detector, limits } = this.#on;
    const { session } = request;
    const { keyHash, db } = missing;
    const waited = request.waitUntil !== 0;
    // A key that many wait for may cool meanwhile, as they ask no more.
    const cold = !waited && leases.free(keyHash, db, limits.hold) && !detector.isHot(keyHash);
    if (session === null || this.#stopped || cold) {
      if (waited) this.#waited(C.leaseWaitEnded);
      return false;
    }
    const last = leases.lastHolder(keyHash, db);
    const holder = leases.acquire(keyHash, db, limits.hold, missing.sentAt);
    if (holder > 0) {
      session.leases = [...this.heldBy(session), { keyHash, db, holder }];
      this.#on.counters[waited ? GIVEN_AFTER[last] : C.leaseGiven]++;
      if (waited) this.#waited(C.leaseWaitLease);
      return false;
    }
    if (holder === TAKEN && (waited ? clock.ms < request.waitUntil : session.leaseWaits < this.#on.most())) {
      if (waited) this.#asking--;
      else request.waitUntil = clock.ms + limits.wait;
      this.lines.add(request, session, missing);
      // What is behind it may have been held for another reason.
      session.touch();
      this.#timer ??= setTimeout(() => this.#look(), LOOK);
      return true;
    }
    if (waited) this.#waited(holder === TAKEN ? C.leaseWaitTimedOut : C.leaseWaitEnded);
    return false;
  }

  /** Somebody who waited and asked again is answered. */
  #waited(counted: number): void {
    this.#asking--;
    this.#on.counters[counted]++;
  }

  #look(): void {
    this.#timer = undefined;
    const now = clock.tick();
    const paused = this.#on.paused();
    for (const line of this.lines.all()) {
      if (line.waiting[0].waitUntil <= now)
        this.#giveUp(line, C.leaseWaitTimedOut, (one) => one.waitUntil <= now);
      if (line.waiting.length > 0 && !paused && this.#isDue(line, now)) this.#readAgain(line);
    }
    this.#on.answered();
    if (!this.lines.none) this.#timer ??= setTimeout(() => this.#look(), LOOK);
  }

  #isDue({ keyHash, db, stamp, readAt }: Line, now: number): boolean {
    const { leases, versions, limits } = this.#on;
    if (versions.stamp(keyHash) !== stamp || leases.free(keyHash, db, limits.hold))
      return !versions.writing(keyHash) || now - readAt >= WRITE_PATIENCE;
    return now - readAt >= READ_AGAIN;
  }

  #readAgain(line: Line): void {
    const askers = this.lines.take(line, () => true);
    this.#asking += askers.length;
    line.stamp = this.#on.versions.stamp(line.keyHash);
    this.#on.again(line, askers);
  }

  /** What a client has asked earlier must not be answered with anything older than what it asked later. */
  #answerEarlier(asker: Request, line: Line | undefined, reply: Buffer): void {
    const { session } = asker;
    if (session === null || session.leaseWaits === 0 || line === undefined) return;
    const earlier = new Set<Request>();
    for (let at = session.waiting; at !== null && at !== asker; at = at.next) earlier.add(at);
    this.#giveUp(line, C.leaseWaitFound, (one) => earlier.has(one), reply);
  }

  /** Those are answered, unless told otherwise with what they found. */
  #giveUp(line: Line, counted: number, which: (request: Request) => boolean, reply = line.reply): void {
    for (const request of this.lines.take(line, which)) {
      this.#on.counters[counted]++;
      request.session?.complete(request, reply, 0, reply.length);
    }
  }
}
