// Clients that have, or now need, upstream connections of their own: what each of their commands means in the state
// that they are in.

import { argumentIs } from '../../commands/argument.ts';
import { mayOnlyRead, RUNNING } from '../../commands/client-pause.ts';
import type { Command } from '../../commands/command.ts';
import { findKeys, fits, KeyPositions } from '../../commands/keys.ts';
import type { State } from '../../commands/stateful.ts';
import { C, type Counters } from '../../counters.ts';
import { errorReply } from '../../resp3/encode.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import { sendQuietly } from '../../upstream/quiet.ts';
import type { Topology } from '../../upstream/topology.ts';
import { type Answers, SLOT_UNSERVED } from '../answers.ts';
import type { ClientPause } from '../clients/client-pause.ts';
import type { ClientUnblock } from '../clients/client-unblock.ts';
import type { Clients } from '../clients/clients.ts';
import { DONE, FORWARD, HOLD, type Outcome } from '../outcome.ts';
import { takeRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { type Blocking, mayWait } from './blocking.ts';
import { EVERYWHERE, hasRoom } from './pin-room.ts';
import { stream } from './stream.ts';
import { onlySubscriptions, pongBeside, type Subscribing, type Subscriptions } from './subscriptions.ts';
import type { Tracking } from './tracking.ts';
import type { Transactions } from './transactions.ts';

/** What a client with subscriptions may send in RESP2, besides what changes them. */
const ALLOWED_WITH_SUBSCRIPTIONS = new Set(['ping', 'quit', 'reset']);

export interface OwnConnectionOptions {
  readonly topology: Topology;
  readonly answers: Answers;
  readonly transactions: Transactions;
  readonly subscribing: Subscribing;
  readonly blocking: Blocking;
  readonly tracking: Tracking;
  readonly clients: Clients;
  readonly unblock: ClientUnblock;
  readonly pause: ClientPause;
  readonly counters: Counters;
}

export class OwnConnection {
  readonly #on: OwnConnectionOptions;
  readonly #keys = new KeyPositions();

  constructor(options: OwnConnectionOptions) {
    this.#on = options;
  }

  /** Looks at any request of a client that has pinned connections, or while a pause holds something. */
  guard(session: Session, frame: RequestFrame, command: Command | null): Outcome {
    const { pins } = session;
    if (pins?.blocked) return HOLD;
    if (session.paused !== RUNNING) {
      if (this.#on.pause.holds(session, frame, command)) return HOLD;
      const unsure = command !== null && fits(command, frame) && mayOnlyRead(command, frame);
      // The server knows whether it is paused, too, so nobody else may wait behind it.
      if (unsure && !pins?.transaction?.open)
        return session.pending > 0 ? HOLD : this.#keyed(session, frame, command);
    }
    if (pins === null) return FORWARD;
    if (!pins.transaction?.open) pins.tracking?.nextCommand();
    if (pins.idle) {
      // What comes next goes another way, and must not overtake.
      if (session.pending > 0) return HOLD;
      session.unpin();
      return FORWARD;
    }
    if (command === null)
      return pins.transaction?.open ? this.#on.transactions.queue(session, frame, null) : FORWARD;
    const { subscriptions } = pins;
    if (subscriptions !== null && session.protocol === 2) {
      const outcome = this.#beside(subscriptions, session, frame, command);
      if (outcome !== FORWARD) return outcome;
    }
    if (!pins.transaction?.open) return FORWARD;
    if (command.state === 'transaction' || command.name === 'quit' || command.name === 'reset')
      return FORWARD;
    const reason = fits(command, frame) ? refusedInside(command, session, frame) : null;
    if (reason === null) return this.#on.transactions.queue(session, frame, command);
    pins.transaction.aborted = true;
    return this.#reply(session, reason);
  }

  /** Serves a command whose route is `state`. */
  serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    const outcome = this.#serve(session, frame, command);
    const { pins } = session;
    if (pins === null) return outcome;
    pins.relax();
    // Room was taken for connections, and none was needed.
    if (pins.none && pins.idle && session.pending === 0) session.unpin();
    return outcome;
  }

  #serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    if (command.state === 'transaction') return this.#on.transactions.serve(session, frame, command);
    // The server says what is wrong with it.
    if (command.state === 'script' || !fits(command, frame)) return FORWARD;
    if (command.state === 'blocking' && !mayWait(command, frame)) return FORWARD;
    if (session.pending > 0) return HOLD;
    switch (command.state) {
      case 'stream':
        if (command.name === 'script|debug' && !debugs(frame)) return FORWARD;
        return stream(session, frame, this.#on.topology, this.#on.counters);
      case 'client':
        return this.#on.clients.serve(session, frame, command);
      case 'tracking':
        return this.#on.tracking.serve(session, frame, command.name);
      case 'monitor':
        return this.#monitor(session, frame);
      case 'wait':
        if (!this.#hasRoom(session, this.#on.topology.nodes, EVERYWHERE)) return DONE;
        this.#on.blocking.sendWait(session, frame, command);
        return DONE;
      default:
        return this.#keyed(session, frame, command);
    }
  }

  /** Its client says nothing more, and waits for what may take any time. */
  left(session: Session): void {
    this.#on.unblock.left(session);
  }

  /** Looks at what a client sends in RESP2 that may have subscriptions. */
  #beside(
    { expected, count }: Subscriptions,
    session: Session,
    frame: RequestFrame,
    command: Command,
  ): Outcome {
    // What it may send is known when its subscriptions are.
    if (expected > 0) return HOLD;
    if (count === 0 || command.state === 'subscription' || !fits(command, frame)) return FORWARD;
    if (command.name === 'ping' && this.#on.topology.cluster) return this.#reply(session, pongBeside(frame));
    if (ALLOWED_WITH_SUBSCRIPTIONS.has(command.name)) return FORWARD;
    return this.#reply(session, onlySubscriptions(command));
  }

  #keyed(session: Session, frame: RequestFrame, command: Command): Outcome {
    const node = this.#nodeOf(session, frame, command);
    if (node === null) return this.#reply(session, SLOT_UNSERVED);
    if (!this.#hasRoom(session, [node])) return DONE;
    if (command.state === 'subscription') this.#on.subscribing.send(session, frame, command, node);
    else this.#on.blocking.send(session, frame, command, this.#keys, node);
    return DONE;
  }

  #nodeOf(session: Session, frame: RequestFrame, command: Command): UpstreamNode | null {
    const { topology } = this.#on;
    const { buf, start, args } = frame;
    if (findKeys(command, frame, this.#keys) <= 0) return session.pins?.home ?? topology.usual(session.id);
    const at = this.#keys.at[0] * 2;
    return topology.ownerOf(buf, start + args[at], start + args[at + 1]);
  }

  /** MONITOR shows what all nodes do, in the words of each; the first one says OK for all. */
  #monitor(session: Session, { buf, start, end }: RequestFrame): typeof DONE {
    if (!this.#hasRoom(session, this.#on.topology.nodes, EVERYWHERE)) return DONE;
    const pins = session.pin();
    pins.monitoring = true;
    const [first, ...others] = this.#on.topology.nodes.map((node) => pins.need(node).lane);
    const request = takeRequest(this.#on.answers);
    request.space = session.space;
    this.#on.counters[C.forwarded]++;
    session.enqueue(request);
    first.mixed = true;
    first.send(request, buf, start, end);
    const bytes = Buffer.from(buf.subarray(start, end));
    for (const other of others) {
      other.mixed = true;
      sendQuietly(other, bytes);
    }
    return DONE;
  }

  #hasRoom(session: Session, nodes: readonly UpstreamNode[], count = 1): boolean {
    return hasRoom(session, this.#on.counters, nodes, count);
  }

  #reply(session: Session, bytes: Buffer): typeof DONE {
    this.#on.counters[C.local]++;
    session.reply(bytes);
    return DONE;
  }
}

const NOT_INSIDE: ReadonlySet<State> = new Set(['subscription', 'tracking', 'monitor', 'stream']);
/** What is about the client's connection, and yet is done by the server when the transaction is executed. */
const EFFECTIVE = new Set([
  'select',
  'hello',
  'client|setname',
  'client|getname',
  'client|pause',
  'client|unpause',
]);

/** SCRIPT DEBUG NO, and what is no mode at all, change nothing. */
function debugs(frame: RequestFrame): boolean {
  return argumentIs(frame, 2, 'yes') || argumentIs(frame, 2, 'sync');
}

/** The error for a command that cannot be part of a transaction; null for one that can. */
function refusedInside(command: Command, { ownUser }: Session, { argc }: RequestFrame): Buffer | null {
  const { name, route, state } = command;
  if (state !== null && NOT_INSIDE.has(state))
    return errorReply('ERR Command not allowed inside a transaction');
  const ownState = (route === 'local' && (name !== 'acl|whoami' || ownUser)) || state === 'client';
  const logsIn = name === 'hello' && argc > 2;
  if (!ownState || (EFFECTIVE.has(name) && !logsIn)) return null;
  const words = name.replace('|', ' ').toUpperCase();
  return errorReply(
    `ERR heatsink: ${words} is not served inside a transaction: it is about the client's connection`,
  );
}
