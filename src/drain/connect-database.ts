// The client of the database that is asked for; the other one is never loaded.

import type { DatabaseUrl } from '../config/drain-types.ts';
import type { Database } from './database.ts';

/** Connects with the client that the database needs. */
export async function connectDatabase({ dialect, url }: DatabaseUrl): Promise<Database> {
  if (dialect === 'postgres') return (await import('./postgres.ts')).connectPostgres(url);
  return (await import('./mysql.ts')).connectMysql(url);
}

/** The SQL that makes the drain's own tables. */
export async function tablesFor(dialect: DatabaseUrl['dialect']): Promise<string> {
  const { tables } =
    dialect === 'postgres' ? (await import('./postgres.ts')).POSTGRES : (await import('./mysql.ts')).MYSQL;
  return tables.map((sql) => `${sql};\n`).join('\n');
}
