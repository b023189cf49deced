// A real PostgreSQL for tests and benchmarks, on loopback, with a fresh data directory.
// The process and the directory are gone after stop() or when the caller dies.

import { execFile, execFileSync } from 'node:child_process';
import { accessSync, chownSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { type Child, startChild, temporaryDir } from './children.ts';
import { freePort } from './wait.ts';

export interface PostgresProcess {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** `postgres://postgres@host:port/postgres`: a superuser, who needs no password. */
  readonly url: string;
  /** Runs SQL on a connection of its own; several statements at once where there are no values. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** Calls for each notification of the channel, over a connection of its own. */
  listen(channel: string, notified: (payload: string) => void): Promise<{ end(): Promise<void> }>;
  /** SIGKILL by default; SIGSTOP and SIGCONT hold and release the server that accepts connections. */
  kill(signal?: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** More of the command line, such as `['-c', 'max_connections=20']`. */
  args?: string[];
  /** A port of the caller's choice. */
  port?: number;
}

const HOST = '127.0.0.1';
const USER = 'postgres';

/** Makes a database that keeps nothing through a crash of the machine, and starts its server. Takes about 2 s. */
export async function startPostgres({ args = [], port }: PostgresOptions = {}): Promise<PostgresProcess> {
  const bin = binaries();
  const dir = temporaryDir('postgres');
  const user = serverUser();
  if (user) chownSync(dir, user.uid, user.gid);
  const data = join(dir, 'data');
  const init = ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'];
  // Not as a child of its own: it ends by itself within a second or two.
  await promisify(execFile)(join(bin, 'initdb'), init, { ...user, cwd: dir }).catch((error) => {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  });
  const at = port ?? (await freePort());
  const fast = ['fsync=off', 'full_page_writes=off', 'unix_socket_directories='].flatMap((set) => [
    '-c',
    set,
  ]);
  const server = ['-D', data, '-h', HOST, '-p', `${at}`, ...fast, ...args];
  const child = await startChild(join(bin, 'postgres'), server, {
    ...(user && { user }),
    cwd: dir,
    ready: (output) => output.includes('ready to accept connections'),
    timeoutMs: 30_000,
    ownedDir: dir,
  });
  return describe(at, child);
}

function describe(port: number, child: Child): PostgresProcess {
  const url = `postgres://${USER}@${HOST}:${port}/postgres`;
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  // Lost connections are expected where a test ends them; the query's own promise tells.
  pool.on('error', () => {});
  return {
    host: HOST,
    port,
    pid: child.pid,
    url,
    query: async (sql, values) => (await pool.query(sql, values)).rows,
    async listen(channel, notified) {
      const client = new pg.Client(url);
      client.on('notification', ({ payload = '' }) => notified(payload));
      client.on('error', () => {});
      await client.connect();
      await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
      return client;
    },
    kill: child.kill,
    async stop() {
      await pool.end();
      // A server that is held cannot hear the wish to stop, which leaves its shared memory behind otherwise.
      child.kill('SIGCONT');
      await child.stop('SIGINT');
    },
  };
}

/** Runs deploy/postgres/notify-changes.sql with these variables. Rejects with what psql says. */
export async function installTrigger(
  { url }: Pick<PostgresProcess, 'url'>,
  variables: { table?: string; channel?: string; columns?: string },
): Promise<void> {
  const file = fileURLToPath(new URL('../../deploy/postgres/notify-changes.sql', import.meta.url));
  const set = Object.entries(variables).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
  await promisify(execFile)('psql', [url, '--quiet', '--no-psqlrc', ...set, '-f', file]);
}

/** Where initdb and postgres are: Debian keeps them off the PATH, in a directory for each version. */
function binaries(): string {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const directories = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(':'),
  ];
  const found = directories.find((directory) => existsSync(join(directory, 'initdb')));
  if (found === undefined) throw new Error('PostgreSQL is not installed: there is no initdb');
  accessSync(join(found, 'postgres'));
  return found;
}

/** PostgreSQL refuses to run as root: then it runs as the user that its package makes. Else as whoever runs this. */
function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string) => Number(execFileSync('id', [flag, USER], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
