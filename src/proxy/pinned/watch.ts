// WATCH, on the connection that will carry the transaction. It goes nowhere else: what another connection watches
// protects nothing. https://redis.io/docs/latest/develop/interact/transactions/#optimistic-locking-using-check-and-set

import type { Command } from '../../commands/command.ts';
import { findKeys, KeyPositions } from '../../commands/keys.ts';
import { C, type Counters } from '../../counters.ts';
import { errorReply, OK } from '../../resp3/encode.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { CallOwner } from '../../upstream/call.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import type { Topology } from '../../upstream/topology.ts';
import { type Answers, failure, SLOT_UNSERVED } from '../answers.ts';
import { DONE, HOLD, type Outcome } from '../outcome.ts';
import type { Redirects } from '../redirects.ts';
import { type Request, takeRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { hasRoom } from './pin-room.ts';
import { Transaction } from './transaction.ts';

export const CROSSSLOT = errorReply("CROSSSLOT Keys in request don't hash to the same slot");
const WATCH_INSIDE = errorReply('ERR WATCH inside MULTI is not allowed');

export interface WatchOptions {
  readonly topology: Topology;
  readonly answers: Answers;
  readonly redirects: Redirects;
  readonly counters: Counters;
}

/** Whether slots may lie elsewhere than when keys were watched: those can be watched no more, so EXEC does nothing. */
export function hasMoved({ watching, generation }: Transaction, topology: Topology): boolean {
  return watching && generation !== topology.generation;
}

export class Watch {
  readonly #on: WatchOptions;
  readonly #keys = new KeyPositions();

  constructor(options: WatchOptions) {
    this.#on = options;
  }

  serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    const { topology, counters } = this.#on;
    const before = session.pins?.transaction ?? null;
    if (before?.open) return this.#reply(session, WATCH_INSIDE);
    if (session.pending > 0) return HOLD;
    const { buf, start, end, args } = frame;
    findKeys(command, frame, this.#keys);
    const at = this.#keys.at[0] * 2;
    const node = topology.ownerOf(buf, start + args[at], start + args[at + 1]);
    if (node === null) return this.#reply(session, SLOT_UNSERVED);
    if (before?.watching && before.node !== node) {
      if (!hasMoved(before, topology)) return this.#reply(session, CROSSSLOT);
      before.unwatched = true;
      return this.#reply(session, OK);
    }
    if (!hasRoom(session, counters, [node])) return DONE;
    const pins = session.pin();
    const transaction = before ?? new Transaction();
    const first = !transaction.watching;
    pins.transaction = transaction;
    transaction.watching = true;
    if (first || transaction.pin === null) this.#place(session, transaction, node);
    const request = takeRequest(this.#owner(session, transaction, first));
    request.space = session.space;
    counters[C.forwarded]++;
    session.enqueue(request);
    transaction.pin?.lane.send(request, buf, start, end);
    return DONE;
  }

  #place(session: Session, transaction: Transaction, node: UpstreamNode) {
    transaction.generation = this.#on.topology.generation;
    transaction.node = node;
    transaction.pin = session.pin().need(node);
    return transaction.pin.lane;
  }

  /** `first`: nothing is watched yet, so the keys may be watched wherever they are. */
  #owner(session: Session, transaction: Transaction, first: boolean): CallOwner {
    const { answers, redirects, counters } = this.#on;
    return {
      replied: (call, buf, start, end) => {
        // UNWATCH may have come behind it.
        const current = !session.closed && session.pins?.transaction === transaction;
        const where = redirects.read(buf, start, end);
        if (where !== null) {
          const follows = current && first && (where.word === 'MOVED' || where.word === 'CLUSTERDOWN');
          const laneTo = (node: UpstreamNode) => this.#place(session, transaction, node);
          if (follows && redirects.follow(call, buf, start, end, laneTo)) return;
          if (where.word !== 'CLUSTERDOWN') {
            // On its way from node to node a key cannot be watched: to its client it has changed.
            transaction.unwatched = true;
            answers.settle(call as Request, OK, 0, OK.length);
            return;
          }
        }
        if (buf[start] === TYPE.error) {
          counters[C.failed]++;
          if (current && first && session.pins !== null) session.pins.transaction = null;
        }
        answers.settle(call as Request, buf, start, end);
      },
      failed: (call, reason, sent) => {
        counters[C.failed]++;
        // Who does not look at this reply must not find the transaction executed.
        transaction.unwatched = true;
        const bytes = failure(reason, sent);
        answers.settle(call as Request, bytes, 0, bytes.length);
      },
    };
  }

  #reply(session: Session, bytes: Buffer): typeof DONE {
    this.#on.counters[C.local]++;
    session.reply(bytes);
    return DONE;
  }
}
