// The load: redis-benchmark, the same command line for every target, and the numbers it prints as CSV.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface Load {
  readonly port: number;
  /** Requests that each connection sends before it waits (`-P`). */
  readonly pipeline: number;
  readonly requests: number;
  /** Size of the random key space; 0 asks for one key only. */
  readonly keys: number;
  /** 50 unless told otherwise. */
  readonly connections?: number;
}

export interface LoadResult {
  /** Requests a second. */
  readonly rps: number;
  /** Latency of a whole pipeline in milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const CONNECTIONS = 50;

/** Runs GETs. Throws when a reply is an error or the target breaks off. */
export async function runLoad(load: Load): Promise<LoadResult> {
  const args = [
    '-p',
    load.port,
    '-c',
    load.connections ?? CONNECTIONS,
    '-d',
    100,
    '-t',
    'get',
    '-q',
    '--csv',
    '--precision',
    3,
  ];
  args.push('-P', load.pipeline, '-n', load.requests);
  if (load.keys > 0) args.push('-r', load.keys);
  const { stdout } = await promisify(execFile)('redis-benchmark', args.map(String));
  const [header, row] = stdout.trim().split('\n').map(csvFields);
  const field = (name: string): number => {
    const value = Number(row?.[header.indexOf(name)]);
    if (!(value >= 0)) throw new Error(`redis-benchmark printed no ${name}:\n${stdout}`);
    return value;
  };
  return { rps: field('rps'), p50: field('p50_latency_ms'), p99: field('p99_latency_ms') };
}

const csvFields = (line: string): string[] => line.split(',').map((field) => field.replaceAll('"', ''));
