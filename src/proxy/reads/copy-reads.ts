// Reads of hot keys that copies on other masters answer (fanout/). What a copy says is given out only if the tier could
// serve it at that moment, had it been kept there: else the read goes to the key's own node, as if there were no copy.

import type { FanOutMode, KeySettings } from '../../cache/rules.ts';
import { ASKS_OTHER, type Witness } from '../../cache/witness.ts';
import { C, type Counters } from '../../counters.ts';
import type { FanOut, Target } from '../../fanout/fan-out.ts';
import type { Copy, Edition, Load } from '../../fanout/key-copies.ts';
import { mayBeMissing } from '../../fanout/missing.ts';
import { withKey } from '../../fanout/rewrite.ts';
import type { Heat } from '../../hotkeys/heat.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import { Call, type CallClient, type CallOwner, type Carrier, type LargeReply } from '../../upstream/call.ts';
import { holdBytes, releaseBytes } from '../../upstream/outgoing.ts';
import { databaseOf, isOwn } from '../../upstream/space.ts';
import type { Answers } from '../answers.ts';
import type { Redirects } from '../redirects.ts';
import { carry, type Request, share } from '../request.ts';
import type { Session } from '../session.ts';

export interface CopyReadsOptions {
  readonly fanOut: FanOut;
  readonly witness: Witness;
  readonly redirects: Redirects;
  readonly counters: Counters;
  /** Made later. */
  readonly answers: () => Answers;
}

export class CopyReads implements CallOwner {
  readonly #on: CopyReadsOptions;

  constructor(options: CopyReadsOptions) {
    this.#on = options;
  }

  /** What may be done with the copies of a key of these settings. */
  modeOf({ consistency, fanOut }: KeySettings): FanOutMode {
    return consistency === 'tracked' ? fanOut : 'off';
  }

  /**
   * Sends the read `buf[start, end)` of that hot key to a copy. False when its own node is to be asked; whether that is
   * its share of reads that are spread then stands in `request.load`.
   */
  send(request: Request, heat: Heat, buf: Buffer, start: number, end: number): boolean {
    const { fanOut, counters } = this.#on;
    const { space } = request;
    // Other users' rights say nothing of copies, and there is one database.
    const spread = isOwn(space) && databaseOf(space) === 0;
    const target = spread ? fanOut.target(heat, request.fanOut) : null;
    if (target === null) return false;
    if (this.#sendCopy(request, target, buf, start, end)) {
      counters[C.sentRead]++;
      counters[C.spreadCopy]++;
      return true;
    }
    counters[C.spreadPrimary]++;
    carry(request, target.own);
    return false;
  }

  /** The same for a read that nobody can share, as chance answers it; true if it is on its way. */
  serve(session: Session, { buf, start, end }: RequestFrame, request: Request, heat: Heat): boolean {
    request.repeatable = true;
    if (!this.send(request, heat, buf, start, end)) return false;
    this.#on.counters[C.forwarded]++;
    session.enqueue(request);
    share(session, request);
    return true;
  }

  replied(call: Call, buf: Buffer, start: number, end: number): void {
    const read = call as CopyRead;
    const { request, target } = read;
    releaseBytes(read);
    if (!this.#believes(read, buf, start, end)) {
      target.copy.load.bytes += end - start;
      this.#back(read);
      return;
    }
    // It was compared with what others saw already, at the version of the copy.
    request.asks = ASKS_OTHER;
    request.mayFill = false;
    this.#on.answers().settle(request, buf, start, end);
  }

  failed(call: Call): void {
    releaseBytes(call);
    this.#back(call as CopyRead);
  }

  /** Large replies pass through to one client each: that is what the key's own node is for. */
  large(call: Call): LargeReply {
    const back = () => {
      releaseBytes(call);
      this.#back(call as CopyRead);
    };
    return { begin() {}, part() {}, ended: back, broken: back };
  }

  #sendCopy(
    request: Request,
    { own, copy, edition }: Target,
    buf: Buffer,
    start: number,
    end: number,
  ): boolean {
    if (copy === null || edition === null) return false;
    const lane = copy.node.lane(request.space, request.session?.id ?? 0);
    if (lane.congested || lane.down || lane.stalled) return false;
    const bytes = withKey({ buf, start, end }, request.keyStart, request.keyEnd, copy.name);
    if (bytes === null) return false;
    if (request.chunk === null) holdBytes(request, buf, start, end);
    carry(request, copy.load);
    const read = new CopyRead(this, request, { own, copy, edition });
    lane.send(read, bytes, 0, bytes.length);
    lane.seal();
    // Who comes once it has left boards the next flight: that one is under way while this one's reply is passed on.
    request.lane = read.lane;
    request.writeNumber = read.writeNumber;
    return true;
  }

  #believes({ request, target, lane }: CopyRead, buf: Buffer, start: number, end: number): boolean {
    const { fanOut, witness, redirects } = this.#on;
    const { copy, edition } = target;
    if (mayBeMissing(buf, start, end)) {
      const moved = buf[start] === TYPE.error ? redirects.read(buf, start, end) : null;
      if (moved?.word === 'MOVED') redirects.target(moved, lane as Carrier);
      fanOut.suspect(copy, edition);
      return false;
    }
    if (!fanOut.holds(edition, request.keyHash)) return false;
    return !request.mayFill || witness.note(request, edition.version, edition.epoch, buf, start, end);
  }

  #back({ request, target }: CopyRead): void {
    const { counters, answers } = this.#on;
    counters[C.copyFallback]++;
    counters[C.sentRead]++;
    carry(request, target.own);
    answers().toOwner(request);
  }
}

/** The request of a client on its way to a copy, with the copy's name in it. */
class CopyRead extends Call {
  readonly request: Request;
  readonly target: { readonly own: Load; readonly copy: Copy; readonly edition: Edition };

  constructor(owner: CallOwner, request: Request, target: CopyRead['target']) {
    super(owner);
    this.request = request;
    this.target = target;
  }

  override get client(): CallClient {
    return this.request.client;
  }
}
