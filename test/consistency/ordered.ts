// Whether the history of a key is in order whose values are known to be written in ascending order: a counter, or a
// key with one writer. O(n log n), by one walk over all invocations and responses in the order of their times.
//
// A read that began after another one had given a value never gives an older one, and no older one than was
// acknowledged `bound` milliseconds before it began. With a bound of 0 that is linearizability.

import {
  ADD,
  DELETE,
  describeOperation,
  EXPIRY,
  Findings,
  type History,
  MISSING,
  READ,
  sortedBy,
  WRITE,
} from './history.ts';

export interface OrderOptions {
  /** For how long after its acknowledgement a write may go unseen, in milliseconds. */
  readonly bound?: number;
  /** What was safe before: nothing older may be seen at all. */
  readonly floor?: number;
}

export interface OrderFindings extends Findings {
  /** The longest that a write had been acknowledged when a read began that did not see it, in milliseconds. */
  stalest: number;
}

/** All that is wrong with it. The key is missing at first; what is missing has the number of a removal, or 0. */
export function checkOrder(history: History, { bound = 0, floor = 0 }: OrderOptions = {}): OrderFindings {
  const findings: OrderFindings = Object.assign(new Findings(), { stalest: 0 });
  const { kinds, values, invoked, responded, length } = history;
  const writes = writesOf(history, findings);
  const removals = history.where((_, __, kind) => kind === DELETE).values.sort((a, b) => a - b);
  removals.unshift(0);

  const numbered = kinds.includes(WRITE);
  // Three moments of each operation. At one and the same time what begins comes first: it could not know.
  const order = sortedBy(length * 3, (moment) => {
    const i = moment % length;
    if (moment < length) return invoked[i];
    return moment < length * 2 ? responded[i] : responded[i] + bound;
  });
  /** The oldest value that an operation may give. */
  const least = new Float64Array(length);
  let known = floor;
  /** Who made that known. */
  let knownBy = -1;
  const teller = new Int32Array(length);
  const learn = (value: number, i: number) => {
    if (value <= known) return;
    known = value;
    knownBy = i;
  };
  for (const moment of order) {
    const i = moment % length;
    const kind = kinds[i];
    if (moment < length) {
      least[i] = known;
      teller[i] = knownBy;
    } else if (kind === EXPIRY || responded[i] === Infinity) {
      // Nobody knows of it by that.
    } else if (moment >= length * 2) {
      if (kind !== READ) learn(values[i], i);
    } else if (kind === READ) {
      learn(see(i), i);
    } else if (kind === ADD) {
      if (values[i] <= least[i]) wrong(i, `${values[i]} was counted after ${least[i]} was known`);
      learn(values[i], i);
    }
  }
  return findings;

  /** The number of what the read has seen, at the least. */
  function see(i: number): number {
    const seen = values[i] === MISSING ? removalFrom(least[i]) : values[i];
    if (
      values[i] === MISSING &&
      (seen === undefined || (writes.get(seen)?.invoked ?? -Infinity) > responded[i])
    ) {
      wrong(i, `missing after ${least[i]} was known, which nobody had removed`);
      return 0;
    }
    const number = seen as number;
    const write = writes.get(number);
    if (number < least[i]) wrong(i, `${number} was read after ${least[i]} was known`);
    else if (numbered && number > 0 && write === undefined)
      wrong(i, `${number} was read, but nobody wrote it`);
    else if (write !== undefined && write.invoked > responded[i])
      wrong(i, `${number} was read before it was written`);
    // Which of the removals a missing key is from nobody knows.
    if (values[i] !== MISSING) {
      const next = writes.get(number + 1)?.responded ?? Infinity;
      findings.stalest = Math.max(findings.stalest, invoked[i] - next);
    }
    return number;
  }

  function removalFrom(number: number): number | undefined {
    let low = 0;
    let high = removals.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (removals[middle] < number) low = middle + 1;
      else high = middle;
    }
    return removals[low];
  }

  function wrong(i: number, why: string): void {
    findings.add(
      () =>
        `${why}: ${describeOperation(history.at(i))}\n` +
        (teller[i] < 0 ? '' : `known by ${describeOperation(history.at(teller[i]))}\n`) +
        history.around(invoked[i], [values[i], least[i], least[i] + 1]),
    );
  }
}

/** When each number was written. */
function writesOf(
  { kinds, values, invoked, responded, length }: History,
  findings: Findings,
): Map<number, { invoked: number; responded: number }> {
  const writes = new Map<number, { invoked: number; responded: number }>();
  for (let i = 0; i < length; i++) {
    if (kinds[i] === READ || kinds[i] === EXPIRY) continue;
    if (writes.has(values[i])) findings.add(() => `${values[i]} was written twice`);
    writes.set(values[i], { invoked: invoked[i], responded: responded[i] });
  }
  return writes;
}
