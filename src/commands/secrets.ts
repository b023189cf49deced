// Which arguments of a request may be passwords, so that nothing that is kept of it, in a log of slow commands say,
// holds them. More is left out than Redis does: here nobody needs to see the rest.

import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentIs } from './argument.ts';

/** The first argument that may be one, by command; those behind it may be as well. */
const SECRET_FROM: ReadonlyMap<string, number> = new Map([
  ['auth', 1],
  ['hello', 2],
  ['acl|setuser', 2],
  ['config|set', 3],
  ['module|load', 3],
  ['module|loadex', 3],
  ['sentinel|set', 3],
]);

/**
 * The first of the request's arguments that must not be kept, nor any behind it; `argc` when all may be. `name`: of its
 * command, in lower case; null for one that nobody knows, which may be a mistyped AUTH.
 */
export function secretFrom(name: string | null, frame: RequestFrame): number {
  if (name === null) return 1;
  if (name === 'migrate') return authOf(frame);
  return Math.min(SECRET_FROM.get(name) ?? frame.argc, frame.argc);
}

/** https://redis.io/docs/latest/commands/migrate/ */
function authOf(frame: RequestFrame): number {
  for (let i = 6; i < frame.argc; i++)
    if (argumentIs(frame, i, 'auth') || argumentIs(frame, i, 'auth2')) return i + 1;
  return frame.argc;
}
