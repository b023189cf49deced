// Times small pieces of code against each other: in turn, several rounds, medians.

import { spread } from './statistics.ts';

export interface Contender {
  readonly name: string;
  /** Does `units` units of work and returns something that depends on all of it. */
  readonly run: () => number;
  readonly units: number;
}

const ROUNDS = 5;
const ROUND_MS = 40;

/** Results land here, so that no optimiser may drop the work. */
let sink = 0;

/** Median nanoseconds of one unit, for each contender. */
export function nanosEach(contenders: readonly Contender[]): number[] {
  const samples: number[][] = contenders.map(() => []);
  for (const contender of contenders) sample(contender, ROUND_MS * 4);
  for (let round = 0; round < ROUNDS; round++) {
    contenders.forEach((contender, i) => {
      samples[i].push(sample(contender, ROUND_MS));
    });
  }
  if (Number.isNaN(sink)) throw new Error('a contender counted wrong');
  return samples.map((values) => spread(values).median);
}

function sample({ run, units }: Contender, ms: number): number {
  const start = performance.now();
  let elapsed = 0;
  let runs = 0;
  while (elapsed < ms) {
    sink += run();
    runs++;
    elapsed = performance.now() - start;
  }
  return (elapsed * 1e6) / (runs * units);
}
