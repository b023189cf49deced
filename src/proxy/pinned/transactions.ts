// WATCH, MULTI, EXEC, DISCARD and UNWATCH, on a pinned connection to the node that owns the first key. MULTI is sent
// when that is known, right before the first command; the server queues, checks and executes.
// https://redis.io/docs/latest/develop/interact/transactions/

import { mayOnlyRead, RUNNING } from '../../commands/client-pause.ts';
import type { Command } from '../../commands/command.ts';
import { findKeys, fits, hashKeys, KeyPositions } from '../../commands/keys.ts';
import { C, type Counters } from '../../counters.ts';
import { encodeRequest, errorReply, OK, simpleString } from '../../resp3/encode.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { CallOwner } from '../../upstream/call.ts';
import type { ServerFacts } from '../../upstream/describe.ts';
import { sendQuietly } from '../../upstream/quiet.ts';
import { slotOf } from '../../upstream/slot.ts';
import type { Topology } from '../../upstream/topology.ts';
import { type Answers, failure } from '../answers.ts';
import type { ClientPause } from '../clients/client-pause.ts';
import { DONE, FORWARD, HOLD, type Outcome } from '../outcome.ts';
import type { Redirects } from '../redirects.ts';
import { type Request, takeRequest, WRITES_ALL, WRITES_KEYS } from '../request.ts';
import type { Session } from '../session.ts';
import type { Writes } from '../writes.ts';
import { noteEffect } from './effects.ts';
import type { ExecCall } from './exec.ts';
import { hasRoom } from './pin-room.ts';
import type { Pins } from './pins.ts';
import { Transaction } from './transaction.ts';
import { CROSSSLOT, hasMoved, type Watch } from './watch.ts';

const DISCARD = encodeRequest(['DISCARD']);
const UNWATCH = encodeRequest(['UNWATCH']);
const QUEUED = simpleString('QUEUED');
const EMPTY = Buffer.from('*0\r\n');
const NESTED = errorReply('ERR MULTI calls can not be nested');
const EXEC_ALONE = errorReply('ERR EXEC without MULTI');
const DISCARD_ALONE = errorReply('ERR DISCARD without MULTI');
const ABORTED = errorReply('EXECABORT Transaction discarded because of previous errors.');

/** The error for a command that writes on all shards, inside a transaction of one of them. */
function oneShardOnly({ name }: Command): Buffer {
  const words = name.replace('|', ' ').toUpperCase();
  return errorReply(
    `ERR heatsink: ${words} inside a transaction would be for one shard of the cluster only: send it outside`,
  );
}

export interface TransactionsOptions {
  readonly topology: Topology;
  readonly answers: Answers;
  readonly exec: ExecCall;
  readonly watch: Watch;
  readonly pause: ClientPause;
  readonly redirects: Redirects;
  readonly facts: ServerFacts;
  readonly writes: Writes;
  readonly counters: Counters;
}

export class Transactions {
  readonly #on: TransactionsOptions;
  readonly #keys = new KeyPositions();

  constructor(options: TransactionsOptions) {
    this.#on = options;
  }

