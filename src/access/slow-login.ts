// Makes guessing passwords slow: a login waits before it is looked at, for as long as wrong passwords from its address
// have earned. All connections of the address wait, and right passwords, too: if those were answered at once, an
// attacker would only have to try on many connections and not wait for the wrong ones. Nobody waits behind another's
// wait, though, so a right password comes through within the longest one, however many guess beside it.

import { clock } from '../clock.ts';
import { argumentIs } from '../commands/argument.ts';
import type { Command } from '../commands/command.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { Guesses } from './guesses.ts';
import type { Login, Visitor } from './login.ts';
import type { Rights } from './rights.ts';

/** How errors for a wrong name or password begin; the second one is that of servers before Redis 6. */
const WRONG = /^-(WRONGPASS |ERR invalid password)/;

export class SlowLogin implements Login {
  readonly #login: Login;
  readonly #guesses: Guesses;
  /** Gets the address of whoever had a wrong password. */
  readonly #wrong: (address: string) => void;
  /** Whose login waits, or has waited and is being looked at. */
  readonly #waits = new WeakMap<Visitor, 'waits' | 'waited'>();

  constructor(login: Login, guesses: Guesses, wrong: (address: string) => void) {
    this.#login = login;
    this.#guesses = guesses;
    this.#wrong = wrong;
  }

  enter(local: boolean): Rights {
    return this.#login.enter(local);
  }

  authenticate(visitor: Visitor, name: string | null, password: string): Buffer | null {
    const error = this.#login.authenticate(visitor, name, password);
    if (error !== null && WRONG.test(error.toString('latin1'))) {
      this.#guesses.failed(visitor.address, clock.tick());
      this.#wrong(visitor.address);
    }
    return error;
  }

  asksFirst(visitor: Visitor, frame: RequestFrame, command: Command | null): boolean {
    return this.#login.asksFirst(visitor, frame, command);
  }

  asks(visitor: Visitor, frame: RequestFrame, command: Command): boolean | Buffer {
    if (logsIn(frame, command) && this.#mustWait(visitor)) return true;
    const asks = this.#login.asks(visitor, frame, command);
    if (asks !== true) this.#waits.delete(visitor);
    return asks;
  }

  leave(visitor: Visitor): void {
    this.#login.leave(visitor);
  }

  #mustWait(visitor: Visitor): boolean {
    const state = this.#waits.get(visitor);
    if (state !== undefined) return state === 'waits';
    const wait = this.#guesses.waitOf(visitor.address, clock.tick());
    this.#waits.set(visitor, wait > 0 ? 'waits' : 'waited');
    if (wait === 0) return false;
    setTimeout(() => {
      this.#waits.set(visitor, 'waited');
      visitor.release();
    }, wait).unref();
    return true;
  }
}

/** Whether the request may hold a password. */
function logsIn(frame: RequestFrame, { name }: Command): boolean {
  if (name === 'auth') return true;
  if (name !== 'hello') return false;
  for (let i = 2; i < frame.argc; i++) if (argumentIs(frame, i, 'auth')) return true;
  return false;
}
