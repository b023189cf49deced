// How much the runs of the checker check, and what all of them must show.
// CHECKER_OPERATIONS=1000000 checks a million operations in each mode, of one worker and of two; CHECKER_SEED repeats a run's choices.

import { expect } from 'vitest';
import type { RunOptions } from './modes.ts';
import { describeReport, type Report } from './report.ts';

const OPERATIONS = Number(process.env.CHECKER_OPERATIONS ?? 10_000);
const SEED = Number(process.env.CHECKER_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** How many workers there are in modes that are the same for any number: more is harder, and enough for a quick run. */
export const WORKERS = process.env.CHECKER_OPERATIONS === undefined ? [2] : [1, 2];

/** Of one test, in milliseconds. */
export const TIMEOUT = 60_000 + OPERATIONS / 5;
/** Less would not be a test of the tier, or of copies. */
const LEAST_SHARE = 0.05;

export function optionsOf(
  name: string,
  workers: number,
  more: Pick<RunOptions, 'flags' | 'calm' | 'bug'> = {},
): RunOptions {
  return { name, workers, operations: OPERATIONS, seed: SEED, ...more };
}

/** `share`: of which kind reads there must be enough. */
export function expectClean(report: Report, share: 'tierShare' | 'copyShare' = 'tierShare'): void {
  console.log(describeReport(report));
  const { seed, evidence, violations, errors, operations } = report;
  expect(evidence, `seed ${seed}`).toEqual([]);
  expect(violations).toBe(0);
  expect([...errors]).toEqual([]);
  expect(operations).toBeGreaterThanOrEqual(OPERATIONS);
  expect(report[share]).toBeGreaterThan(LEAST_SHARE);
}