  /** Serves a command that begins, ends or guards a transaction. */
  serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    const transaction = session.pins?.transaction ?? null;
    // The server says what is wrong with it, and an open transaction fails for it.
    if (!fits(command, frame)) {
      if (!transaction?.open) return FORWARD;
      const outcome = this.queue(session, frame, command);
      // EXEC is the one command that ends a transaction even so.
      if (outcome === DONE && command.name === 'exec') (session.pins as Pins).transaction = null;
      return outcome;
    }
    switch (command.name) {
      case 'multi':
        return this.#multi(session, frame, transaction);
      case 'watch':
        return this.#on.watch.serve(session, frame, command);
      case 'exec':
        return this.#exec(session, frame, transaction);
      case 'discard':
        return this.#discard(session, transaction);
      default:
        return this.#unwatch(session, frame, command, transaction);
    }
  }

  /** Serves any other command of a client with an open transaction; `command` is null for an unknown one. */
  queue(session: Session, frame: RequestFrame, command: Command | null): Outcome {
    const { topology } = this.#on;
    const transaction = session.pins?.transaction as Transaction;
    const keys = this.#keys;
    const count = command === null ? 0 : findKeys(command, frame, keys);
    if (count > 0 && topology.cluster && !this.#claim(transaction, frame)) {
      if (transaction.aborted) return this.#reply(session, QUEUED);
      transaction.aborted = true;
      return this.#reply(session, CROSSSLOT);
    }
    if (topology.cluster && command?.isWrite && command.requestPolicy.startsWith('all_')) {
      transaction.aborted = true;
      return this.#reply(session, oneShardOnly(command));
    }
    // A pinned connection that is gone takes nothing any more, and EXEC will say so.
    if (transaction.aborted && transaction.pin === null) return this.#reply(session, QUEUED);
    if (transaction.pin?.lane.congested) {
      transaction.pin.lane.onDrain(() => session.release());
      return HOLD;
    }
    const { buf, start, end } = frame;
    if (command?.isWrite) {
      if (count > 0) hashKeys(frame, keys, transaction.written);
      else transaction.writesAll = true;
    }
    transaction.count++;
    transaction.bytes += end - start;
    if (command !== null) {
      if (command.state === 'client') this.#on.pause.queued(transaction, frame, command);
      const unsure = mayOnlyRead(command, frame);
      transaction.unsure ||= unsure;
      transaction.replicates ||= command.replicates && !unsure;
    }
    if (command !== null) noteEffect(session, transaction, frame, command, this.#on.facts.databases);
    if (transaction.node === null) {
      const known = command !== null && fits(command, frame);
      if (known && transaction.mayKeep(end - start)) {
        transaction.keep(buf, start, end);
        return this.#reply(session, QUEUED);
      }
      // What no server takes goes to any, for its words, and nothing of the rest will be executed.
      transaction.aborted ||= !known;
      transaction.node = topology.usual(session.id);
    }
    this.#begin(session, transaction);
    this.#send(session, transaction, buf, start, end);
    if (topology.cluster) transaction.keep(buf, start, end);
    return DONE;
  }

  /** Who gets the replies to the commands of that transaction, which are queued, or refused by the server. */
  #owner(transaction: Transaction): CallOwner {
    const { redirects, answers, topology, counters } = this.#on;
    return {
      replied(call, buf, start, end) {
        const elsewhere = redirects.read(buf, start, end);
        // A slot without any owner is the client's trouble.
        if (
          elsewhere !== null &&
          (elsewhere.word !== 'CLUSTERDOWN' || topology.slotOwner(transaction.slot))
        ) {
          // EXEC will follow the slot; until then it is queued as far as the client is concerned.
          transaction.moved = elsewhere;
          answers.settle(call as Request, QUEUED, 0, QUEUED.length);
          return;
        }
        if (buf[start] === TYPE.error) {
          counters[C.failed]++;
          transaction.count--;
        }
        answers.settle(call as Request, buf, start, end);
      },
      failed(call, reason, sent) {
        counters[C.failed]++;
        const bytes = failure(reason, sent);
        answers.settle(call as Request, bytes, 0, bytes.length);
      },
    };
  }

  #multi(session: Session, { buf, start, end }: RequestFrame, transaction: Transaction | null): Outcome {
    if (transaction?.open) return this.#reply(session, NESTED);
    if (session.pending > 0) return HOLD;
    const { topology, counters } = this.#on;
    if (!transaction?.pin && !hasRoom(session, counters, topology.nodes)) return DONE;
    const pins = session.pin();
    pins.transaction ??= new Transaction();
    pins.transaction.open = true;
    pins.transaction.multi = Buffer.from(buf.subarray(start, end));
    pins.transaction.owner = this.#owner(pins.transaction);
    if (!topology.cluster) pins.transaction.node = topology.nodes[0];
    return this.#reply(session, OK);
  }

  #exec(session: Session, { buf, start, end }: RequestFrame, transaction: Transaction | null): Outcome {
    if (!transaction?.open) return this.#reply(session, EXEC_ALONE);
    const { topology, writes } = this.#on;
    const pins = session.pin();
    if (transaction.aborted || transaction.unwatched) {
      this.#quit(transaction);
      pins.transaction = null;
      return this.#reply(session, transaction.aborted ? ABORTED : this.#on.exec.nothing(session.protocol));
    }
    const empty = transaction.commands?.length === 0;
    if (!transaction.begun && empty && !transaction.watching) {
      pins.transaction = null;
      return this.#reply(session, EMPTY);
    }
    transaction.node ??= topology.usual(session.id);
    if (!this.#on.pause.prepared(session, transaction)) return HOLD;
    this.#begin(session, transaction);
    const request = takeRequest(this.#on.exec.owner(session, transaction));
    request.space = session.space;
    if (transaction.writesAll || transaction.written.length > 0) {
      request.writes = transaction.writesAll ? WRITES_ALL : WRITES_KEYS;
      request.keyHashes = transaction.written;
      session.writing++;
      writes.begin(request);
    }
    this.#forward(session, transaction, request, buf, start, end);
    pins.blocked = transaction.unsure && session.paused !== RUNNING;
    pins.transaction = null;
    return DONE;
  }

  #discard(session: Session, transaction: Transaction | null): Outcome {
    if (!transaction?.open) return this.#reply(session, DISCARD_ALONE);
    this.#quit(transaction);
    session.pin().transaction = null;
    return this.#reply(session, OK);
  }

  #unwatch(
    session: Session,
    frame: RequestFrame,
    command: Command,
    transaction: Transaction | null,
  ): Outcome {
    if (transaction?.open) return this.queue(session, frame, command);
    if (transaction !== null) {
      this.#quit(transaction);
      session.pin().transaction = null;
    }
    return this.#reply(session, OK);
  }

  /** Ends it at the server, unexecuted. */
  #quit({ pin, begun }: Transaction): void {
    if (pin !== null) sendQuietly(pin.lane, begun ? DISCARD : UNWATCH);
  }

  /** Whether the first key's slot can be that of the transaction. */
  #claim(transaction: Transaction, { buf, start, args }: RequestFrame): boolean {
    const at = this.#keys.at[0] * 2;
    const slot = slotOf(buf, start + args[at], start + args[at + 1]);
    const owner = this.#on.topology.slotOwner(slot) ?? this.#on.topology.nodes[0];
    // Of another slot that is on the same node EXEC will say what a server says.
    if (transaction.slot >= 0) return transaction.slot === slot || transaction.node === owner;
    if (transaction.node !== null && transaction.node !== owner) {
      if (!hasMoved(transaction, this.#on.topology)) return false;
      transaction.unwatched = true;
    } else {
      transaction.node = owner;
    }
    transaction.slot = slot;
    return true;
  }

  #begin(session: Session, transaction: Transaction): void {
    if (transaction.begun) return;
    transaction.begun = true;
    transaction.pin ??= session.pin().need(transaction.node as NonNullable<Transaction['node']>);
    sendQuietly(transaction.pin.lane, transaction.multi);
    for (const bytes of transaction.commands ?? []) sendQuietly(transaction.pin.lane, bytes);
  }

  #send(session: Session, transaction: Transaction, buf: Buffer, start: number, end: number): void {
    const request = takeRequest(transaction.owner as CallOwner);
    request.space = session.space;
    this.#forward(session, transaction, request, buf, start, end);
  }

  #forward(
    session: Session,
    transaction: Transaction,
    request: Request,
    buf: Buffer,
    start: number,
    end: number,
  ): void {
    this.#on.counters[C.forwarded]++;
    session.enqueue(request);
    transaction.pin?.lane.send(request, buf, start, end);
  }

  #reply(session: Session, bytes: Buffer): typeof DONE {
    this.#on.counters[C.local]++;
    session.reply(bytes);
    return DONE;
  }
}
