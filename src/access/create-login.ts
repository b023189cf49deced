// Decides who checks passwords: heatsink's own users where any are listed, else the upstream.

import { clock } from '../clock.ts';
import type { Topology } from '../upstream/topology.ts';
import type { Guesses } from './guesses.ts';
import { Identities } from './identities.ts';
import { type Login, UsersLogin } from './login.ts';
import { SlowLogin } from './slow-login.ts';
import { UpstreamLogin } from './upstream-login.ts';
import { type UserOptions, Users } from './users.ts';

/** Users of the upstream that are known at once, and how long one is kept that nobody is, in milliseconds. */
const IDENTITIES_MAX = 1000;
const IDENTITY_IDLE = 30_000;
const IDENTITY_SWEEP = 5000;

export interface LoginOptions {
  readonly users: readonly UserOptions[];
  /** Whether who does not log in is heatsink's own user to the upstream; else nobody. */
  readonly open: boolean;
  readonly topology: Topology;
  readonly guesses: Guesses;
  /** Gets the address of whoever had a wrong password. */
  readonly wrong: (address: string) => void;
}

/** `close` ends what it does by itself. */
export function createLogin(options: LoginOptions): { login: Login; close: () => void } {
  const { users, open, topology, guesses, wrong } = options;
  const slow = (login: Login) => new SlowLogin(login, guesses, wrong);
  if (users.length > 0) return { login: slow(new UsersLogin(new Users(users))), close: () => {} };
  const identities = new Identities({
    most: IDENTITIES_MAX,
    idle: IDENTITY_IDLE,
    close: (identity) => topology.forget(identity),
  });
  const timer = setInterval(() => identities.sweep(clock.tick()), IDENTITY_SWEEP).unref();
  return { login: slow(new UpstreamLogin(topology, identities, open)), close: () => clearInterval(timer) };
}
