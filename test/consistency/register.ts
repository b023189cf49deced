// Whether the history of one register is linearizable, in O(n log n). Every write writes a value of its own, so the
// operations of one value, its write and its reads, form a cluster with a zone in time:
//
//   from the first response of the cluster to its last invocation    forward, when that is a span of time:
//   from its last invocation to its first response                   backward, else
//
// Gibbons and Korach (Testing Shared Memories, 1997): it is linearizable if and only if no read responds before its
// write is invoked, no two forward zones overlap, and no backward zone lies inside a forward one. In a forward zone
// nobody else can have written.
//
// A missing key is a value that many removals write, which makes the full question NP-hard. What is asked of it is
// necessary: nobody removes a key, or finds it missing, inside the forward zone of a value; and for whoever finds it
// missing there is a removal that no value must have followed.

import {
  ADD,
  countBelow,
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

/** The operations of one value. */
interface Cluster {
  readonly value: number;
  /** The write's; NaN while none is known. */
  invoked: number;
  /** The earliest response of all. */
  first: number;
  /** The latest invocation of all. */
  last: number;
  /** The earliest response of a read. */
  firstRead: number;
  /** When it has expired at the latest. */
  gone: number;
}

/** All that is wrong with it. The register is missing at first. */
export function checkRegister(history: History): Findings {
  const findings = new Findings();
  const clusters = clustersOf(history, findings);
  const forward = clusters.filter(({ first, last }) => first < last).sort((a, b) => a.first - b.first);
  for (const { value, invoked, firstRead } of clusters) {
    if (Number.isNaN(invoked)) findings.add(() => `${value} was read, but nobody wrote it`);
    else if (firstRead < invoked)
      findings.add(() => `${value} was read before it was written\n${history.around(invoked, [value])}`);
  }
  const inside = overlaps(forward, history, findings);
  for (const { value, first, last } of clusters) if (first >= last) inside(last, first, value);
  checkMissing(history, clusters, inside, findings);
  return findings;
}

function clustersOf(history: History, findings: Findings): Cluster[] {
  const { kinds, values, invoked, responded, length } = history;
  const byValue = new Map<number, Cluster>();
  const clusterOf = (value: number): Cluster => {
    let cluster = byValue.get(value);
    if (cluster === undefined) {
      cluster = {
        value,
        invoked: Number.NaN,
        first: Infinity,
        last: -Infinity,
        firstRead: Infinity,
        gone: Infinity,
      };
      byValue.set(value, cluster);
    }
    return cluster;
  };
  for (let i = 0; i < length; i++) {
    if (kinds[i] === DELETE || (kinds[i] === READ && values[i] === MISSING)) continue;
    const cluster = clusterOf(values[i]);
    if (kinds[i] === EXPIRY) {
      cluster.gone = responded[i];
      continue;
    }
    cluster.first = Math.min(cluster.first, responded[i]);
    cluster.last = Math.max(cluster.last, invoked[i]);
    if (kinds[i] === READ) cluster.firstRead = Math.min(cluster.firstRead, responded[i]);
    if (kinds[i] === WRITE || kinds[i] === ADD) {
      if (!Number.isNaN(cluster.invoked)) findings.add(() => `${values[i]} was written twice`);
      cluster.invoked = invoked[i];
    }
  }
  for (let i = 0; i < length; i++) {
    if (kinds[i] !== READ || values[i] === MISSING || invoked[i] <= clusterOf(values[i]).gone) continue;
    const { gone } = clusterOf(values[i]);
    findings.add(() => `expired at ${gone.toFixed(3)} at the latest: ${describeOperation(history.at(i))}`);
  }
  return [...byValue.values()];
}

type Inside = (begin: number, end: number, value: number) => void;

/** Reports forward zones that overlap; what it returns reports anything else that lies inside of one. */
function overlaps(forward: readonly Cluster[], history: History, findings: Findings): Inside {
  const firsts = Float64Array.from(forward, ({ first }) => first);
  /** Which of the zones up to each one ends last. */
  const widest: Cluster[] = [];
  for (const zone of forward) {
    const before = widest.at(-1);
    if (before !== undefined && zone.first < before.last) {
      findings.add(
        () =>
          `${before.value} and ${zone.value} were both there after the other\n` +
          history.around(zone.first, [before.value, zone.value]),
      );
    }
    widest.push(before === undefined || zone.last > before.last ? zone : before);
  }
  return (begin, end, value) => {
    const count = countBelow(firsts, begin, false);
    if (count === 0 || end >= widest[count - 1].last) return;
    const around = widest[count - 1];
    const what = value === MISSING ? 'the key was missing' : `${value} was there`;
    findings.add(
      () => `${what} between two moments of ${around.value}\n${history.around(begin, [around.value, value])}`,
    );
  };
}

function checkMissing(
  history: History,
  clusters: readonly Cluster[],
  inside: Inside,
  findings: Findings,
): void {
  const { kinds, values, invoked, responded, length } = history;
  const removals = removalsOf(history);
  const begun = [...clusters].sort((a, b) => a.first - b.first);
  const firsts = Float64Array.from(begun, ({ first }) => first);
  const lasts = runningMax(Float64Array.from(begun, ({ last }) => last));
  for (let i = 0; i < length; i++) {
    if (kinds[i] === DELETE) inside(invoked[i], responded[i], MISSING);
    if (kinds[i] !== READ || values[i] !== MISSING) continue;
    inside(invoked[i], responded[i], MISSING);
    const before = countBelow(firsts, invoked[i], false);
    if (before === 0) continue;
    const removed = countBelow(removals.invoked, responded[i], true);
    if (removed > 0 && removals.responded[removed - 1] >= lasts[before - 1]) continue;
    const { value } = begun.slice(0, before).find(({ last }) => last === lasts[before - 1]) as Cluster;
    findings.add(() => `missing, though nobody removed ${value}\n${history.around(responded[i], [value])}`);
  }
}

/** Removals in the order of their invocation, each with the latest response of those up to it. */
function removalsOf(history: History): { invoked: Float64Array; responded: Float64Array } {
  const all = Array.from(history.kinds.keys()).filter(
    (i) => history.kinds[i] === DELETE || history.kinds[i] === EXPIRY,
  );
  const order = Array.from(
    sortedBy(all.length, (i) => history.invoked[all[i]]),
    (i) => all[i],
  );
  return {
    invoked: Float64Array.from(order, (i) => history.invoked[i]),
    responded: runningMax(Float64Array.from(order, (i) => history.responded[i])),
  };
}

function runningMax(numbers: Float64Array): Float64Array {
  for (let i = 1; i < numbers.length; i++) numbers[i] = Math.max(numbers[i], numbers[i - 1]);
  return numbers;
}
