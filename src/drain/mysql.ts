// MySQL and MariaDB through mysql2.

import mysql, { type RowDataPacket } from 'mysql2/promise';
import { type Database, type Dialect, type Trouble, tableName } from './database.ts';

/** Milliseconds for a connect, and for a statement. */
const CONNECT_MS = 5000;
const STATEMENT_MS = 60_000;

/**
 * Whatever the server's own mode is: what does not fit is refused, 0 is a key like any other, and text is escaped as
 * the client escapes it.
 */
const MODE =
  'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO';
const TABLE = 'ENGINE=InnoDB DEFAULT CHARSET=utf8mb4';

const quote = (name: string) => `\`${name.replaceAll('`', '``')}\``;

export const MYSQL: Dialect = {
  quote,
  mark: () => '?',
  alias: '',
  begin: ['START TRANSACTION'],
  tables: [
    `CREATE TABLE IF NOT EXISTS heatsink_drain_batches (
  batch varchar(64) NOT NULL,
  part integer NOT NULL,
  job varchar(64) NOT NULL,
  redis_key mediumtext NOT NULL,
  fields integer NOT NULL,
  applied_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (batch, part)
) ${TABLE}`,
    `CREATE TABLE IF NOT EXISTS heatsink_drain_rejected (
  batch varchar(64) NOT NULL,
  job varchar(64) NOT NULL,
  redis_key mediumtext NOT NULL,
  field longtext NOT NULL,
  value longtext NOT NULL,
  reason text NOT NULL,
  rejected_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
) ${TABLE}`,
  ],
  addTo(_, column) {
    // Not MySQL's newer row alias, which MariaDB does not know.
    const name = quote(column);
    return `ON DUPLICATE KEY UPDATE ${name} = COALESCE(${name}, 0) + VALUES(${name})`;
  },
  older: () => 'applied_at < CURRENT_TIMESTAMP - INTERVAL ? SECOND',
  async check(db, job, keys) {
    const name = tableName(MYSQL, job);
    const columns = [...keys, job.column];
    await db.query(`SELECT ${columns.map(quote).join(', ')} FROM ${name} LIMIT 0`);
    const { rows } = await db.query(
      `SELECT transactions AS able FROM information_schema.engines JOIN information_schema.tables USING (engine) WHERE ${AT}`,
      at(job.table),
    );
    if (rows.length > 0 && rows[0].able !== 'YES') return 'its engine has no transactions';
    const indexes = await db.query(
      `SELECT GROUP_CONCAT(LOWER(column_name)) AS made_of FROM information_schema.statistics WHERE ${AT} AND non_unique = 0 GROUP BY index_name`,
      at(job.table),
    );
    const wanted = inOrder(keys.join(','));
    if (indexes.rows.some(({ made_of: names }) => inOrder(`${names}`) === wanted)) return null;
    return `it has no unique index on exactly ${keys.join(', ')}`;
  },
  async rounding(db, job, keys) {
    const { rows } = await db.query(
      `SELECT column_name AS name FROM information_schema.columns WHERE ${AT} AND data_type LIKE '%int'`,
      at(job.table),
    );
    const integers = rows.map(({ name }) => `${name}`.toLowerCase());
    return new Set(keys.filter((key) => integers.includes(key.toLowerCase())));
  },
  meaning,
};

const AT = "table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ?";

function at(table: string): [schema: string, name: string] {
  const dot = table.indexOf('.');
  return [table.slice(0, Math.max(0, dot)), table.slice(dot + 1)];
}

const inOrder = (names: string) => names.toLowerCase().split(',').sort().join(',');

/** Of values that do not fit: truncated, of the wrong type, without the row that they refer to, against a check. */
const DATA = [1265, 1366, 1452, 3819, 4025];
/** Without a default or a value for a column that must have one, and without the right to write. */
const SCHEMA = [1364, 1048, 1142, 1143];

function meaning(error: unknown): Trouble {
  const { errno = 0, sqlState = '' } = error as { errno?: number; sqlState?: string };
  if (errno === 1062) return 'duplicate';
  if (DATA.includes(errno) || /^22/.test(sqlState)) return 'data';
  return SCHEMA.includes(errno) || /^42/.test(sqlState) ? 'schema' : 'passing';
}

/** Connects; rejects with the server's words. As for MySQL's own clients, MYSQL_PWD is the password if the URL has none. */
export async function connectMysql(url: string): Promise<Database> {
  const { password } = new URL(url);
  const fromEnvironment = process.env.MYSQL_PWD;
  const connection = await mysql.createConnection({
    uri: url,
    ...(password === '' && fromEnvironment !== undefined ? { password: fromEnvironment } : {}),
    charset: 'utf8mb4',
    connectTimeout: CONNECT_MS,
    enableKeepAlive: true,
  });
  // The statement that needs the connection says what is wrong.
  connection.on('error', () => {});
  await connection.query('SET SESSION sql_mode = ?', [MODE]);
  return {
    dialect: MYSQL,
    async query(sql, values) {
      const [rows] = await connection.query({ sql, values: values && [...values], timeout: STATEMENT_MS });
      return { rows: Array.isArray(rows) ? (rows as RowDataPacket[]) : [] };
    },
    async close() {
      // Not by a farewell, to which a server that hangs would not listen.
      connection.destroy();
    },
  };
}
