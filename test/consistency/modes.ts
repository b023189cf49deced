// What the load runs on: heatsinks with one or several workers, in front of one server or a cluster, with faults
// meanwhile. Each mode gives a report.

import { setTimeout as sleep } from 'node:timers/promises';
import { slotOf } from '../../src/upstream/slot.ts';
import { type ProxyProcess, spawnProxy } from '../support/heatsink-process.ts';
import type { Cluster, RedisProcess } from '../support/redis.ts';
import { beginSlotMove } from '../support/slot-move.ts';
import { waitFor } from '../support/wait.ts';
import type { Kind } from './forms.ts';
import { Load, loadLibrary, type Progress } from './load.ts';
import type { PlantedBug } from './planted.ts';
import { Random } from './random.ts';
import { judgeOrdered, judgeShared, type Report, type Verdict } from './report.ts';
import { Subject } from './tasks.ts';

export interface RunOptions {
  readonly name: string;
  readonly workers: number;
  readonly operations: number;
  readonly seed: number;
  /** Of the heatsink of those who read, by flag name without dashes. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Fewer writes, where what is tested takes longer to be there again after each. */
  readonly calm?: boolean;
  /** One of planted.ts. */
  readonly bug?: PlantedBug;
  /** A configuration file for heatsink. */
  readonly file?: string;
}

/** For how long a write may go unseen where heatsink is told of it by the server only: the default of
 * tier.maxStaleness, in milliseconds. */
export const BOUND = 1000;
/** Connections of readers, or of clients that read and write; they come to all workers. */
const CLIENTS = 16;
/** Between two writes of the only writer of a key, in milliseconds. */
const WRITER_PAUSE = 2;
const CALM_PAUSE = 25;
/** The share of writes among all that a client does, if not the usual one. */
const CALM_WRITES = 0.01;

const PLANTED = new URL('planted.ts', import.meta.url).href;

/** All keys are hot from their first read on, and cool soon; and are kept, however often they are written. */
const FLAGS = { 'hot-threshold': '1', 'hot-window': '100', 'tier-min-hits': '0' };

/** `bug`: one of planted.ts. */
export async function proxyFor(
  upstream: string,
  workers: number,
  { flags = {}, bug, file }: { flags?: Readonly<Record<string, string>>; bug?: string; file?: string } = {},
): Promise<ProxyProcess> {
  const proxy = await spawnProxy({
    upstream,
    flags: { ...FLAGS, workers: `${workers}`, ...flags },
    ...(file !== undefined && { file }),
    ...(bug !== undefined && { env: { NODE_OPTIONS: `--import=${PLANTED}`, PLANTED_BUG: bug } }),
  });
  // Until all workers listen, one of them gets all the clients. It is ready with the first one.
  await waitFor(async () => {
    const { status, body } = await proxy.admin('/readyz');
    return status === 200 && (body as { reasons: string[] }).reasons.length === 0;
  });
  return proxy;
}

/** Subjects of these kinds, each in a slot of its own: those of a cluster's masters in turn. */
export function subjectsOf(kinds: readonly Kind[], name: string): Subject[] {
  const third = (tag: string) => Math.floor((slotOf(Buffer.from(tag), 0, tag.length) * 3) / 16384);
  let tried = 0;
  return kinds.map((kind, i) => {
    for (;;) {
      const tag = `${name}${tried++}`;
      if (third(tag) === i % 3) return new Subject(kind, `{${tag}}`);
    }
  });
}

const SHARED: readonly Kind[] = [
  ...(['string', 'string', 'string', 'string', 'string', 'string'] as const),
  ...(['hash', 'hash', 'list', 'list'] as const),
  ...(['counter', 'counter', 'counter'] as const),
];
const ORDERED: readonly Kind[] = ['string', 'string', 'string', 'hash', 'hash', 'list'];

export function protocolOf(client: number): 2 | 3 {
  return client % 2 === 0 ? 2 : 3;
}

export function depthOf(client: number): number {
  return 1 + (client % 8);
}

