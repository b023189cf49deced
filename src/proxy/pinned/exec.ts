// What EXEC brings: the replies of the transaction, or the news that its slot is elsewhere by now, in which case
// nothing of it was executed and the whole is sent there.

import { C, type Counters } from '../../counters.ts';
import { encodeRequest, errorReply, type Protocol } from '../../resp3/encode.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import { Call, type CallOwner, type Carrier } from '../../upstream/call.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import { releaseBytes } from '../../upstream/outgoing.ts';
import { sendQuietly } from '../../upstream/quiet.ts';
import { type Answers, failure } from '../answers.ts';
import type { ClientPause } from '../clients/client-pause.ts';
import { type Redirects, TRYAGAIN_HOPS, TRYAGAIN_PAUSE } from '../redirects.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';
import type { Transaction } from './transaction.ts';

const ASKING = encodeRequest(['ASKING']);
const NOTHING = { 2: Buffer.from('*-1\r\n'), 3: Buffer.from('_\r\n') };
const TOO_LONG = errorReply(
  'EXECABORT Transaction discarded because of: its slot has moved, and it is too long for heatsink to repeat it',
);

export interface ExecOptions {
  readonly redirects: Redirects;
  readonly answers: Answers;
  readonly pause: ClientPause;
  readonly counters: Counters;
}

export class ExecCall {
  readonly #on: ExecOptions;

  constructor(options: ExecOptions) {
    this.#on = options;
  }

  /** The reply of a transaction whose watched keys have changed. */
  nothing(protocol: Protocol): Buffer {
    return NOTHING[protocol];
  }

  /** Who gets the reply to the EXEC of that transaction. */
  owner(session: Session, transaction: Transaction): CallOwner {
    const { answers, counters, pause } = this.#on;
    return {
      replied: (call, buf, start, end) => {
        if (buf[start] === TYPE.error) {
          if (this.#again(session, transaction, call as Request, buf, start, end)) return;
          counters[C.failed]++;
        } else if (buf[start] === TYPE.array && buf[start + 1] !== MINUS) {
          for (const effect of transaction.effects) effect();
        }
        pause.executed(session, transaction, buf[start] === TYPE.array && buf[start + 1] !== MINUS);
        answers.settle(call as Request, buf, start, end);
      },
      failed: (call, reason, sent) => {
        counters[C.failed]++;
        pause.executed(session, transaction, false);
        const bytes = failure(reason, sent);
        answers.settle(call as Request, bytes, 0, bytes.length);
      },
    };
  }

  /** Whether the transaction, of which nothing was executed, is on its way again or answered already. */
  #again(
    session: Session,
    transaction: Transaction,
    exec: Request,
    buf: Buffer,
    start: number,
    end: number,
  ): boolean {
    const { redirects, answers } = this.#on;
    const where = redirects.read(buf, start, end) ?? transaction.moved;
    if (where === null) return false;
    if (transaction.watching || transaction.commands === null) {
      // What was watched cannot be watched from here on: to its client it has changed.
      const bytes = transaction.watching ? NOTHING[session.protocol] : TOO_LONG;
      this.#on.pause.executed(session, transaction, false);
      answers.settle(exec, bytes, 0, bytes.length);
      return true;
    }
    if (exec.repeats++ >= TRYAGAIN_HOPS || (where.word === 'CLUSTERDOWN' && exec.strayed)) return false;
    exec.strayed ||= where.word === 'CLUSTERDOWN';
    if (where.word !== 'TRYAGAIN') {
      transaction.node = redirects.target(where, exec.lane as Carrier);
      transaction.asking = where.word === 'ASK';
    }
    // A first move is followed at once; who is sent round, or to wait, gives the migration time.
    const pause = where.word === 'TRYAGAIN' || exec.repeats > 2 ? TRYAGAIN_PAUSE : 0;
    transaction.moved = null;
    // At once, before what its client sent behind it is sent round, too.
    if (pause === 0) this.#send(session, transaction, exec);
    else setTimeout(() => this.#send(session, transaction, exec), pause);
    return true;
  }

  #send(session: Session, transaction: Transaction, exec: Request): void {
    if (exec.session === null) {
      this.#on.pause.executed(session, transaction, false);
      const gone = failure('its client, which has gone', false);
      this.#on.answers.settle(exec, gone, 0, gone.length);
      return;
    }
    const { lane } = session.pin().need(transaction.node as UpstreamNode);
    // ASKING before MULTI holds for the whole transaction.
    if (transaction.asking) sendQuietly(lane, ASKING);
    sendQuietly(lane, transaction.multi);
    const owner = this.#watchful(transaction);
    for (const bytes of transaction.commands ?? []) {
      lane.send(new Call(owner), bytes, 0, bytes.length);
      lane.seal();
    }
    lane.resend(exec);
  }

  /** Owner of repeated commands: their replies matter only if the slot is elsewhere again. */
  #watchful(transaction: Transaction): CallOwner {
    return {
      replied: (call, buf, start, end) => {
        releaseBytes(call);
        transaction.moved = this.#on.redirects.read(buf, start, end) ?? transaction.moved;
      },
      failed: releaseBytes,
    };
  }
}

const MINUS = 0x2d;
