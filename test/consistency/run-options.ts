// How much the runs of the checker check, and what all of them must show.
// CHECKER_OPERATIONS=1000000 checks a million operations in each mode; CHECKER_SEED repeats a run's choices.

import { expect } from 'vitest';
import type { RunOptions } from './modes.ts';
import { describeReport, type Report } from './report.ts';

const OPERATIONS = Number(process.env.CHECKER_OPERATIONS ?? 40_000);
const SEED = Number(process.env.CHECKER_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Of one test, in milliseconds. */
export const TIMEOUT = 60_000 + OPERATIONS / 5;
/** Less would not be a test of the tier. */
const LEAST_TIER_SHARE = 0.05;

export function optionsOf(name: string, workers: number): RunOptions {
  return { name, workers, operations: OPERATIONS, seed: SEED };
}

export function expectClean(report: Report): void {
  console.log(describeReport(report));
  const { seed, evidence, violations, errors, operations, tierShare } = report;
  expect(evidence, `seed ${seed}`).toEqual([]);
  expect(violations).toBe(0);
  expect([...errors]).toEqual([]);
  expect(operations).toBeGreaterThanOrEqual(OPERATIONS);
  expect(tierShare).toBeGreaterThan(LEAST_TIER_SHARE);
}
