// Refuses what the client may not send, and fails its transaction with it, as a server does.

import type { Login } from '../access/login.ts';
import type { Permit } from '../access/permit.ts';
import { ALLOWED, type Command } from '../commands/command.ts';
import { fits } from '../commands/keys.ts';
import { C, type Counters } from '../counters.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { DONE, FORWARD, HOLD, type Outcome } from './outcome.ts';
import type { Session } from './session.ts';

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
    const refusal = this.#permit.refusal(session.rights, frame, command);
    if (refusal === null) return FORWARD;
    this.#counters[C.refused]++;
    const transaction = session.pins?.transaction;
    if (transaction?.open) transaction.aborted = true;
    session.reply(refusal);
    return DONE;
  }
}
