// One request that goes to its node as it comes, over a pinned connection of its client: it is never whole in memory.
// A server executes nothing before it has all of it, so a client that leaves in the middle has changed nothing.

import { RUNNING } from '../../commands/client-pause.ts';
import { C, type Counters } from '../../counters.ts';
import { errorReply } from '../../resp3/encode.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import { RequestTail } from '../../resp3/request-tail.ts';
import type { Call, CallOwner, Carrier } from '../../upstream/call.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import type { Pin } from '../../upstream/pin.ts';
import { sendQuietly } from '../../upstream/quiet.ts';
import { type Answers, failure } from '../answers.ts';
import type { ClientPause } from '../clients/client-pause.ts';
import type { Pins } from '../pinned/pins.ts';
import { ASKING, type Redirects } from '../redirects.ts';
import { type Request, takeRequest, WRITES_KEY } from '../request.ts';
import type { Sizes } from '../seen/sizes.ts';
import type { Session } from '../session.ts';
import type { Writes } from '../writes.ts';

const MOVED = errorReply(
  'TRYAGAIN heatsink: the slot moved while a large value for it was on its way; the command was not executed',
);

export interface UploadParts {
  readonly answers: Answers;
  readonly redirects: Redirects;
  readonly writes: Writes;
  readonly pause: ClientPause;
  readonly sizes: Sizes;
  readonly counters: Counters;
}

/** Where a key is written. */
export interface Place {
  readonly node: UpstreamNode;
  /** Whether the node does not own the key's slot yet. */
  readonly asking: boolean;
}

export class Upload implements CallOwner {
  readonly #on: UploadParts;
  readonly #session: Session;
  readonly #pins: Pins;
  readonly #request: Request;
  readonly #tail = new RequestTail();
  /** Where the bytes go; null when they go nowhere, as the request has its reply already. */
  #pin: Pin | null;
  readonly #asking: boolean;
  #begun = false;
  #complete = false;
  /** Whether it will be told when its connection takes more. */
  #waiting = false;

  /**
   * A write of the key with that hash to that node, after ASKING if it says so; its client has nothing else under way.
   */
  constructor(parts: UploadParts, session: Session, { node, asking }: Place, keyHash: number) {
    const pins = session.pin();
    this.#on = parts;
    this.#session = session;
    this.#pins = pins;
    this.#pin = pins.need(node);
    this.#asking = asking;
    this.#request = takeRequest(this);
    this.#request.space = session.space;
    this.#request.keyHash = keyHash;
    pins.uploading = true;
    session.enqueue(this.#request);
  }

  /**
   * Takes bytes of the request from `buf[pos, end)`, from its first byte on. Returns where it stopped: behind the
   * request, which ends the session's `upload`, or before bytes that it must see again.
   */
  take(buf: Buffer, pos: number, end: number): number {
    const session = this.#session;
    if (this.#begun && this.#mustWait()) return pos;
    const to = this.#tail.take(buf, pos, end);
    if (this.#tail.error !== '') {
      this.#on.counters[C.protocolErrors]++;
      this.#refuse(`ERR ${this.#tail.error}`);
      return to;
    }
    if (this.#tail.ended) this.#end();
    this.#send(buf, pos, to);
    // Seen now, not when more has come: what comes meanwhile should wait in the client.
    if (!this.#tail.ended) this.#mustWait();
    else session.upload = null;
    return to;
  }

  replied(_: Call, buf: Buffer, start: number, end: number): void {
    const { answers, redirects, sizes, counters } = this.#on;
    const lane = this.#request.lane as Carrier;
    this.#abandon();
    const where = redirects.read(buf, start, end);
    if (buf[start] === TYPE.error) counters[C.failed]++;
    if (where === null) {
      if (buf[start] !== TYPE.error) sizes.uploaded(this.#request, this.#request.space, this.#tail.bytes);
      answers.settle(this.#request, buf, start, end);
      return;
    }
    // Its bytes are gone and cannot follow; the next one will find its way.
    if (where.word !== 'TRYAGAIN') redirects.target(where, lane);
    answers.settle(this.#request, MOVED, 0, MOVED.length);
  }

  large(call: Call, lane: Carrier, size: number) {
    return this.#on.answers.large(call, lane, size);
  }

  failed(_: Call, reason: string): void {
    const { answers, counters } = this.#on;
    this.#abandon();
    counters[C.failed]++;
    // Half a request is executed by nobody.
    const bytes = failure(reason, this.#complete);
    answers.settle(this.#request, bytes, 0, bytes.length);
  }

  /** The last bytes are about to leave: until the reply the value may be the old or the new one. */
  #end(): void {
    if (this.#pin === null) return;
    const { writes } = this.#on;
    this.#complete = true;
    this.#request.writes = WRITES_KEY;
    this.#session.writing++;
    writes.begin(this.#request);
    this.#pins.uploading = false;
  }

  #send(buf: Buffer, start: number, end: number): void {
    if (this.#pin === null) return;
    const { lane } = this.#pin;
    if (this.#begun) {
      lane.feed(buf, start, end);
      return;
    }
    this.#begun = true;
    if (this.#asking) sendQuietly(lane, ASKING);
    lane.send(this.#request, buf, start, end);
  }

  /** Whether no more can be taken now; its session is then held, and released when it can. */
  #mustWait(): boolean {
    const session = this.#session;
    if (this.#pin === null) return false;
    const { lane } = this.#pin;
    if (session.paused !== RUNNING) {
      this.#on.pause.postpone(session);
    } else if (lane.state === 'up' && !lane.congested) {
      return false;
    } else if (!this.#waiting) {
      this.#waiting = true;
      const release = () => {
        this.#waiting = false;
        session.release();
      };
      if (lane.state === 'up') lane.onDrain(release);
      else this.#pin.onServerId(release);
    }
    session.held = true;
    return true;
  }

  /** It has its reply: what still comes of it is for nobody, and half a request is not left to the next client. */
  #abandon(): void {
    this.#pin = null;
    if (this.#complete) return;
    this.#pins.uploading = false;
    this.#pins.spoil();
  }

  /** Ends the connection of a client that sent what is no request, as a server does. */
  #refuse(words: string): void {
    const bytes = errorReply(words);
    this.#session.push(bytes, 0, bytes.length);
    this.#session.hangUp();
  }
}
