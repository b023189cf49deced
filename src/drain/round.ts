// One round of one job: what an earlier round or another drain has left aside comes first, then the hashes that
// gather increments now.
//
//   SCAN ──> RENAMENX aside ──> read ──> BEGIN, note the batch, add the rows, COMMIT ──> UNLINK
//              │                           │                                        │
//   died here: found by its name    found: not noted, applied            found: noted, only unlinked

import type { Logger } from 'pino';
import type { DrainJob } from '../config/drain-types.ts';
import { escapeGlob, type KeyParts } from '../config/key-parts.ts';
import { ASIDE, type Aside, asidePrefix, nameAside, readAside } from './aside.ts';
import { gather, isText, sumOf } from './gather.ts';
import type { DrainRedis } from './redis.ts';
import type { Sink } from './sink.ts';
import type { JobMeter } from './status.ts';

export interface RoundOptions {
  readonly job: DrainJob;
  readonly keys: KeyParts;
  readonly redis: DrainRedis;
  readonly sink: Sink;
  readonly maxFields: number;
  /** Milliseconds that a batch is remembered after its hash has gone. */
  readonly keepBatches: number;
  readonly meter: JobMeter;
  readonly log: Logger;
  /** Ends the round after the batch that is running. */
  readonly signal: AbortSignal;
}

/** So many failures one after the other are no matter of single batches. */
const FAILURES = 3;

/** Applies all that is there. Rejects when something was left that should not have been. */
export async function runRound(options: RoundOptions): Promise<void> {
  const { job, redis, sink, meter, log, signal } = options;
  const left = await leftAside(redis, job.name);
  const settled = await sink.applied(left.map(({ batch }) => batch));
  let waiting = left.length;
  let failures: unknown[] = [];
  let failed = 0;

  async function attempt(aside: Aside): Promise<void> {
    try {
      await settle(aside, options, settled);
      waiting--;
      failures = [];
    } catch (error) {
      failed++;
      failures.push(error);
      meter.failed();
      log.error(
        { job: job.name, batch: aside.batch, key: aside.key.toString(), reason: (error as Error).message },
        'a batch was not applied; it waits aside for the next round',
      );
      if (failures.length >= FAILURES) throw new Tried(error);
    }
  }

  try {
    for (const aside of left) {
      if (signal.aborted) return;
      await attempt(aside);
    }
    for await (const key of redis.scan(options.keys.glob, 'hash')) {
      if (signal.aborted) return;
      const aside = await moveAside(key, options);
      if (aside === null) continue;
      waiting++;
      await attempt(aside);
    }
  } finally {
    meter.waiting(waiting);
  }
  if (failed > 0) throw new Tried(failures.at(-1) ?? new Error(`${failed} batches were not applied`));
  await sink.forget(
    options.keepBatches,
    left.map(({ batch }) => batch),
  );
}

/** Something failed that is counted and logged already. */
export class Tried extends Error {
  constructor(cause: unknown) {
    super((cause as Error).message, { cause });
    this.name = 'Tried';
  }
}

/** The hashes that this job's drains have put aside and not removed. */
export async function leftAside(redis: DrainRedis, job: string): Promise<Aside[]> {
  const found = new Map<string, Aside>();
  for await (const name of redis.scan(`${escapeGlob(asidePrefix(job))}*`)) {
    const aside = readAside(job, name);
    if (aside !== null) found.set(name.toString('latin1'), aside);
  }
  return [...found.values()];
}

/** What the key says for the columns; null when it is not one of the job's. */
export function fixedColumns(key: Buffer, keys: KeyParts): readonly string[] | null {
  return isText(key) && key.indexOf(ASIDE) !== 0 ? keys.match(key.toString()) : null;
}

async function moveAside(key: Buffer, { job, keys, redis, maxFields }: RoundOptions): Promise<Aside | null> {
  if (fixedColumns(key, keys) === null) return null;
  const fields = await redis.fieldCount(key);
  const aside = nameAside(job.name, key, Math.max(1, Math.ceil(fields / maxFields)));
  return (await redis.moveAside(key, aside.name)) ? aside : null;
}

/** Applies what is not applied yet of the batch, and removes the hash. */
async function settle(aside: Aside, options: RoundOptions, known: ReadonlySet<string>): Promise<void> {
  const { job, redis, keys } = options;
  const fixed = fixedColumns(aside.key, keys);
  if (fixed === null) throw new Error(`its key does not fit the pattern ${job.from} of the job any more`);
  await redis.keepForEver(aside.name);
  for (let part = 0; part < aside.parts; part++) {
    if (!known.has(`${aside.batch}/${part}`)) await applyPart(aside, part, fixed, options);
  }
  await redis.remove(aside.name);
}

async function applyPart(
  { name, batch, parts, key }: Aside,
  part: number,
  fixed: readonly string[],
  { job, redis, sink, keepBatches, meter, log }: RoundOptions,
): Promise<void> {
  const deadline = performance.now() + keepBatches / 2;
  const gathered = await gather(redis, name, { part, parts, decimals: job.decimals });
  const applied = await sink.apply({ ...gathered, batch, part, key, fixed, deadline });
  const facts = { job: job.name, batch, key: key.toString() };
  if (applied === null) {
    log.info(facts, 'a batch had been applied before');
    return;
  }
  const { rows, refused } = applied;
  const sum = sumOf(rows, job.decimals);
  meter.applied({ rows: rows.length, sum: Number(sum), refused: refused.length });
  log.info({ ...facts, rows: rows.length, sum, rejected: refused.length }, 'applied');
  if (refused.length === 0) return;
  const [{ field, value, reason }] = refused;
  log.warn(
    { ...facts, rejected: refused.length, field, value, reason },
    'some values cannot be applied; they are in the table heatsink_drain_rejected',
  );
}
