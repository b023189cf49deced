// Who may connect at all, decided before a byte of theirs is read.

import type { Socket } from 'node:net';
import { isLoopback } from '../../access/login.ts';
import { C, type Counters } from '../../counters.ts';
import type { Quota } from '../../quota.ts';
import { errorReply } from '../../resp3/encode.ts';

const TOO_MANY = errorReply('ERR max number of clients reached');
/** Redis's answer in its protected mode, with heatsink's ways out of it. */
const DENIED = errorReply(
  'DENIED heatsink is running in protected mode because protected mode is enabled and nobody checks who its clients ' +
    'are: it has no users, and auth is auto. In this mode connections are only accepted from the loopback interface. ' +
    'If you want to connect from external computers you may adopt one of the following solutions: ' +
    '1) List users in the configuration of heatsink, or start it with --auth upstream, so that clients must log in. ' +
    "2) Disable protected mode by sending the command 'CONFIG SET heatsink.client.protectedMode off' from the " +
    'loopback interface, however MAKE SURE heatsink is not publicly accessible from internet if you do so. ' +
    '3) Start heatsink with the option --protected-mode off, which makes this change permanent. ' +
    'NOTE: You only need to do one of the above things in order for the server to start accepting connections from ' +
    'the outside.',
);

export interface GateOptions {
  /** Of connected clients. */
  readonly quota: Quota;
  /** Whether clients of other machines are refused while nobody checks who they are. */
  readonly protects: boolean;
  /** Whether somebody does: heatsink by its users, or the upstream. */
  readonly checked: boolean;
  readonly counters: Counters;
}

export class Gate {
  /** May change at any time. */
  protects: boolean;
  readonly quota: Quota;
  readonly #on: GateOptions;

  constructor(options: GateOptions) {
    this.protects = options.protects;
    this.quota = options.quota;
    this.#on = options;
  }

  /** Takes a place for a new connection, for `leave` to give back. False: there is none. */
  enter(): boolean {
    if (this.quota.claim()) return true;
    this.#on.counters[C.tooManyClients]++;
    return false;
  }

  leave(): void {
    this.quota.release();
  }

  /** Tells a client for whom there is no place, and closes. */
  turnAway(socket: Socket): void {
    farewell(socket, TOO_MANY);
  }

  /** Closes the connection, with a word that explains it, if it comes from where nobody may. */
  refuses(socket: Socket): boolean {
    if (!this.protects || this.#on.checked || isLoopback(socket.remoteAddress)) return false;
    this.#on.counters[C.unprotected]++;
    farewell(socket, DENIED);
    return true;
  }
}

function farewell(socket: Socket, words: Buffer): void {
  socket.on('error', () => {});
  socket.write(words);
  socket.destroySoon();
}
