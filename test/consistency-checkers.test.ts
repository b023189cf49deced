// The checkers of histories against a search through all orders, on histories small enough for that.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ADD, DELETE, EXPIRY, History, MISSING, type Operation, READ, WRITE } from './consistency/history.ts';
import { checkOrder } from './consistency/ordered.ts';
import { checkRegister } from './consistency/register.ts';

const op = (kind: number, value: number, invoked: number, responded: number): Operation => ({
  kind,
  value,
  invoked,
  responded,
});

/** What is known in the middle of an order: the value, and the greatest that was written if they come in order. */
interface State {
  readonly value: number;
  readonly written: number;
}

/** Whether some order of the operations explains it all; one without an outcome may not have happened. */
function explained(
  operations: readonly Operation[],
  ascending = false,
  state = { value: MISSING, written: 0 },
) {
  if (operations.every(({ responded }) => responded === Infinity)) return true;
  const firstResponse = Math.min(...operations.map(({ responded }) => responded));
  return operations.some((next): boolean => {
    if (next.invoked > firstResponse) return false;
    const after = follow(state, next, ascending);
    const rest = operations.filter((other) => other !== next);
    return after !== null && explained(rest, ascending, after);
  });
}

function follow(state: State, { kind, value }: Operation, ascending: boolean): State | null {
  if (kind === READ) return value === state.value ? state : null;
  if ((kind === ADD || ascending) && value <= state.written) return null;
  return { value: kind === DELETE ? MISSING : value, written: value };
}

const span = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 1, max: 6 }));
const outcome = fc.integer({ min: 0, max: 5 }).map((n) => n > 0);

/** Writes of 1, 2, 3 ... and reads of them; with removals if asked for. */
function histories(removals: boolean): fc.Arbitrary<Operation[]> {
  const kind = fc.constantFrom(READ, READ, READ, WRITE, WRITE, ...(removals ? [DELETE] : []));
  const rough = fc.array(fc.tuple(kind, span, fc.nat(), outcome), { minLength: 1, maxLength: 8 });
  return rough.map((parts) => {
    const writes = parts.filter(([kind]) => kind === WRITE).length;
    let written = 0;
    return parts.map(([kind, [begin, length], any, known]) => {
      const value = kind === WRITE ? ++written : kind === READ ? any % (writes + 1) : MISSING;
      // Halves, so that no response is at the time of an invocation.
      return op(kind, value, begin, known || kind === READ ? begin + length - 0.5 : Infinity);
    });
  });
}

describe('the checker of registers', () => {
  it('finds exactly the histories wrong that no order explains', () => {
    let right = 0;
    let wrong = 0;
    // A missing value that nothing writes but the beginning is a value like others: written once.
    fc.assert(
      fc.property(histories(false), (operations) => {
        const expected = explained(operations);
        if (expected) right++;
        else wrong++;
        expect(checkRegister(History.of(operations)).count === 0).toBe(expected);
      }),
      { numRuns: 5000 },
    );
    expect(Math.min(right, wrong)).toBeGreaterThan(500);
  });

  it('finds no history with removals wrong that an order explains, and most others', () => {
    let wrong = 0;
    let found = 0;
    fc.assert(
      fc.property(histories(true), (operations) => {
        const { count } = checkRegister(History.of(operations));
        if (explained(operations)) expect(count).toBe(0);
        else {
          wrong++;
          if (count > 0) found++;
        }
      }),
      { numRuns: 5000 },
    );
    expect(found).toBeGreaterThan(0.95 * wrong);
  });

  it('finds a value that outlives its expiry, and lets it be gone before', () => {
    const set = [op(WRITE, 1, 0, 1), op(EXPIRY, 1, 30, 35)];
    const wrong = (...reads: Operation[]) => checkRegister(History.of([...set, ...reads])).count;
    expect(wrong(op(READ, 1, 34, 36))).toBe(0);
    expect(wrong(op(READ, 1, 36, 37))).toBe(1);
    expect(wrong(op(READ, MISSING, 29, 31))).toBe(0);
    expect(wrong(op(READ, MISSING, 27, 28))).toBe(1);
    expect(wrong(op(READ, MISSING, 31, 32), op(READ, 1, 33, 34))).toBe(1);
  });

  it('checks a million operations in seconds', () => {
    const history = new History();
    for (let i = 1; i <= 250_000; i++) {
      history.add(WRITE, i, i * 4, i * 4 + 2);
      for (let read = 0; read < 3; read++) history.add(READ, i, i * 4 + 1, i * 4 + 3);
    }
    const began = performance.now();
    expect(checkRegister(history).count).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
    history.add(READ, 100_000, 400_008, 400_009);
    expect(checkRegister(history).count).toBeGreaterThan(0);
  });
});

