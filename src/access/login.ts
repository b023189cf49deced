// How clients show who they are: to heatsink's own users, or through it to the upstream (upstream-login.ts).

import type { Command } from '../commands/command.ts';
import { errorReply } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { Rights } from './rights.ts';
import type { Users } from './users.ts';

export const WRONG_PASSWORD = errorReply('WRONGPASS invalid username-password pair or user is disabled.');
const NO_PASSWORD_SET = errorReply(
  'ERR AUTH <password> called without any password configured for the default user. ' +
    'Are you sure your configuration is correct?',
);

/** The client, as far as its login is concerned; see proxy/session.ts. */
export interface Visitor {
  readonly id: number;
  /** `host:port` */
  readonly address: string;
  /** Whether it came over loopback. */
  readonly local: boolean;
  rights: Rights;
  /** Offers the request that had to wait again. */
  release(): void;
}

export interface Login {
  /** The rights of a connection that is new, or as new after RESET. */
  enter(local: boolean): Rights;
  /**
   * Gives the visitor the rights of that user; null for AUTH's form without a name. Returns the error, or null.
   * Bytes of both are latin1.
   */
  authenticate(visitor: Visitor, name: string | null, password: string): Buffer | null;
  /** Whether the request must wait until the upstream has said if the visitor may do without a login. */
  asksFirst(visitor: Visitor, frame: RequestFrame, command: Command | null): boolean;
  /**
   * Whether a command about the connection, by a visitor without anything else under way, must wait for the
   * upstream's word; or the error by which the upstream refuses it.
   */
  asks(visitor: Visitor, frame: RequestFrame, command: Command): boolean | Buffer;
  /** The visitor goes, or becomes somebody else. */
  leave(visitor: Visitor): void;
}

export class UsersLogin implements Login {
  readonly #users: Users;

  constructor(users: Users) {
    this.#users = users;
  }

  enter(local: boolean): Rights {
    return this.#users.unnamed(local);
  }

  authenticate(visitor: Visitor, name: string | null, password: string): Buffer | null {
    if (name === null && this.#users.defaultIsOpen) return NO_PASSWORD_SET;
    // Names in the configuration are UTF-8, as those of clients are.
    const text = name === null ? 'default' : Buffer.from(name, 'latin1').toString();
    const rights = this.#users.find(text, Buffer.from(password, 'latin1'), visitor.local);
    if (rights === null) return WRONG_PASSWORD;
    visitor.rights = rights;
    return null;
  }

  asksFirst(): boolean {
    return false;
  }

  asks(): boolean {
    return false;
  }

  leave(): void {}
}

/** Whether the address of a peer is one of this machine's own, which no other machine can have. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(127\.|::1$|::ffff:127\.)/i.test(address);
}
