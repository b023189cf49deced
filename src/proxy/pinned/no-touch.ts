// CLIENT NO-TOUCH: the client's reads leave no trace of their time at the server, so they go over pinned connections
// that are told so, and are not shared with those of others. https://redis.io/docs/latest/commands/client-no-touch/

import { argumentIs } from '../../commands/argument.ts';
import { C, type Counters } from '../../counters.ts';
import { encodeRequest, OK } from '../../resp3/encode.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Pin } from '../../upstream/pin.ts';
import { sendQuietly } from '../../upstream/quiet.ts';
import type { Topology } from '../../upstream/topology.ts';
import { type Answers, failure } from '../answers.ts';
import { DONE, FORWARD, type Outcome } from '../outcome.ts';
import { takeRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { EVERYWHERE, hasRoom } from './pin-room.ts';

const ON = encodeRequest(['CLIENT', 'NO-TOUCH', 'ON']);
const OFF = encodeRequest(['CLIENT', 'NO-TOUCH', 'OFF']);

/** The connections of one client on which its reads leave no trace. */
export class Untouched {
  readonly #told = new WeakSet<Pin>();

  /** Tells the server of that connection, unless it knows already. */
  follow(pin: Pin): void {
    if (this.#told.has(pin)) return;
    this.#told.add(pin);
    sendQuietly(pin.lane, ON);
  }
}

export interface NoTouchOptions {
  readonly topology: Topology;
  readonly answers: Answers;
  readonly counters: Counters;
}

export class NoTouch {
  readonly #on: NoTouchOptions;

  constructor(options: NoTouchOptions) {
    this.#on = options;
  }

  /** Its client has nothing under way. */
  serve(session: Session, frame: RequestFrame): Outcome {
    if (frame.argc !== 3) return FORWARD;
    if (argumentIs(frame, 2, 'on')) {
      this.#begin(session);
      return DONE;
    }
    // The server says what is wrong with any other word.
    if (!argumentIs(frame, 2, 'off') || !session.pins?.untouched) return FORWARD;
    session.pins.untouched = null;
    for (const pin of session.pins.all) sendQuietly(pin.lane, OFF);
    this.#on.counters[C.local]++;
    session.reply(OK);
    return DONE;
  }

  /** One server says whether it knows the command; the others are told when they are first needed. */
  #begin(session: Session): void {
    const { topology, answers, counters } = this.#on;
    if (!hasRoom(session, counters, topology.nodes, EVERYWHERE)) return;
    const pins = session.pin();
    pins.blocked = true;
    const settle = (reply: Buffer) => {
      if (reply[0] !== TYPE.error) {
        pins.untouched ??= new Untouched();
        for (const pin of pins.all) pins.untouched.follow(pin);
      }
      answers.settle(call, reply, 0, reply.length);
    };
    const call = takeRequest({
      replied: (_, buf, start, end) => settle(Buffer.from(buf.subarray(start, end))),
      failed: (_, reason, sent) => settle(failure(reason, sent)),
    });
    call.space = session.space;
    counters[C.forwarded]++;
    session.enqueue(call);
    pins
      .need(pins.home ?? topology.nodes[session.id % topology.nodes.length])
      .lane.send(call, ON, 0, ON.length);
  }
}
