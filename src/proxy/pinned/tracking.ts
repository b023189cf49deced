// CLIENT TRACKING of a client's own: all its commands go over pinned connections that are tracked as it asked, and
// the invalidations pass to it, or to the client that it names.
// https://redis.io/docs/latest/develop/reference/client-side-caching/

import { argument, argumentIs, argumentText } from '../../commands/argument.ts';
import { parseInteger } from '../../commands/client-state.ts';
import { C, type Counters } from '../../counters.ts';
import { encodeRequest, errorReply, OK } from '../../resp3/encode.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import type { Pin } from '../../upstream/pin.ts';
import { sendQuietly } from '../../upstream/quiet.ts';
import type { Topology } from '../../upstream/topology.ts';
import { type Answers, failure } from '../answers.ts';
import { ask, settleLater } from '../client-calls.ts';
import { DONE, FORWARD, HOLD, type Outcome } from '../outcome.ts';
import type { Peers } from '../peers.ts';
import { takeRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { EVERYWHERE, hasRoom } from './pin-room.ts';

const NO_TARGET = errorReply('ERR The client ID you want redirect to does not exist');
const CLUSTER_REDIRECT = errorReply(
  'ERR heatsink: on a cluster CLIENT TRACKING cannot redirect to another client; use RESP3',
);
const PING = encodeRequest(['PING']);
const UNTRACK = encodeRequest(['CLIENT', 'TRACKING', 'OFF']);
const YES_WITHOUT_OPTIN = errorReply(
  'ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.',
);
const NO_WITHOUT_OPTOUT = errorReply(
  'ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.',
);

/** What one client asked for with CLIENT TRACKING ON. */
interface TrackingOrder {
  /** What each of its connections is told, with the ids of the server. */
  readonly request: Buffer;
  /** The client to which its invalidations go, by heatsink's id and the server's; 0 and empty for itself. */
  readonly redirect: number;
  readonly serverRedirect: string;
  readonly broadcast: boolean;
  readonly optIn: boolean;
  readonly optOut: boolean;
}

/** How one client is tracked. */
export class ClientTracking {
  readonly order: TrackingOrder;
  /** What each of its connections is told: a later order adds prefixes to an earlier one. */
  readonly #requests: readonly Buffer[];
  readonly #told = new WeakSet<Pin>();
  /** CLIENT CACHING for its next command, and whether that has begun. */
  #caching: Buffer | null = null;
  #cachingUsed = false;

  constructor(order: TrackingOrder, earlier: ClientTracking | null) {
    this.order = order;
    this.#requests =
      order.broadcast && earlier !== null ? [...earlier.#requests, order.request] : [order.request];
  }

  /** Has the server track what comes next on that connection. */
  follow(pin: Pin): void {
    if (!this.#told.has(pin)) {
      this.#told.add(pin);
      for (const request of this.#requests) sendQuietly(pin.lane, request);
    }
    if (this.#caching !== null) {
      sendQuietly(pin.lane, this.#caching);
      this.#cachingUsed = true;
    }
  }

  /** That connection is tracked already. */
  followed(pin: Pin): void {
    this.#told.add(pin);
  }

  /** Its next command is preceded by that request wherever it goes. */
  cacheNext(request: Buffer): void {
    this.#caching = request;
    this.#cachingUsed = false;
  }

  /** A command of the client is about to be served. */
  nextCommand(): void {
    if (this.#cachingUsed) this.#caching = null;
  }
}

export interface TrackingOptions {
  readonly topology: Topology;
  readonly answers: Answers;
  readonly counters: Counters;
  /** A connected client by its id. */
  readonly client: (id: number) => Session | undefined;
  readonly peers: Peers;
}

/** The client of another worker that invalidations are redirected to. */
interface Elsewhere {
  readonly id: number;
  /** The server's id of its connection; null when there is no such client. */
  readonly serverId: string | null;
}

export class Tracking {
  readonly #on: TrackingOptions;
  /** What the other workers said to the one who asks. */
  readonly #elsewhere = new WeakMap<Session, Elsewhere>();

  constructor(options: TrackingOptions) {
    this.#on = options;
    options.peers.on('client redirect', (id: number) => this.#redirectHere(id));
  }

  /** Serves CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR. */
  serve(session: Session, frame: RequestFrame, name: string): Outcome {
    if (session.pending > 0) return HOLD;
    const tracking = session.pins?.tracking ?? null;
    if (name === 'client|tracking') return this.#track(session, frame, tracking);
    if (tracking === null) return FORWARD;
    if (name === 'client|caching' && this.#on.topology.cluster)
      return this.#caching(session, frame, tracking);
    const { serverRedirect: from, redirect: to } = tracking.order;
    this.#send(session, frame.buf.subarray(frame.start, frame.end), this.#home(session), (reply) =>
      from === ''
        ? reply
        : Buffer.from(reply.toString('latin1').replace(`:${from}\r\n`, `:${to}\r\n`), 'latin1'),
    );
    return DONE;
  }

  #track(session: Session, frame: RequestFrame, tracking: ClientTracking | null): Outcome {
    const on = argumentIs(frame, 2, 'on');
    if (!on && tracking === null) return FORWARD;
    const order = on ? this.#orderOf(session, frame) : null;
    if (order === HOLD) return HOLD;
    if (Buffer.isBuffer(order)) return this.#reply(session, order);
    const { topology, counters } = this.#on;
    if (on && !hasRoom(session, counters, topology.nodes, EVERYWHERE)) return DONE;
    const pins = session.pin();
    const node = this.#home(session);
    this.#send(session, order?.request ?? frame.buf.subarray(frame.start, frame.end), node, (reply) => {
      if (reply[0] === TYPE.error) return reply;
      if (order === null) {
        for (const pin of pins.all) sendQuietly(pin.lane, UNTRACK);
        pins.tracking = null;
        // The server remembers what was read on them, and would tell whoever tracks on them next.
        pins.spoil();
        return reply;
      }
      const begun = new ClientTracking(order, tracking);
      begun.followed(pins.need(node));
      pins.tracking = begun;
      if (!topology.cluster || !begun.order.broadcast) return reply;
      // Broadcasts come from every node, read from or not: all must have begun before the client is told so.
      const others = topology.nodes.filter((other) => other !== node);
      return Promise.all(others.map((other) => ask(pins.need(other).lane, PING))).then(() => reply);
    });
    return DONE;
  }

  /** What a CLIENT TRACKING ON orders; the error reply; or HOLD until the server has told an id. */
  #orderOf(session: Session, frame: RequestFrame): TrackingOrder | Buffer | typeof HOLD {
    const { topology, client } = this.#on;
    const at = wordAt(frame, 'redirect') + 1;
    const id = at > 1 && at < frame.argc ? parseInteger(argumentText(frame, at)) : null;
    const order = {
      request: Buffer.from(frame.buf.subarray(frame.start, frame.end)),
      redirect: 0,
      serverRedirect: '',
      broadcast: wordAt(frame, 'bcast') > 0,
      optIn: wordAt(frame, 'optin') > 0,
      optOut: wordAt(frame, 'optout') > 0,
    };
    // What is no id is for the server to refuse.
    if (id === null) return order;
    if (topology.cluster) return CLUSTER_REDIRECT;
    const target = client(Number(id));
    const serverId =
      target === undefined
        ? this.#askElsewhere(session, Number(id))
        : serverIdOf(target === session ? session.pin().need(topology.nodes[0]) : this.#pinOf(target), () =>
            session.release(),
          );
    if (serverId === HOLD) return HOLD;
    if (serverId === null) return NO_TARGET;
    const args = Array.from({ length: frame.argc }, (_, i) => Buffer.from(argument(frame, i)));
    args[at] = Buffer.from(serverId);
    return { ...order, request: encodeRequest(args), redirect: Number(id), serverRedirect: serverId };
  }

  #pinOf(target: Session): Pin {
    return target.redirectedTo(this.#on.topology.nodes[0]);
  }

  /** The server's id of the connection of a client of this worker, for a client of another one. */
  #redirectHere(id: number): Promise<string> | undefined {
    const target = this.#on.client(id);
    if (target === undefined) return undefined;
    const pin = this.#pinOf(target);
    return new Promise((resolve) => {
      const known = serverIdOf(pin, () => resolve(pin.serverId));
      if (known !== HOLD) resolve(known);
    });
  }

  #askElsewhere(session: Session, id: number): string | null | typeof HOLD {
    const { peers } = this.#on;
    if (!peers.any) return null;
    const said = this.#elsewhere.get(session);
    if (said?.id === id) {
      this.#elsewhere.delete(session);
      return said.serverId;
    }
    peers.ask<string>('client redirect', id).then(([serverId = null]) => {
      this.#elsewhere.set(session, { id, serverId });
      session.release();
    });
    return HOLD;
  }

  /** On a cluster it is known only with the next command which connections it is for. */
  #caching(session: Session, frame: RequestFrame, tracking: ClientTracking): Outcome {
    const { optIn, optOut } = tracking.order;
    const yes = argumentIs(frame, 2, 'yes');
    if (!yes && !argumentIs(frame, 2, 'no')) return FORWARD;
    if (yes && !optIn) return this.#reply(session, YES_WITHOUT_OPTIN);
    if (!yes && !optOut) return this.#reply(session, NO_WITHOUT_OPTOUT);
    tracking.cacheNext(Buffer.from(frame.buf.subarray(frame.start, frame.end)));
    return this.#reply(session, OK);
  }

  #home(session: Session): UpstreamNode {
    const { nodes } = this.#on.topology;
    return session.pins?.home ?? nodes[session.id % nodes.length];
  }

  #send(
    session: Session,
    request: Buffer,
    node: UpstreamNode,
    then: (reply: Buffer) => Buffer | Promise<Buffer>,
  ): void {
    const { answers, counters } = this.#on;
    const pins = session.pin();
    pins.blocked = true;
    const call = takeRequest({
      replied(_, buf, start, end) {
        const reply = then(Buffer.from(buf.subarray(start, end)));
        if (Buffer.isBuffer(reply)) answers.settle(call, reply, 0, reply.length);
        else reply.then((late) => settleLater(session, answers, call, late));
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

/** The server's id of that connection; HOLD until it is known, which `known` is told. */
function serverIdOf(pin: Pin, known: () => void): string | typeof HOLD {
  if (pin.lane.state === 'closed' || pin.serverId !== '') return pin.serverId;
  pin.onServerId(known);
  pin.lane.connect();
  return HOLD;
}

/** The option of CLIENT TRACKING that is this lower-case word, and not the value of another; 0 when there is none. */
function wordAt(frame: RequestFrame, word: string): number {
  for (let i = 3; i < frame.argc; i++) {
    if (argumentIs(frame, i, word)) return i;
    if (argumentIs(frame, i, 'prefix') || argumentIs(frame, i, 'redirect')) i++;
  }
  return 0;
}
