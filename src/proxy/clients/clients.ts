// CLIENT LIST, INFO, KILL, REPLY, NO-EVICT and NO-TOUCH: about heatsink's clients, of which the server knows nothing.

import { argumentIs } from '../../commands/argument.ts';
import { type KillFilter, readKillFilter } from '../../commands/client-kill.ts';
import { clientLine, type ListFilter, linesReply, readListFilter } from '../../commands/client-list.ts';
import type { Command } from '../../commands/command.ts';
import { C, type Counters } from '../../counters.ts';
import { errorReply, integerReply, OK } from '../../resp3/encode.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Answers } from '../answers.ts';
import { REPLY_OFF, REPLY_ON, REPLY_SKIP } from '../client.ts';
import { expectReply, settleLater } from '../client-calls.ts';
import { DONE, FORWARD, type Outcome } from '../outcome.ts';
import type { Peers } from '../peers.ts';
import type { NoTouch } from '../pinned/no-touch.ts';
import type { Session } from '../session.ts';
import type { ClientPause } from './client-pause.ts';
import { describeClient, typeOf } from './client-row.ts';
import type { ClientUnblock } from './client-unblock.ts';

const SYNTAX_ERROR = errorReply('ERR syntax error');
const NO_SUCH_CLIENT = errorReply('ERR No such client');

export interface ClientsOptions {
  readonly sessions: ReadonlyMap<number, Session>;
  readonly pause: ClientPause;
  readonly unblock: ClientUnblock;
  readonly noTouch: NoTouch;
  readonly answers: Answers;
  readonly counters: Counters;
  readonly peers: Peers;
  readonly isUser: (name: string) => boolean;
  /** Of the upstream, such as `7.0.15`. */
  readonly version: string;
}

/** A client of any worker, as CLIENT LIST shows it. */
interface Row {
  readonly id: number;
  readonly line: string;
}

/** What one worker did for a CLIENT KILL. */
interface Killed {
  readonly count: number;
  /** Whether the user that it names, if any, is one. */
  readonly knowsUser: boolean;
  /** Whether the client that asks is among them. */
  readonly asker: boolean;
}

export class Clients {
  readonly #on: ClientsOptions;
  readonly #knowsAge: boolean;

  constructor(options: ClientsOptions) {
    this.#on = options;
    const [major, minor] = options.version.split('.').map(Number);
    this.#knowsAge = major > 7 || (major === 7 && minor >= 4);
    options.peers.on('client list', (filter: ListFilter) => this.#rows(filter, null, null));
    options.peers.on('client kill', (filter: KillFilter) => this.#killMeant(filter, null));
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
    const own = this.#rows(filter, session, frame);
    const { protocol } = session;
    return this.#withOthers<Row[]>(session, 'client list', filter, (others) => {
      const rows = [own, ...others].flat();
      const byId = (id: number) => rows.find((row) => row.id === id) ?? [];
      const shown = filter.ids === null ? rows.sort((a, b) => a.id - b.id) : filter.ids.flatMap(byId);
      return linesReply(
        protocol,
        shown.map(({ line }) => line),
      );
    });
  }

  #rows({ ids, type }: ListFilter, asks: Session | null, frame: RequestFrame | null): Row[] {
    const { sessions } = this.#on;
    const found = ids === null ? [...sessions.values()] : ids.map((id) => sessions.get(id));
    return found
      .filter((client) => client !== undefined)
      .filter((client) => !client.socket.destroyed && (type ?? typeOf(client)) === typeOf(client))
      .map((client) => ({ id: client.id, line: this.#line(client, asks, frame) }));
  }

  #line(client: Session, asks: Session | null, frame: RequestFrame | null): string {
    const { sessions, peers } = this.#on;
    return clientLine(describeClient(client, peers.any ? null : sessions, client === asks ? frame : null));
  }

  #kill(session: Session, frame: RequestFrame): Outcome {
    if (frame.argc < 3) return FORWARD;
    const { peers } = this.#on;
    // Whether a name is a user's is known once all workers have looked.
    const isUser = (name: string) => peers.any || this.#isUser(name);
    const filter = readKillFilter(frame, { isUser, knowsAge: this.#knowsAge });
    if (Buffer.isBuffer(filter)) return this.#reply(session, filter);
    const own = this.#killMeant(filter, session);
    const outcome = this.#withOthers<Killed>(session, 'client kill', filter, (others) => {
      const all = [own, ...others];
      if (!all.some(({ knowsUser }) => knowsUser)) return errorReply(`ERR No such user '${filter.user}'`);
      const killed = all.reduce((sum, { count }) => sum + count, 0);
      const oldForm = killed > 0 ? OK : NO_SUCH_CLIENT;
      return filter.counted ? integerReply(killed) : oldForm;
    });
    if (own.asker) session.closing = true;
    return outcome;
  }

  #killMeant(filter: KillFilter, asks: Session | null): Killed {
    const meant = [...this.#on.sessions.values()].filter(
      (client) => !client.socket.destroyed && isMeant(client, filter) && !(filter.skipMe && client === asks),
    );
    const knowsUser = filter.user === null || this.#isUser(filter.user);
    for (const client of meant) if (client !== asks) client.kill();
    return { count: meant.length, knowsUser, asker: asks !== null && meant.includes(asks) };
  }

  #isUser(name: string): boolean {
    return this.#on.isUser(name);
  }

  /** Replies with what follows from the answers of the other workers: at once when there are none. */
  #withOthers<Answer>(
    session: Session,
    kind: string,
    body: unknown,
    reply: (others: Answer[]) => Buffer,
  ): typeof DONE {
    const { peers, answers, counters } = this.#on;
    if (!peers.any) return this.#reply(session, reply([]));
    counters[C.local]++;
    const request = expectReply(session, answers);
    peers.ask<Answer>(kind, body).then((others) => settleLater(session, answers, request, reply(others)));
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
