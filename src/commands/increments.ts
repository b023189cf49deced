// Commands that add a whole number to a counter, and what several of them are as one.

import { type Argument, encodeRequest } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argument } from './argument.ts';

export interface IncrementForm {
  /** How many arguments there are with the name. */
  readonly arity: number;
  /** The argument that names the field of a hash; 0 for a counter that is a key. */
  readonly fieldAt: number;
  /** The argument that is the amount; 0 where it is 1. */
  readonly amountAt: number;
  readonly sign: 1 | -1;
}

export const INCREMENT_FORMS: ReadonlyMap<string, IncrementForm> = new Map([
  ['incr', { arity: 2, fieldAt: 0, amountAt: 0, sign: 1 }],
  ['decr', { arity: 2, fieldAt: 0, amountAt: 0, sign: -1 }],
  ['incrby', { arity: 3, fieldAt: 0, amountAt: 2, sign: 1 }],
  ['decrby', { arity: 3, fieldAt: 0, amountAt: 2, sign: -1 }],
  ['hincrby', { arity: 4, fieldAt: 2, amountAt: 3, sign: 1 }],
]);

/** Digits as Redis takes them, of a number that is exact here: no sign but a minus, no zero in front. */
const WHOLE = /^(0|-?[1-9]\d{0,14})$/;
/** The same of a reply's number. */
const EXACT = 15;

/** What the request adds; null where that is not for certain a whole number that Redis would take. */
export function amountOf(frame: RequestFrame, form: IncrementForm): number | null {
  if (frame.argc !== form.arity) return null;
  if (form.amountAt === 0) return form.sign;
  const digits = argument(frame, form.amountAt).toString('latin1');
  // Not -0, which is another number to some.
  return WHOLE.test(digits) ? form.sign * Number(digits) + 0 : null;
}

/** One request that adds the sum. */
export function sumRequest(key: Buffer, field: Buffer | null, sum: number): Buffer {
  const args: Argument[] = field === null ? ['INCRBY', key, sum] : ['HINCRBY', key, field, sum];
  return encodeRequest(args);
}

/**
 * The replies that the increments would have got one after the other, when the last one's is `:digits`. All amounts
 * have one sign, so that no value on the way is larger than the last or smaller than the first.
 */
export function repliesOf(digits: string, amounts: readonly number[], sum: number): string[] {
  if (digits.length > EXACT) {
    let value = BigInt(digits) - BigInt(sum);
    return amounts.map((amount) => {
      value += BigInt(amount);
      return `:${value}\r\n`;
    });
  }
  let value = Number(digits) - sum;
  return amounts.map((amount) => {
    value += amount;
    return `:${value}\r\n`;
  });
}
