// What a drain needs of a SQL database, and where PostgreSQL and MySQL differ.

import type { DrainJob } from '../config/drain-types.ts';

export interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** One connection. After an error of `query` nothing is known of it but by ROLLBACK. */
export interface Database {
  readonly dialect: Dialect;
  /** `values` fill the marks of the dialect in order; all go as text, which the columns' types read. */
  query(sql: string, values?: readonly (string | number)[]): Promise<Answer>;
  close(): Promise<void>;
}

/** What the error of a database means. */
export type Trouble =
  /** The row is there already. */
  | 'duplicate'
  /** These rows cannot be written; each by itself may tell which. */
  | 'data'
  /** A table, column or right is missing. */
  | 'schema'
  /** All else, such as a lost connection or a deadlock: worth another attempt. */
  | 'passing';

export interface Dialect {
  /** A name as it is, whatever letters it has. */
  quote(name: string): string;
  /** Stands for value `n`, counted from 1. */
  mark(n: number): string;
  /** Follows the name of a table that is inserted into. */
  readonly alias: string;
  /** Statements that begin a transaction. */
  readonly begin: readonly string[];
  /** Statements that make the drain's own tables, in order. */
  readonly tables: readonly string[];
  /** Adds to rows that are there: the tail of an INSERT. */
  addTo(keys: readonly string[], column: string): string;
  /** The condition that `applied_at` is older than value `n` in seconds. */
  older(n: number): string;
  /** What is wrong with the table of a job; null when nothing is. Throws what the database says. */
  check(db: Database, job: DrainJob, keys: readonly string[]): Promise<string | null>;
  /** Columns among these that quietly round what is no integer. */
  rounding(db: Database, job: DrainJob, keys: readonly string[]): Promise<ReadonlySet<string>>;
  meaning(error: unknown): Trouble;
}

/** The table's name with its schema, quoted. */
export function tableName({ quote }: Dialect, { table }: DrainJob): string {
  return table.split('.').map(quote).join('.');
}