/** All clients read and write all keys through one heatsink: the history of each key is linearizable. */
export async function runShared(
  upstream: string,
  options: RunOptions,
  meanwhile?: (progress: Progress, subjects: readonly Subject[]) => Promise<void>,
): Promise<Report> {
  const proxy = await proxyFor(upstream, options.workers, options);
  try {
    await loadLibrary(proxy.port);
    const subjects = subjectsOf(SHARED, 'shared');
    const load = new Load({
      random: new Random(options.seed),
      subjects,
      operations: options.operations,
      ...(meanwhile && { meanwhile: (progress) => meanwhile(progress, subjects) }),
    });
    const writes = options.calm ? CALM_WRITES : undefined;
    for (let i = 0; i < CLIENTS; i++) load.mixed(proxy.port, protocolOf(i), depthOf(i), writes);
    const ms = await load.run();
    return await report(options, [load], ms, proxy, judgeShared(subjects));
  } finally {
    await proxy.close();
  }
}

/**
 * Each key has one writer, that writes where `writerAt` says, past the heatsink of the readers: their reads never go
 * back, and never miss a write for longer than `BOUND`.
 */
export async function runApart(
  upstream: string,
  options: RunOptions,
  writerAt: (subject: Subject) => number | Promise<number>,
  meanwhile?: (progress: Progress) => Promise<void>,
): Promise<Report> {
  const proxy = await proxyFor(upstream, options.workers, options);
  try {
    await loadLibrary(proxy.port);
    const subjects = subjectsOf(ORDERED, 'apart');
    const { operations, seed } = options;
    const load = new Load({
      random: new Random(seed),
      subjects,
      operations,
      ...(meanwhile && { meanwhile }),
    });
    const ports = await Promise.all(subjects.map(writerAt));
    subjects.forEach((subject, i) => {
      const pause = options.calm ? CALM_PAUSE : WRITER_PAUSE;
      load.writer(ports[i], protocolOf(i), subject, pause);
    });
    for (let i = 0; i < CLIENTS; i++) load.mixed(proxy.port, protocolOf(i), depthOf(i), 0);
    const ms = await load.run();
    return await report(options, [load], ms, proxy, judgeOrdered(subjects, BOUND));
  } finally {
    await proxy.close();
  }
}

/** The writers on one heatsink, the readers on another one. */
export async function runTwoHeatsinks(upstream: string, options: RunOptions): Promise<Report> {
  const writers = await proxyFor(upstream, options.workers, options);
  try {
    return await runApart(upstream, options, () => writers.port);
  } finally {
    await writers.close();
  }
}

export async function report(
  { name, seed, workers }: RunOptions,
  loads: readonly Load[],
  ms: number,
  proxy: ProxyProcess,
  { violations, evidence, stalest }: Verdict,
): Promise<Report> {
  const metrics = await proxy.metrics();
  const requests = metrics.sum('heatsink_requests_total');
  const hits = metrics.sum('heatsink_requests_total', { outcome: 'tier_hit' });
  const copied = metrics.sum('heatsink_fan_out_reads_total', { target: 'copy' });
  return {
    name: `${name}, ${workers === 1 ? '1 worker' : `${workers} workers`}`,
    seed,
    operations: loads.reduce((sum, load) => sum + load.operations, 0),
    requests,
    tierShare: hits / requests,
    copyShare: copied / requests,
    seconds: ms / 1000,
    violations,
    evidence,
    stalest,
    errors: new Map(loads.flatMap(({ errors }) => [...errors])),
  };
}

/** Cuts all tracked connections of these servers every second. */
export function cutTracking(servers: readonly RedisProcess[], least = 2) {
  return async (progress: Progress): Promise<void> => {
    for (let cuts = 0; cuts < least || !progress.enough(); cuts++) {
      await sleep(1000);
      for (const server of servers) {
        const lines = String(await server.call('CLIENT', 'LIST')).split('\n');
        const tracked = lines.filter((line) => /\sflags=\w*t/.test(line));
        for (const line of tracked)
          await server.call('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(line)?.[1] ?? '');
      }
    }
  };
}

/** Moves the slots of the keys from master to master, one at a time, with both sides in use for a while. */
export function moveSlots(cluster: Cluster, least = 6) {
  return async (progress: Progress, subjects: readonly Subject[]): Promise<void> => {
    for (let moves = 0; moves < least || !progress.enough(); moves++) {
      const move = await beginSlotMove(cluster, subjects[moves % subjects.length].key);
      await sleep(30);
      await move.migrate();
      await sleep(30);
      // Spare keys may have been made there meanwhile.
      await move.migrate();
      await move.finish();
      await sleep(30);
    }
  };
}
