// heatsink drain: rounds of all jobs, one after the other, until a signal, or one.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DatabaseUrl, DrainJob } from '../config/drain-types.ts';
import { type KeyParts, parseKeyParts } from '../config/key-parts.ts';
import { ConfigError } from '../config/load.ts';
import { Backoff } from '../upstream/backoff.ts';
import { connectDatabase } from './connect-database.ts';
import type { Database } from './database.ts';
import { dryRun } from './dry-run.ts';
import { connectRedis, type DrainRedis, type RedisPlace } from './redis.ts';
import { runRound, Tried } from './round.ts';
import { makeTables, openSink, type Sink } from './sink.ts';
import type { JobMeter, Status } from './status.ts';

export interface DrainPlan {
  readonly redis: RedisPlace;
  readonly to: DatabaseUrl;
  /** Milliseconds, as all times here. */
  readonly every: number;
  readonly maxFields: number;
  readonly keepBatches: number;
  readonly jobs: readonly DrainJob[];
}

export interface DrainOptions {
  readonly plan: DrainPlan;
  readonly status: Status;
  readonly log: Logger;
  /** Ends it after the batch that is running. */
  readonly signal: AbortSignal;
  /** One round, with one attempt. */
  readonly once: boolean;
}

interface Work {
  readonly job: DrainJob;
  readonly keys: KeyParts;
  readonly meter: JobMeter;
}

/** Both ends, and what is open of them for each job. Once something fails, all is opened anew. */
interface Connections {
  readonly redis: DrainRedis;
  readonly db: Database;
  readonly sinks: Map<Work, Sink>;
}

/** Whether the last round went well. Rejects with a ConfigError when a table is not as a job says. */
export async function runDrain({ plan, status, log, signal, once }: DrainOptions): Promise<boolean> {
  const works = plan.jobs.map((job) => ({
    job,
    keys: parseKeyParts(job.from),
    meter: status.meter(job.name),
  }));
  const backoff = new Backoff();
  let open: Connections | null = null;

  async function round(): Promise<boolean> {
    try {
      open ??= await connect(plan);
      let failure: Tried | null = null;
      for (const work of works) {
        // What is wrong with batches of one job need not be wrong with those of another.
        await one(work, open).catch((error) => {
          if (!(error instanceof Tried)) throw error;
          failure = error;
        });
      }
      if (failure !== null) throw failure;
      status.trouble = null;
      return true;
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const reason = (error as Error).message;
      status.trouble = reason;
      if (!(error instanceof Tried)) for (const { meter } of works) meter.failed();
      log.error({ reason }, once ? 'the round failed' : 'the round failed; it is tried again');
      return false;
    }
  }

  async function one(work: Work, { redis, db, sinks }: Connections): Promise<void> {
    const { job, keys, meter } = work;
    const sink = sinks.get(work) ?? (await openSink(db, job, keys.columns));
    sinks.set(work, sink);
    const { maxFields, keepBatches } = plan;
    await runRound({ job, keys, redis, sink, maxFields, keepBatches, meter, log, signal });
    if (!signal.aborted) meter.succeeded();
  }

  try {
    for (;;) {
      const well = await round();
      if (!well) {
        await disconnect(open);
        open = null;
      }
      if (once || signal.aborted) return well;
      if (well) backoff.reset();
      const wait = well ? plan.every * (0.9 + Math.random() / 5) : backoff.next();
      await sleep(wait, undefined, { signal }).catch(() => {});
      if (signal.aborted) return well;
    }
  } finally {
    await disconnect(open);
  }
}

/** Says line by line what a round would do. */
export async function runDryRun(plan: DrainPlan, say: (line: string) => void): Promise<void> {
  const redis = await connectRedis(plan.redis);
  try {
    const db = await toDatabase(plan);
    try {
      for (const job of plan.jobs) {
        for await (const line of dryRun({ job, keys: parseKeyParts(job.from) }, redis, db)) say(line);
      }
    } finally {
      await db.close();
    }
  } finally {
    redis.close();
  }
}

async function connect(plan: DrainPlan): Promise<Connections> {
  const redis = await connectRedis(plan.redis);
  let db: Database | null = null;
  try {
    db = await toDatabase(plan);
    await makeTables(db);
    return { redis, db, sinks: new Map() };
  } catch (error) {
    redis.close();
    await db?.close();
    throw error;
  }
}

function toDatabase({ to }: DrainPlan): Promise<Database> {
  return connectDatabase(to).catch((error) => {
    const { host } = new URL(to.url);
    // Several addresses that all refused have no message of their own.
    const why = error.message || error.code;
    throw new Error(`the database at ${host}: ${why}`, { cause: error });
  });
}

async function disconnect(open: Connections | null): Promise<void> {
  open?.redis.close();
  await open?.db.close();
}
