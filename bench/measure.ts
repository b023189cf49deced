// One cell of the table: one target, one scenario, one pipeline depth, measured for a few seconds.
// A warm-up before it fills caches, lets the JIT compile, and tells how many requests the cell should have.

import { runLoad } from './load.ts';
import { cpuMicros, peakMemoryMiB, resetPeakMemory } from './proc.ts';
import type { Target, TargetName } from './servers.ts';

export interface Cell {
  readonly target: TargetName;
  readonly pipeline: number;
  /** Requests a second. */
  readonly rps: number;
  /** CPU time of the measured process for each request, in microseconds, all its threads together. */
  readonly cpu: number;
  /** Milliseconds from sending a pipeline to its last reply. */
  readonly p50: number;
  readonly p99: number;
  /** MiB resident at most. */
  readonly peak: number;
  /** Share of the requests that heatsink's local tier answered; null for the other targets. */
  readonly hits: number | null;
}

export interface Piece {
  readonly pipeline: number;
  /** Random keys to choose from; 0 for one key. */
  readonly keys: number;
  /** Seconds that the measured piece should last. */
  readonly seconds: number;
  /** 50 unless told otherwise. */
  readonly connections?: number;
}

const FIRST_WARM_UP: Record<number, number> = { 1: 30_000, 16: 200_000, 64: 400_000 };
/** Long enough for a key to be counted as hot and for its reply to be fetched. */
const WARM_UP_SECONDS = 0.4;
const rates = new Map<string, number>();

/** Measures one cell, after a warm-up with the same load. */
export async function measure(target: Target, piece: Piece): Promise<Cell> {
  const { pipeline } = piece;
  const load = (requests: number) => runLoad({ ...piece, port: target.port, requests });
  const name = `${target.name} ${pipeline} ${piece.keys}`;
  const known = rates.get(name);
  const warm = await load(known ? Math.round(known * WARM_UP_SECONDS) : FIRST_WARM_UP[pipeline]);
  const requests = Math.max(1000, Math.round((known ?? warm.rps) * piece.seconds));

  const hitsBefore = await target.tierHits?.();
  resetPeakMemory(target.pid);
  const cpuBefore = cpuMicros(target.pid);
  const { rps, p50, p99 } = await load(requests);
  const cpu = (cpuMicros(target.pid) - cpuBefore) / requests;
  const hitsAfter = await target.tierHits?.();
  rates.set(name, rps);

  const hits =
    hitsBefore === undefined || hitsAfter === undefined ? null : (hitsAfter - hitsBefore) / requests;
  return { target: target.name, pipeline, rps, cpu, p50, p99, peak: peakMemoryMiB(target.pid), hits };
}
