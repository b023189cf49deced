// PostgreSQL through pg.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Database, type Dialect, type Trouble, tableName } from './database.ts';

/** Milliseconds for a connect, for a statement, and for a farewell. */
const CONNECT_MS = 5000;
const STATEMENT_MS = 60_000;
const CLOSE_MS = 1000;

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

export const POSTGRES: Dialect = {
  quote,
  mark: (n) => `$${n}`,
  alias: ' AS target',
  // Another default isolation would fail where two drains meet; and a COMMIT must be on disk before the hash goes.
  begin: ['BEGIN ISOLATION LEVEL READ COMMITTED', 'SET LOCAL synchronous_commit = on'],
  tables: [
    `CREATE TABLE IF NOT EXISTS heatsink_drain_batches (
  batch varchar(64) NOT NULL,
  part integer NOT NULL,
  job varchar(64) NOT NULL,
  redis_key text NOT NULL,
  fields integer NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (batch, part)
)`,
    `CREATE TABLE IF NOT EXISTS heatsink_drain_rejected (
  batch varchar(64) NOT NULL,
  job varchar(64) NOT NULL,
  redis_key text NOT NULL,
  field text NOT NULL,
  value text NOT NULL,
  reason text NOT NULL,
  rejected_at timestamptz NOT NULL DEFAULT now()
)`,
  ],
  addTo(keys, column) {
    const name = quote(column);
    const sum = `COALESCE(target.${name}, 0) + EXCLUDED.${name}`;
    return `ON CONFLICT (${keys.map(quote).join(', ')}) DO UPDATE SET ${name} = ${sum}`;
  },
  older: (n) => `applied_at < now() - $${n} * interval '1 second'`,
  async check(db, job, keys) {
    // To plan it asks for the table, the columns, the unique index and the right to write, and writes nothing.
    const columns = [...keys, job.column];
    const nulls = columns.map(() => 'NULL').join(', ');
    const into = `${tableName(POSTGRES, job)}${POSTGRES.alias} (${columns.map(quote).join(', ')})`;
    await db.query(`EXPLAIN INSERT INTO ${into} VALUES (${nulls}) ${POSTGRES.addTo(keys, job.column)}`);
    return null;
  },
  rounding: async () => new Set(),
  meaning,
};

function meaning(error: unknown): Trouble {
  const code = String((error as { code?: unknown }).code);
  if (code === '23505') return 'duplicate';
  // Data exceptions, foreign keys, checks, and one row met twice by one statement.
  if (/^22...$|^23503$|^23514$|^21000$/.test(code)) return 'data';
  return /^42...$|^3F000$|^3D000$|^23502$/.test(code) ? 'schema' : 'passing';
}

/** Connects; rejects with the server's words. */
export async function connectPostgres(url: string): Promise<Database> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'heatsink-drain',
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: STATEMENT_MS,
    keepAlive: true,
  });
  // The statement that needs the connection says what is wrong.
  client.on('error', () => {});
  await client.connect();
  return {
    dialect: POSTGRES,
    query: async (sql, values) => ({ rows: (await client.query(sql, values && [...values])).rows }),
    async close() {
      // A server that hangs does not answer the farewell.
      await Promise.race([client.end().catch(() => {}), sleep(CLOSE_MS, undefined, { ref: false })]);
    },
  };
}
