// CLIENT TRACKING of a client's own: all its commands go over pinned connections that are tracked as it asked, and
// the invalidations pass to it, or to the client that it names.
// https://redis.io/docs/latest/develop/reference/client-side-caching/

import { argument, argumentIs, argumentText } from '../commands/argument.ts';
import { C, type Counters } from '../counters.ts';
import { encodeRequest, errorReply, OK } from '../resp3/encode.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import type { Pin } from '../upstream/pin.ts';
import { sendQuietly } from '../upstream/quiet.ts';
import type { Topology } from '../upstream/topology.ts';
import { type Answers, failure } from './answers.ts';
import { DONE, FORWARD, HOLD, type Outcome } from './outcome.ts';
import { takeRequest } from './request.ts';
import type { Session } from './session.ts';

const NO_TARGET = errorReply('ERR The client ID you want redirect to does not exist');
const CLUSTER_REDIRECT = errorReply(
  'ERR heatsink: on a cluster CLIENT TRACKING cannot redirect to another client; use RESP3',
);
const UNTRACK = encodeRequest(['CLIENT', 'TRACKING', 'OFF']);
const CACHING_YES = encodeRequest(['CLIENT', 'CACHING', 'YES']);

/** How one client is tracked. */
export class ClientTracking {
  /** What each of its connections is told, with the ids of the server. */
  readonly #request: Buffer;
  readonly #tracked = new WeakSet<Pin>();
  /** The client to which its invalidations go, by heatsink's id and the server's; 0 for itself. */
  readonly redirect: number;
  readonly serverRedirect: string;

  constructor(request: Buffer, redirect: number, serverRedirect: string) {
    this.#request = request;
    this.redirect = redirect;
    this.serverRedirect = serverRedirect;
  }

  /** Has the server track that connection, unless it does already. */
  follow(pin: Pin): Pin {
    if (!this.#tracked.has(pin)) {
      this.#tracked.add(pin);
      sendQuietly(pin.lane, this.#request);
    }
    return pin;
  }

  /** That connection is tracked already. */
  followed(pin: Pin): void {
    this.#tracked.add(pin);
  }
}

export interface TrackingOptions {
  readonly topology: Topology;
  readonly answers: Answers;
  readonly counters: Counters;
  /** A connected client by its id. */
  readonly client: (id: number) => Session | undefined;
}

export class Tracking {
  readonly #on: TrackingOptions;

  constructor(options: TrackingOptions) {
    this.#on = options;
  }

  /** Serves CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR. */
  serve(session: Session, frame: RequestFrame, name: string): Outcome {
    if (session.pending > 0) return HOLD;
    const tracking = session.pins?.tracking ?? null;
    if (name === 'client|tracking') return this.#track(session, frame, tracking);
    if (tracking === null) return FORWARD;
    const node = this.#home(session);
    if (name === 'client|caching' && this.#on.topology.cluster) return this.#caching(session, frame);
    const from = tracking.serverRedirect;
    const to = String(tracking.redirect);
    this.#send(session, frame.buf.subarray(frame.start, frame.end), node, (reply) =>
      from === ''
        ? reply
        : Buffer.from(reply.toString('latin1').replace(`:${from}\r\n`, `:${to}\r\n`), 'latin1'),
    );
    return DONE;
  }

  #track(session: Session, frame: RequestFrame, tracking: ClientTracking | null): Outcome {
    const on = frame.argc > 2 && argumentIs(frame, 2, 'on');
    if (!on && tracking === null) return FORWARD;
    const { topology, client } = this.#on;
    let request: Buffer = Buffer.from(frame.buf.subarray(frame.start, frame.end));
    let redirect = 0;
    let serverRedirect = '';
    const at = on ? redirectAt(frame) : 0;
    if (at > 0) {
      if (topology.cluster) return this.#reply(session, CLUSTER_REDIRECT);
      redirect = Number(argumentText(frame, at));
      const target = client(redirect);
      if (target === undefined) return this.#reply(session, NO_TARGET);
      const pin =
        target === session ? session.pin().need(topology.nodes[0]) : target.redirectedTo(topology.nodes[0]);
      if (pin.lane.state !== 'closed' && pin.serverId === '') {
        pin.onServerId(() => session.release());
        return HOLD;
      }
      serverRedirect = pin.serverId;
      const args = Array.from({ length: frame.argc }, (_, i) => Buffer.from(argument(frame, i)));
      args[at] = Buffer.from(serverRedirect);
      request = encodeRequest(args);
    }
    const pins = session.pin();
    const node = this.#home(session);
    this.#send(session, request, node, (reply) => {
      if (reply[0] === TYPE.error) return reply;
      if (!on) {
        for (const pin of pins.all) sendQuietly(pin.lane, UNTRACK);
        pins.tracking = null;
        return reply;
      }
      pins.tracking = new ClientTracking(request, redirect, serverRedirect);
      pins.tracking.followed(pins.need(node));
      // Broadcasts come from every node, read from or not.
      for (const other of topology.nodes) pins.to(other);
      return reply;
    });
    return DONE;
  }

  /** On a cluster it is known only with the next command which connection it is for: all of them are told. */
  #caching(session: Session, frame: RequestFrame): Outcome {
    if (frame.argc !== 3 || !argumentIs(frame, 2, 'yes')) return FORWARD;
    for (const pin of session.pin().all) sendQuietly(pin.lane, CACHING_YES);
    return this.#reply(session, OK);
  }

  #home(session: Session): UpstreamNode {
    const { nodes } = this.#on.topology;
    return session.pins?.home ?? nodes[session.id % nodes.length];
  }

  #send(session: Session, request: Buffer, node: UpstreamNode, then: (reply: Buffer) => Buffer): void {
    const { answers, counters } = this.#on;
    const pins = session.pin();
    pins.blocked = true;
    const call = takeRequest({
      replied(_, buf, start, end) {
        const reply = then(Buffer.from(buf.subarray(start, end)));
        answers.settle(call, reply, 0, reply.length);
      },
      failed(_, reason, sent) {
        const reply = failure(reason, sent);
        answers.settle(call, reply, 0, reply.length);
      },
    });
    call.space = session.space;
    counters[C.forwarded]++;
    session.enqueue(call);
    pins.need(node).lane.send(call, request, 0, request.length);
  }

  #reply(session: Session, bytes: Buffer): typeof DONE {
    this.#on.counters[C.local]++;
    session.reply(bytes);
    return DONE;
  }
}

/** The argument that is the id behind REDIRECT; 0 when there is none. */
function redirectAt(frame: RequestFrame): number {
  for (let i = 3; i + 1 < frame.argc; i++) if (argumentIs(frame, i, 'redirect')) return i + 1;
  return 0;
}
