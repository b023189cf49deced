// Where the counters of one job go: one transaction adds the rows and notes the batch, so that either both happened
// or neither did, whatever dies when.

import { setTimeout as sleep } from 'node:timers/promises';
import type { DrainJob } from '../config/drain-types.ts';
import { ConfigError } from '../config/load.ts';
import { type Database, tableName } from './database.ts';
import { type Gathered, type Refused, type Row, textOf } from './gather.ts';

/** Rows of one statement. */
const STATEMENT_ROWS = 1000;

/** One transaction's share of a batch. */
export interface Part extends Gathered {
  readonly batch: string;
  readonly part: number;
  readonly key: Buffer;
  /** What the key says, in the order of its columns. */
  readonly fixed: readonly string[];
  /** Later than this (`performance.now()`) it must not be applied: its id may have been forgotten. */
  readonly deadline: number;
}

export interface Applied {
  readonly rows: readonly Row[];
  readonly refused: readonly Refused[];
}

export interface Sink {
  /** Null when it had been applied before. Rejects when it was not, or nobody knows. */
  apply(part: Part): Promise<Applied | null>;
  /** Which parts of these batches are applied, as `BATCH/PART`. */
  applied(batches: readonly string[]): Promise<ReadonlySet<string>>;
  /** Forgets batches that were applied longer ago than that and are not among those named. */
  forget(olderThanMs: number, except: readonly string[]): Promise<void>;
}

/** Makes the drain's own tables where they are missing. */
export async function makeTables(db: Database): Promise<void> {
  // To ask first needs no right to make tables.
  const missing = (name: string) =>
    db.query(`SELECT batch FROM ${name} WHERE 1 = 0`).then(
      () => false,
      (error) => {
        if (db.dialect.meaning(error) === 'schema') return true;
        throw error;
      },
    );
  for (const sql of db.dialect.tables) {
    const name = /heatsink_\w+/.exec(sql)?.[0] ?? '';
    if (!(await missing(name))) continue;
    await db.query(sql).catch(async (error) => {
      // Another drain made it at the same moment.
      await sleep(100);
      if (await missing(name)) throw error;
    });
  }
}