describe('the checker of ordered values', () => {
  /** One writer, one write after the other. */
  const ordered = fc
    .tuple(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 4 }), outcome), { maxLength: 3 }),
      fc.array(fc.tuple(span, fc.nat()), { minLength: 1, maxLength: 5 }),
    )
    .map(([writes, reads]) => {
      let now = 0;
      const written = writes.map(([removes, length, known], i) => {
        const begin = now;
        now += length;
        return op(removes ? DELETE : WRITE, i + 1, begin, known ? now - 0.5 : Infinity);
      });
      const read = reads.map(([[begin, length], any]) => {
        const value = any % (writes.length + 1);
        const removed = value > 0 && written[value - 1].kind === DELETE;
        return op(READ, removed ? MISSING : value, begin, begin + length - 0.5);
      });
      return [...written, ...read];
    });

  it('finds exactly the histories of one writer wrong that no order explains', () => {
    let right = 0;
    let wrong = 0;
    fc.assert(
      fc.property(ordered, (operations) => {
        const expected = explained(operations, true);
        if (expected) right++;
        else wrong++;
        expect(checkOrder(History.of(operations)).count === 0).toBe(expected);
      }),
      { numRuns: 5000 },
    );
    expect(Math.min(right, wrong)).toBeGreaterThan(500);
  });

  it('finds exactly the histories of a counter wrong that no order explains', () => {
    const adds = fc.array(fc.tuple(fc.boolean(), span, fc.integer({ min: 1, max: 5 })), { maxLength: 7 });
    fc.assert(
      fc.property(adds, (parts) => {
        const operations = parts.map(([adds, [begin, length], value]) =>
          op(adds ? ADD : READ, value, begin, begin + length - 0.5),
        );
        const added = operations.filter(({ kind }) => kind === ADD);
        fc.pre(new Set(added.map(({ value }) => value)).size === added.length);
        // What was read was counted, perhaps by one whose reply was lost.
        const lost = operations
          .filter(({ kind, value }) => kind === READ && !added.some((other) => other.value === value))
          .map(({ value }) => op(ADD, value, 0, Infinity));
        const unique = lost.filter((one, i) => lost.findIndex(({ value }) => value === one.value) === i);
        expect(checkOrder(History.of(operations)).count === 0).toBe(explained([...operations, ...unique]));
      }),
      { numRuns: 5000 },
    );
  });

  it('lets other processes see a write late, but not later than the bound, and never back again', () => {
    const writes = [op(WRITE, 1, 0, 1), op(WRITE, 2, 10, 11), op(DELETE, 3, 50, 51)];
    const check = (...reads: Operation[]) => checkOrder(History.of([...writes, ...reads]), { bound: 20 });
    expect(check(op(READ, 1, 30, 32), op(READ, 2, 31, 33)).count).toBe(0);
    expect(check(op(READ, 1, 30, 32)).stalest).toBe(19);
    expect(check(op(READ, 1, 32, 33)).count).toBe(1);
    expect(check(op(READ, 2, 12, 13), op(READ, 1, 14, 15)).count).toBe(1);
    expect(check(op(READ, MISSING, 52, 53), op(READ, 2, 54, 55)).count).toBe(1);
    expect(check(op(READ, MISSING, 40, 41)).count).toBe(1);
    expect(check(op(READ, 3, 60, 61), op(READ, 4, 60, 61)).count).toBe(1);
  });

  it('checks a million operations in seconds', () => {
    const history = new History();
    for (let i = 1; i <= 250_000; i++) {
      history.add(ADD, i, i * 4, i * 4 + 2);
      for (let read = 0; read < 3; read++) history.add(READ, i, i * 4 + 1, i * 4 + 3);
    }
    const began = performance.now();
    expect(checkOrder(history).count).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
    history.add(READ, 100_000, 400_008, 400_009);
    expect(checkOrder(history).count).toBeGreaterThan(0);
  });
});
