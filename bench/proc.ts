// What the kernel knows about a process: CPU time and peak memory, from /proc. Linux only.
// Also the description of the machine that stands above every result.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

// USER_HZ, the unit of utime and stime: 100 a second for user space on every Linux.
const MICROS_PER_TICK = 10_000;

/** User and system time of all threads of the process since it began, in microseconds. */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The command name in parentheses may hold spaces, so count fields from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}

/** Forgets the peak so far, so that the next reading is that of one measured piece. */
export function resetPeakMemory(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Some containers forbid it; then the peak is that of the process's whole life.
  }
}

/** Most resident memory since the last reset (VmHWM), in MiB. */
export function peakMemoryMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

/** Memory that is resident now (VmRSS), in MiB. */
export function memoryMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

/** The memory once it has moved by less than half a percent for that many seconds, after 10 times as many in any case. */
export async function settledMemoryMiB(pid: number, seconds = 2): Promise<number> {
  const end = performance.now() + seconds * 10_000;
  for (let before = memoryMiB(pid); ; ) {
    await sleep(seconds * 1000);
    const now = memoryMiB(pid);
    if (Math.abs(now / before - 1) < 0.005 || performance.now() > end) return now;
    before = now;
  }
}

/** Name and value of what a reader needs to know to compare the numbers with their own. */
export function describeMachine(): [name: string, value: string][] {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  return [
    ['CPU', `${model}, ${availableParallelism()} cores, shared by load generator, proxy and server`],
    ['Memory', `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
    ['Kernel', `Linux ${release()}`],
    ['Node.js', process.version.slice(1)],
    ['Redis', versionOf('redis-server', '--version', /v=(\S+)/)],
    ['twemproxy', versionOf('nutcracker', '--version', /nutcracker-(\S+)/)],
    ['Date', new Date().toISOString().slice(0, 10)],
  ];
}

/** What a program says its version is; empty where it is not installed. */
function versionOf(program: string, flag: string, pattern: RegExp): string {
  const { stdout, stderr, error } = spawnSync(program, [flag], { encoding: 'utf8' });
  return error ? '' : (pattern.exec(stdout + stderr)?.[1] ?? 'unknown');
}