/** Throws a ConfigError when the job's table is not as the job says. */
export async function openSink(db: Database, job: DrainJob, fixedColumns: readonly string[]): Promise<Sink> {
  const { dialect } = db;
  const { quote } = dialect;
  const keys = [...fixedColumns, job.keyColumn];
  const columns = [...keys, job.column];
  const table = tableName(dialect, job);
  const wrong = (reason: string) => new ConfigError([`drain job ${job.name}, table ${job.table}: ${reason}`]);
  const problem = await dialect.check(db, job, keys).catch((error) => {
    if (dialect.meaning(error) === 'schema') throw wrong(error.message);
    throw error;
  });
  if (problem !== null) throw wrong(problem);
  const rounding = await dialect.rounding(db, job, keys);

  const insert = (
    into: string,
    names: readonly string[],
    rows: readonly (readonly (string | number)[])[],
  ) => {
    let n = 0;
    const marks = rows.map((row) => `(${row.map(() => dialect.mark(++n)).join(', ')})`);
    return [
      `INSERT INTO ${into} (${names.map(quote).join(', ')}) VALUES ${marks.join(', ')}`,
      rows.flat(),
    ] as const;
  };

  async function add(fixed: readonly string[], rows: readonly Row[]): Promise<void> {
    const [sql, values] = insert(
      table + dialect.alias,
      columns,
      rows.map(({ field, value }) => [...fixed, field, value]),
    );
    await db.query(`${sql} ${dialect.addTo(keys, job.column)}`, values);
  }

  /** Adds what can be added: rows that the database refuses are found by halving. */
  async function place(fixed: readonly string[], rows: readonly Row[]): Promise<Applied> {
    if (rows.length === 0) return { rows, refused: [] };
    await db.query('SAVEPOINT rows_of_drain');
    try {
      await add(fixed, rows);
      return { rows, refused: [] };
    } catch (error) {
      const meaning = dialect.meaning(error);
      if (meaning !== 'data' && meaning !== 'duplicate') throw error;
      await db.query('ROLLBACK TO SAVEPOINT rows_of_drain');
      if (rows.length === 1) return { rows: [], refused: [{ ...rows[0], reason: (error as Error).message }] };
    }
    const half = Math.ceil(rows.length / 2);
    const parts = [await place(fixed, rows.slice(0, half)), await place(fixed, rows.slice(half))];
    return joined(parts);
  }

  async function note({ batch, part, key, rows, refused }: Part): Promise<boolean> {
    const fields = rows.length + refused.length;
    const row = [batch, part, job.name, textOf(key), fields];
    const names = ['batch', 'part', 'job', 'redis_key', 'fields'];
    try {
      // Waits for another drain that has noted it and not committed yet.
      await db.query(...insert('heatsink_drain_batches', names, [row]));
      return true;
    } catch (error) {
      if (dialect.meaning(error) === 'duplicate') return false;
      throw error;
    }
  }

  async function reject({ batch, key }: Part, refused: readonly Refused[]): Promise<void> {
    const names = ['batch', 'job', 'redis_key', 'field', 'value', 'reason'];
    for (const some of chunks(refused)) {
      const rows = some.map(({ field, value, reason }) => [
        batch,
        job.name,
        textOf(key),
        field,
        value,
        reason,
      ]);
      await db.query(...insert('heatsink_drain_rejected', names, rows));
    }
  }

  async function applyInside(part: Part): Promise<Applied | null> {
    if (!(await note(part))) return null;
    const { sure, unsure } = sorted(part.rows, part.fixed);
    const done: Applied[] = [{ rows: [], refused: [...part.refused, ...unsure] }];
    for (const rows of chunks(sure)) done.push(await place(part.fixed, rows));
    const all = joined(done);
    await reject(part, all.refused);
    return all;
  }

  /** Keeps text from a column that would make it a whole number by rounding. */
  function sorted(rows: readonly Row[], fixed: readonly string[]) {
    const column = keys.find((name, i) => rounding.has(name) && i < fixed.length && !WHOLE.test(fixed[i]));
    const fieldRounds = rounding.has(job.keyColumn);
    const fits = ({ field }: Row) => column === undefined && (!fieldRounds || WHOLE.test(field));
    const reason = `the column ${column ?? job.keyColumn} takes integers only`;
    return {
      sure: rows.filter(fits),
      unsure: rows.filter((row) => !fits(row)).map((row) => ({ ...row, reason })),
    };
  }

  return {
    async apply(part) {
      for (const sql of dialect.begin) await db.query(sql);
      try {
        const applied = await applyInside(part);
        if (performance.now() > part.deadline) throw new Error('the batch was read too long ago');
        await db.query(applied === null ? 'ROLLBACK' : 'COMMIT');
        return applied;
      } catch (error) {
        await db.query('ROLLBACK').catch(() => {});
        throw error;
      }
    },
    async applied(batches) {
      const found = new Set<string>();
      for (const some of chunks(batches)) {
        const marks = some.map((_, i) => dialect.mark(i + 1)).join(', ');
        const sql = `SELECT batch, part FROM heatsink_drain_batches WHERE batch IN (${marks})`;
        const { rows } = await db.query(sql, some);
        for (const { batch, part } of rows) found.add(`${batch}/${part}`);
      }
      return found;
    },
    async forget(olderThanMs, except) {
      const old = `job = ${dialect.mark(1)} AND ${dialect.older(2)}`;
      const which = [job.name, Math.ceil(olderThanMs / 1000)];
      const sql = `SELECT DISTINCT batch FROM heatsink_drain_batches WHERE ${old}`;
      const { rows } = await db.query(sql, which);
      const gone = rows.map(({ batch }) => `${batch}`).filter((batch) => !except.includes(batch));
      for (const some of chunks(gone)) {
        const marks = some.map((_, i) => dialect.mark(i + 1)).join(', ');
        await db.query(`DELETE FROM heatsink_drain_batches WHERE batch IN (${marks})`, some);
      }
    },
  };
}

const WHOLE = /^-?\d+$/;

function joined(parts: readonly Applied[]): Applied {
  return { rows: parts.flatMap(({ rows }) => rows), refused: parts.flatMap(({ refused }) => refused) };
}

function* chunks<T>(items: readonly T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += STATEMENT_ROWS) yield items.slice(at, at + STATEMENT_ROWS);
}
