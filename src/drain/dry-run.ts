// What a drain would do now, in words. Changes nothing, in Redis or in the database.

import type { DrainJob } from '../config/drain-types.ts';
import type { KeyParts } from '../config/key-parts.ts';
import type { Database } from './database.ts';
import { gather, sumOf } from './gather.ts';
import type { DrainRedis } from './redis.ts';
import { fixedColumns, leftAside } from './round.ts';

/** Lines about one job: a batch of a crash that waits, and every hash that fits, with what its rows come to. */
export async function* dryRun(
  { job, keys }: { job: DrainJob; keys: KeyParts },
  redis: DrainRedis,
  db: Database,
): AsyncGenerator<string> {
  const noted = await notedParts(db, job);
  yield `${job.name}: ${job.from} -> ${job.table}.${job.column}`;
  for (const aside of await leftAside(redis, job.name)) {
    const done = Array.from({ length: aside.parts }, (_, part) => noted.has(`${aside.batch}/${part}`));
    const key = `${aside.key.toString()} (batch ${aside.batch})`;
    for (const [part, applied] of done.entries()) {
      if (applied) yield `  ${key}: applied already, its hash would be removed`;
      else yield `  ${key}: ${await describe(aside.name, part, aside.parts)}`;
    }
  }
  for await (const key of redis.scan(keys.glob, 'hash')) {
    const fixed = fixedColumns(key, keys);
    if (fixed === null) continue;
    const columns = keys.columns.map((column, i) => `, ${column} = ${fixed[i]}`).join('');
    yield `  ${key.toString()}: ${await describe(key, 0, 1)}${columns}`;
  }

  async function describe(name: Buffer, part: number, parts: number): Promise<string> {
    const { rows, refused } = await gather(redis, name, { part, parts, decimals: job.decimals });
    const rejected = refused.length === 0 ? '' : `, ${refused.length} rejected`;
    return `${rows.length} rows, sum ${sumOf(rows, job.decimals)}${rejected}`;
  }
}

/** `BATCH/PART` of what is applied; none before the first drain has made the table. */
async function notedParts(db: Database, { name }: DrainJob): Promise<ReadonlySet<string>> {
  const sql = `SELECT batch, part FROM heatsink_drain_batches WHERE job = ${db.dialect.mark(1)}`;
  const { rows } = await db.query(sql, [name]).catch((error) => {
    if (db.dialect.meaning(error) === 'schema') return { rows: [] };
    throw error;
  });
  return new Set(rows.map(({ batch, part }) => `${batch}/${part}`));
}
