// Refuses what the client may not send, and fails its transaction with it, as a server does.

import type { Login } from '../access/login.ts';
import type { Permit } from '../access/permit.ts';
import { ALLOWED, type Command } from '../commands/command.ts';
import { fits } from '../commands/keys.ts';
import { C, type Counters } from '../counters.ts';
import { errorReply } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { DONE, FORWARD, HOLD, type Outcome } from './outcome.ts';
import type { Session } from './session.ts';

const NOT_INSIDE = errorReply('ERR Command not allowed inside a transaction');

export class Admission {
  readonly #login: Login;
  readonly #permit: Permit;
  readonly #counters: Counters;

  constructor(login: Login, permit: Permit, counters: Counters) {
    this.#login = login;
    this.#permit = permit;
    this.#counters = counters;
  }

  /** Looks at a request of a restricted client, or of a guarded command; null for a command that nobody knows. */
  serve(session: Session, frame: RequestFrame, command: Command | null): Outcome {
    // Of a wrong number of arguments the server speaks first, and does nothing.
    if (command !== null && command.guard !== ALLOWED && !fits(command, frame)) return FORWARD;
    if (!session.authenticated && this.#login.asksFirst(session, frame, command)) return HOLD;
    const transaction = session.pins?.transaction;
    const inside = transaction?.open === true && command?.noMulti === true;
    const refusal = inside ? NOT_INSIDE : this.#permit.refusal(session.rights, frame, command);
    if (refusal === null) return FORWARD;
    this.#counters[C.refused]++;
    if (transaction?.open) transaction.aborted = true;
    session.reply(refusal);
    return DONE;
  }
}
