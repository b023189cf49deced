// CLIENT LIST, INFO, KILL, REPLY, NO-EVICT and NO-TOUCH: about heatsink's clients, of which the server knows nothing.

import { argumentIs } from '../commands/argument.ts';
import { type KillFilter, readKillFilter } from '../commands/client-kill.ts';
import { clientLine, linesReply, readListFilter } from '../commands/client-list.ts';
import type { Command } from '../commands/command.ts';
import { C, type Counters } from '../counters.ts';
import { errorReply, integerReply, OK } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { REPLY_OFF, REPLY_ON, REPLY_SKIP } from './client.ts';
import type { ClientPause } from './client-pause.ts';
import { describeClient, typeOf } from './client-row.ts';
import type { ClientUnblock } from './client-unblock.ts';
import type { NoTouch } from './no-touch.ts';
import { DONE, FORWARD, type Outcome } from './outcome.ts';
import type { Session } from './session.ts';

const SYNTAX_ERROR = errorReply('ERR syntax error');
const NO_SUCH_CLIENT = errorReply('ERR No such client');

export interface ClientsOptions {
  readonly sessions: ReadonlyMap<number, Session>;
  readonly pause: ClientPause;
  readonly unblock: ClientUnblock;
  readonly noTouch: NoTouch;
  readonly counters: Counters;
  readonly isUser: (name: string) => boolean;
  /** Of the upstream, such as `7.0.15`. */
  readonly version: string;
}

export class Clients {
  readonly #on: ClientsOptions;
  readonly #knowsAge: boolean;

  constructor(options: ClientsOptions) {
    this.#on = options;
    const [major, minor] = options.version.split('.').map(Number);
    this.#knowsAge = major > 7 || (major === 7 && minor >= 4);
  }

  /** Serves a command whose state is `client`; its client has nothing under way. */
  serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    switch (command.name) {
      case 'client|info':
        return this.#info(session, frame);
      case 'client|list':
        return this.#list(session, frame);
      case 'client|kill':
        return this.#kill(session, frame);
      case 'client|reply':
        return this.#setReplies(session, frame);
      case 'client|no-evict':
        return this.#setNoEvict(session, frame);
      case 'client|no-touch':
        return this.#on.noTouch.serve(session, frame);
      case 'client|unblock':
        return this.#on.unblock.serve(session, frame);
      default:
        return this.#on.pause.serve(session, frame, command);
    }
  }

  #info(session: Session, frame: RequestFrame): Outcome {
    if (frame.argc !== 2) return FORWARD;
    return this.#reply(session, linesReply(session.protocol, [this.#line(session, session, frame)]));
  }

  #list(session: Session, frame: RequestFrame): Outcome {
    const filter = readListFilter(frame);
    if (Buffer.isBuffer(filter)) return this.#reply(session, filter);
    const { sessions } = this.#on;
    const found = filter.ids === null ? [...sessions.values()] : filter.ids.map((id) => sessions.get(id));
    const lines = found
      .filter((client) => client !== undefined)
      .filter((client) => !client.socket.destroyed && (filter.type ?? typeOf(client)) === typeOf(client))
      .map((client) => this.#line(client, session, frame));
    return this.#reply(session, linesReply(session.protocol, lines));
  }

  #line(client: Session, asks: Session, frame: RequestFrame): string {
    return clientLine(describeClient(client, this.#on.sessions, client === asks ? frame : null));
  }

  #kill(session: Session, frame: RequestFrame): Outcome {
    if (frame.argc < 3) return FORWARD;
    const filter = readKillFilter(frame, { isUser: this.#on.isUser, knowsAge: this.#knowsAge });
    if (Buffer.isBuffer(filter)) return this.#reply(session, filter);
    const killed = [...this.#on.sessions.values()].filter(
      (client) =>
        !client.socket.destroyed && isMeant(client, filter) && !(filter.skipMe && client === session),
    );
    for (const client of killed) if (client !== session) client.kill();
    const oldForm = killed.length > 0 ? OK : NO_SUCH_CLIENT;
    this.#reply(session, filter.counted ? integerReply(killed.length) : oldForm);
    if (killed.includes(session)) session.closing = true;
    return DONE;
  }

  /** https://redis.io/docs/latest/commands/client-reply/ */
  #setReplies(session: Session, frame: RequestFrame): Outcome {
    if (frame.argc !== 3) return FORWARD;
    if (argumentIs(frame, 2, 'on')) {
      session.replies = REPLY_ON;
      return this.#reply(session, OK);
    }
    const off = argumentIs(frame, 2, 'off');
    if (!off && !argumentIs(frame, 2, 'skip')) return this.#reply(session, SYNTAX_ERROR);
    this.#on.counters[C.local]++;
    if (off) session.replies = REPLY_OFF;
    else if (session.replies !== REPLY_OFF) session.replies = REPLY_SKIP;
    return DONE;
  }

  /** Heatsink evicts no clients, so this is a flag of the list and nothing else. */
  #setNoEvict(session: Session, frame: RequestFrame): Outcome {
    if (frame.argc !== 3) return FORWARD;
    const on = argumentIs(frame, 2, 'on');
    if (!on && !argumentIs(frame, 2, 'off')) return this.#reply(session, SYNTAX_ERROR);
    session.noEvict = on;
    return this.#reply(session, OK);
  }

  #reply(session: Session, bytes: Buffer): typeof DONE {
    this.#on.counters[C.local]++;
    session.reply(bytes);
    return DONE;
  }
}

function isMeant(client: Session, filter: KillFilter): boolean {
  const { id, type, user, address, localAddress, age } = filter;
  return (
    (id === null || client.id === id) &&
    (type === null || typeOf(client) === type) &&
    (user === null || client.user === user) &&
    (address === null || client.address === address) &&
    (localAddress === null || client.localAddress === localAddress) &&
    (age === null || Date.now() - client.createdAt >= age * 1000)
  );
}
