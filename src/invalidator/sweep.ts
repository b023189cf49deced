// What may have changed unnoticed is deleted: keys of the rows that a query finds, and keys by pattern.

import type { KeyTemplate } from '../config/key-template.ts';
import type { Call } from '../worker/inside-client.ts';
import { BATCH } from './deletes.ts';
import { fillFromPayload, SWEEP } from './fill.ts';
import { connection, databaseTime } from './listen.ts';

export interface SweepOptions {
  readonly url: string;
  readonly call: Call;
  readonly templates: readonly KeyTemplate[];
  readonly sql: string | null;
  readonly pattern: string | null;
  /** Ends it early: it rejects. */
  readonly signal: AbortSignal;
}

/** Since when rows are looked for: a time of the database, or so many milliseconds before now. */
export type Since = string | { readonly back: number };

export interface Swept {
  readonly keys: number;
  /** Why a row does not fit a template; null if all fit. */
  readonly misfit: string | null;
}

/** Milliseconds for a query to give its first, or its next, rows. */
const PATIENCE = 600_000;
/** Keys that one step of SCAN looks at. */
const SCANNED = 1000;

/** Resolves when all keys are deleted; rejects when anything fails, for it to be done again as a whole. */
export async function sweep(options: SweepOptions, since: Since): Promise<Swept> {
  const { call, sql, pattern } = options;
  // The database is not asked for what cannot be deleted.
  await call('PING');
  const ofRows = sql === null ? { keys: 0, misfit: null } : await sweepRows(options, sql, since);
  const found = pattern === null ? 0 : await sweepPattern(options, pattern);
  return { ...ofRows, keys: ofRows.keys + found };
}

/** Over a connection of its own: within a transaction nobody is told of anything. */
async function sweepRows(options: SweepOptions, sql: string, since: Since): Promise<Swept> {
  const { url, call, templates, signal } = options;
  const client = connection(url, PATIENCE);
  const leave = () => client.end().catch(() => {});
  signal.addEventListener('abort', leave);
  let keys = 0;
  let misfit: string | null = null;
  try {
    await client.connect();
    const from = typeof since === 'string' ? since : await databaseTime(client, since.back);
    // By a cursor, as the rows may be more than fit in memory; as JSON, so that a row is written as in a payload.
    const query = `SELECT to_jsonb(changed)::text AS row FROM (${sql.replace(/[;\s]*$/, '')}\n) AS changed`;
    await client.query('BEGIN READ ONLY');
    await client.query(`DECLARE sweep NO SCROLL CURSOR FOR ${query}`, sql.includes('$1') ? [from] : []);
    for (;;) {
      const { rows } = await client.query<{ row: string }>(`FETCH ${BATCH} FROM sweep`);
      if (rows.length === 0) return { keys, misfit };
      const found = new Set<string>();
      for (const { row } of rows) {
        const filled = fillFromPayload(templates, row);
        if (filled === SWEEP) continue;
        misfit ??= filled.misfit;
        for (const key of filled.keys) found.add(key);
      }
      await unlink(call, [...found]);
      keys += found.size;
    }
  } finally {
    signal.removeEventListener('abort', leave);
    leave();
  }
}

/** https://redis.io/docs/latest/commands/scan/: what is there from beginning to end is found. */
async function sweepPattern({ call, signal }: SweepOptions, pattern: string): Promise<number> {
  let cursor = '0';
  let deleted = 0;
  do {
    signal.throwIfAborted();
    const reply = await call('SCAN', cursor, 'MATCH', pattern, 'COUNT', `${SCANNED}`);
    const [next, keys] = reply as [Uint8Array, Uint8Array[]];
    cursor = Buffer.from(next).toString();
    await unlink(call, keys);
    deleted += keys.length;
  } while (cursor !== '0');
  return deleted;
}

async function unlink(call: Call, keys: readonly (string | Uint8Array)[]): Promise<void> {
  for (let at = 0; at < keys.length; at += BATCH) await call('UNLINK', ...keys.slice(at, at + BATCH));
}
