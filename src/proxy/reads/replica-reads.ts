// Reads that a rule sends to replicas (`reads: replicas`). They may be as old as the replica is late, so nothing that
// heatsink keeps or knows learns from them. A replica's word is final only if it is an answer: whatever goes wrong
// there, the primary is asked.

import type { Rules } from '../../cache/rules.ts';
import { ASKS_OTHER } from '../../cache/witness.ts';
import { clock } from '../../clock.ts';
import type { Command } from '../../commands/command.ts';
import { C, type Counters } from '../../counters.ts';
import type { Detector } from '../../hotkeys/detector.ts';
import { hashBytes } from '../../resp3/hash.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Call, CallOwner, Carrier, LATER, LargeReply } from '../../upstream/call.ts';
import type { Discovery } from '../../upstream/discover.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import { holdBytes } from '../../upstream/outgoing.ts';
import type { Topology } from '../../upstream/topology.ts';
import { type Answers, failure, SLOT_UNSERVED } from '../answers.ts';
import type { Downloads } from '../large/downloads.ts';
import { type Request, recycle, share, takeRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { SHARED_MAX } from './shared-reads.ts';

export interface ReplicaReadsOptions {
  readonly rules: Rules;
  readonly detector: Detector;
  readonly topology: Topology;
  readonly discovery: Discovery;
  readonly downloads: Downloads;
  readonly answers: Answers;
  readonly tierOn: boolean;
  readonly counters: Counters;
}

/** It serves nobody now, or not these keys. Any other error may be about this one request. */
const OUT_OF_SERVICE = /^-(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|LOADING|BUSY|NOAUTH) /;

export class ReplicaReads implements CallOwner {
  readonly #on: ReplicaReadsOptions;

  constructor(options: ReplicaReadsOptions) {
    this.#on = options;
  }

  /** Whether the read of one key in `frame` is on its way to a replica of `primary`. */
  serve(
    session: Session,
    frame: RequestFrame,
    command: Command,
    keyArgument: number,
    primary: UpstreamNode,
  ): boolean {
    // Behind its own write a client's read goes the same way. Scripts are not known to replicas.
    if (session.writing > 0 || session.pins !== null || command.state === 'script') return false;
    const { rules, detector, downloads, counters } = this.#on;
    const { buf, view, start, end, args } = frame;
    const keyStart = start + args[keyArgument * 2];
    const keyEnd = start + args[keyArgument * 2 + 1];
    const settings = rules.of(buf, keyStart, keyEnd);
    if (settings.reads !== 'replicas') return false;
    const keyHash = hashBytes(view, keyStart, keyEnd);
    if (settings.consistency === 'tracked' || settings.consistency === 'ttl') {
      const tracked = settings.consistency === 'tracked';
      if (command.cacheable && end - start <= SHARED_MAX && this.#isKept(keyHash, tracked, primary))
        return false;
    }
    const replica = primary.replicas?.pick(session.space, session.id) ?? null;
    if (replica === null) {
      counters[C.replicaUnfit]++;
      return false;
    }
    detector.count(keyHash, view, keyStart, keyEnd);
    const request = takeRequest(this);
    request.space = session.space;
    request.keyHash = keyHash;
    request.keyStart = keyStart - start;
    request.keyEnd = keyEnd - start;
    request.asks = command.asks;
    request.repeatable = true;
    counters[C.forwarded]++;
    counters[C.sentReplica]++;
    session.enqueue(request);
    if (downloads.knownUntil > clock.ms && downloads.expects(session, frame)) {
      holdBytes(request, buf, start, end);
      session.sendAside(request, replica.node);
      return true;
    }
    // A write that its client sends behind it could reach the replica before it.
    share(session, request);
    replica.node.lane(session.space, session.id).send(request, buf, start, end);
    return true;
  }

  replied(call: Call, buf: Buffer, start: number, end: number): void {
    const request = call as Request;
    if (buf[start] !== TYPE.error) {
      this.#settle(request, buf, start, end);
      return;
    }
    const { counters, discovery, topology } = this.#on;
    counters[C.replicaRefused]++;
    const words = buf.toString('latin1', start, Math.min(end, start + 16));
    if (OUT_OF_SERVICE.test(words)) {
      if (words.startsWith('-MOVED ')) discovery.refreshSoon();
      const { options } = request.lane as Carrier;
      topology.replicas?.known(options)?.rest();
    }
    this.#askPrimary(request);
  }

  failed(call: Call, reason: string, sent: boolean): void {
    const request = call as Request;
    const { counters } = this.#on;
    counters[C.replicaBroken]++;
    const primary = this.#primaryOf(request);
    if (sent && primary !== null && request.session !== null) {
      const may = primary.retries.take();
      counters[may ? C.retried : C.retriesRefused]++;
      if (!may) {
        counters[C.failed]++;
        const bytes = failure(reason, sent);
        this.#settle(request, bytes, 0, bytes.length);
        return;
      }
    }
    this.#askPrimary(request);
  }

  large(call: Call, lane: Carrier, size: number): LargeReply | typeof LATER | null {
    return this.#on.downloads.take(call as Request, lane, size);
  }

  /** Whether the tier has the key, or will: what it keeps is exact, and costs the primary nothing. */
  #isKept(keyHash: number, tracked: boolean, primary: UpstreamNode): boolean {
    if (!this.#on.tierOn) return false;
    const heat = this.#on.detector.hot(keyHash);
    // One that is too large for it stays with the replicas.
    if (heat === null || heat.unfitUntil > clock.ms) return false;
    return !tracked || primary.tracker?.state === 'on';
  }

  /** From now on it is a read like any other, but for its place: its client's writes wait for it still. */
  #askPrimary(request: Request): void {
    const { session } = request;
    if (session === null) {
      recycle(request);
      return;
    }
    const primary = this.#primaryOf(request);
    if (primary === null) {
      this.#on.counters[C.failed]++;
      this.#settle(request, SLOT_UNSERVED, 0, SLOT_UNSERVED.length);
      return;
    }
    request.owner = this.#on.answers;
    this.#on.counters[C.sentRead]++;
    session.laneTo(primary).resend(request);
  }

  /** As an answer that shows nothing of what the primary has now. */
  #settle(request: Request, buf: Buffer, start: number, end: number): void {
    request.asks = ASKS_OTHER;
    this.#on.answers.settle(request, buf, start, end);
  }

  #primaryOf({ chunk, offset, keyStart, keyEnd }: Request): UpstreamNode | null {
    const { buf } = chunk as { buf: Buffer };
    return this.#on.topology.ownerOf(buf, offset + keyStart, offset + keyEnd);
  }
}
