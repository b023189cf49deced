// Commands that give a key a time to live, and the same with another one. Points in time (EXAT, PXAT, EXPIREAT,
// PEXPIREAT) are not among them: who names one means it.

import { encodeRequest } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argument, argumentIs } from './argument.ts';

export interface ExpiryForm {
  /** The argument that is the time to live; 0 when it is behind EX or PX. */
  readonly ttlAt: number;
  /** Where options begin. */
  readonly optionsAt: number;
  /** How many arguments there are with the name; negative: at least so many. */
  readonly arity: number;
  readonly seconds: boolean;
  /** The command that takes milliseconds and else does the same; empty where an option says the unit. */
  readonly precise: string;
}

export const EXPIRY_FORMS: ReadonlyMap<string, ExpiryForm> = new Map([
  ['setex', { ttlAt: 2, optionsAt: 4, arity: 4, seconds: true, precise: 'PSETEX' }],
  ['psetex', { ttlAt: 2, optionsAt: 4, arity: 4, seconds: false, precise: 'PSETEX' }],
  ['expire', { ttlAt: 2, optionsAt: 3, arity: -3, seconds: true, precise: 'PEXPIRE' }],
  ['pexpire', { ttlAt: 2, optionsAt: 3, arity: -3, seconds: false, precise: 'PEXPIRE' }],
  ['set', { ttlAt: 0, optionsAt: 3, arity: -3, seconds: true, precise: '' }],
  ['getex', { ttlAt: 0, optionsAt: 2, arity: -2, seconds: true, precise: '' }],
]);

/** A time to live in a request. */
export interface Ttl {
  readonly form: ExpiryForm;
  /** The argument that holds it. */
  readonly at: number;
  readonly seconds: boolean;
  readonly milliseconds: number;
}

/** Options behind which an argument of theirs stands. */
const WITH_VALUE = ['ex', 'px', 'exat', 'pxat'];
const DIGITS = /^[1-9]\d{0,11}$/;

/** The request's time to live; null when it has none, or none that the server would take. */
export function ttlOf(frame: RequestFrame, form: ExpiryForm): Ttl | null {
  const { arity } = form;
  if (arity > 0 ? frame.argc !== arity : frame.argc < -arity) return null;
  if (form.ttlAt > 0) return ttlAt(frame, form, form.ttlAt, form.seconds);
  let found: Ttl | null = null;
  for (let i = form.optionsAt; i < frame.argc; i++) {
    const option = WITH_VALUE.find((word) => argumentIs(frame, i, word));
    if (option === undefined) continue;
    // A second one is refused by the server, who is to see what the client said.
    if (found !== null || i + 1 === frame.argc || option.endsWith('at')) return null;
    found = ttlAt(frame, form, ++i, option === 'ex');
  }
  return found;
}

function ttlAt(frame: RequestFrame, form: ExpiryForm, at: number, seconds: boolean): Ttl | null {
  const digits = argument(frame, at).toString('latin1');
  if (!DIGITS.test(digits)) return null;
  return { form, at, seconds, milliseconds: Number(digits) * (seconds ? 1000 : 1) };
}

/** The request in bytes of its own, with that time to live instead; to the millisecond, or in the unit that it has. */
export function withTtl(frame: RequestFrame, ttl: Ttl, milliseconds: number, precisely: boolean): Buffer {
  const { form, at, seconds } = ttl;
  const inSeconds = seconds && !precisely && form.precise !== '';
  const value = inSeconds ? Math.max(1, Math.round(milliseconds / 1000)) : milliseconds;
  const args: (Buffer | string)[] = Array.from({ length: frame.argc }, (_, i) => argument(frame, i));
  args[at] = `${value}`;
  if (seconds && !inSeconds) args[form.precise === '' ? at - 1 : 0] = form.precise || 'PX';
  return encodeRequest(args);
}
