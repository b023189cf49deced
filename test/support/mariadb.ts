// A real MariaDB for tests and benchmarks, on loopback, with a fresh data directory.
// The process and the directory are gone after stop() or when the caller dies.

import { execFile, execFileSync } from 'node:child_process';
import { chownSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { startChild, temporaryDir } from './children.ts';
import { freePort } from './wait.ts';

export interface MariadbProcess {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** `mysql://heatsink@host:port/test`: who may do everything, without a password. */
  readonly url: string;
  /** Runs SQL on a connection of its own; several statements at once where there are no values. */
  query<Row>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** SIGKILL by default; SIGSTOP and SIGCONT hold and release the server. */
  kill(signal?: NodeJS.Signals): void;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const USER = 'heatsink';
/** Run as root, it runs as the user of Debian's package. */
const SERVER_USER = 'mysql';

/** Makes a database that keeps nothing through a crash of the machine, and starts its server. Takes about 3 s. */
export async function startMariadb(): Promise<MariadbProcess> {
  const dir = temporaryDir('mariadb');
  const user = serverUser();
  if (user) chownSync(dir, user.uid, user.gid);
  const data = join(dir, 'data');
  const as = user ? [`--user=${SERVER_USER}`] : [];
  const small = ['--innodb-log-file-size=8M', '--innodb-flush-log-at-trx-commit=2'];
  // Not as a child of its own: it ends by itself within a few seconds.
  const install = ['--no-defaults', ...as, `--datadir=${data}`, '--auth-root-authentication-method=normal'];
  await promisify(execFile)('mariadb-install-db', [...install, '--skip-test-db', ...small], {
    cwd: dir,
  }).catch((error) => {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  });
  const port = await freePort();
  const where = [
    `--datadir=${data}`,
    `--socket=${join(dir, 's')}`,
    `--bind-address=${HOST}`,
    `--port=${port}`,
  ];
  const child = await startChild(program(), ['--no-defaults', ...as, ...where, ...small], {
    cwd: dir,
    ready: (output) => output.includes('ready for connections'),
    timeoutMs: 30_000,
    ownedDir: dir,
  });
  const root = await mysql.createConnection({ host: HOST, port, user: 'root', multipleStatements: true });
  await root.query(
    `CREATE DATABASE test; CREATE USER ${USER}@'%'; GRANT ALL ON *.* TO ${USER}@'%' WITH GRANT OPTION`,
  );
  await root.end();
  const url = `mysql://${USER}@${HOST}:${port}/test`;
  const pool = mysql.createPool({ uri: url, connectionLimit: 4, multipleStatements: true });
  return {
    host: HOST,
    port,
    pid: child.pid,
    url,
    async query<Row>(sql: string, values?: unknown[]) {
      const [rows] = await pool.query(sql, values);
      return (Array.isArray(rows) ? (rows as RowDataPacket[]) : []) as Row[];
    },
    kill: child.kill,
    async stop() {
      await pool.end().catch(() => {});
      await child.stop();
    },
  };
}

/** Debian keeps it in sbin, which is not on everybody's PATH. */
function program(): string {
  return ['/usr/sbin/mariadbd', '/usr/local/sbin/mariadbd'].find((path) => existsSync(path)) ?? 'mariadbd';
}

function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string) => Number(execFileSync('id', [flag, SERVER_USER], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
