// A private redis-server on a free loopback port: the upstream of somebody who names none, and a node of the demo's
// cluster. It keeps nothing on disk and never outlives heatsink, not even when heatsink is killed.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';

export interface EmbeddedRedis {
  /** redis://127.0.0.1:PORT */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends the server and removes its directory. */
  readonly close: () => Promise<void>;
}

/** Longest wait for the first answer, and for the end after SIGTERM. */
const START_MS = 5000;
const END_MS = 2000;
/** Another process may take the free port before the server does. */
const TRIES = 3;

/**
 * The shell becomes redis-server; beside it a watcher waits for the end of a pipe that only heatsink holds open.
 * The pipe ends with heatsink however it dies, and then the watcher ends the process group, of which the shell is
 * the leader. As long as the watcher is in the group, its number cannot name anything else.
 */
const WATCHED = `
(
  trap '' TERM
  read -r _ <&3
  kill -TERM -$$
  sleep 1
  rm -rf "$0"
  kill -KILL -$$
) >/dev/null 2>&1 &
exec redis-server "$@" 3<&-
`;

/** Starts the server. Throws when redis-server is missing or does not answer within five seconds. */
export async function startEmbeddedRedis({ log }: { log: Logger }): Promise<EmbeddedRedis> {
  const ended = (reason: string) =>
    log.error({ lastLine: reason }, 'the private redis-server ended by itself');
  const server = await startPrivateRedis({ ended });
  log.info(
    { port: server.port, serverPid: server.pid },
    'no upstream is configured: started a private redis-server that keeps nothing',
  );
  return server;
}

export interface PrivateRedisOptions {
  /** More of the server's command line. */
  readonly args?: readonly string[];
  /** It has ended before it was closed; the last line of its log says why. */
  readonly ended: (lastLine: string) => void;
}

/** The same, for other uses of such a server. */
export async function startPrivateRedis(options: PrivateRedisOptions): Promise<EmbeddedRedis> {
  requireRedisServer();
  const failures: string[] = [];
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const started = await start(await freePort(), options);
    if (typeof started !== 'string') return started;
    failures.push(started);
  }
  throw new Error(`the private redis-server did not start: ${failures.at(-1)}`);
}

/** One attempt; a text says why it failed. */
async function start(port: number, options: PrivateRedisOptions): Promise<EmbeddedRedis | string> {
  const directory = mkdtempSync(join(tmpdir(), 'heatsink-redis-'));
  const logFile = join(directory, 'redis.log');
  const args = [...settings(port, directory, logFile), ...(options.args ?? [])];
  const server = spawn('/bin/sh', ['-c', WATCHED, directory, ...args], {
    // A process group of its own: Ctrl-C on a terminal must reach heatsink alone, which still needs the server.
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const killNow = () => {
    killGroup(server);
    rmSync(directory, { recursive: true, force: true });
  };
  process.on('exit', killNow);
  const ended = new Promise<void>((resolve) => {
    server.once('exit', () => resolve());
    server.once('error', () => resolve());
  });
  const cleanUp = () => {
    process.off('exit', killNow);
    killNow();
    server.stdio[3]?.destroy();
  };

  const { pid } = server;
  if (pid === undefined || (await answeringPid(port, ended)) !== pid) {
    const reason = lastLine(logFile);
    cleanUp();
    return reason;
  }
  let closing = false;
  void ended.then(() => {
    if (!closing) options.ended(lastLine(logFile));
  });
  const close = async () => {
    closing = true;
    server.kill('SIGTERM');
    await Promise.race([ended, after(END_MS)]);
    cleanUp();
    await ended;
  };
  return { url: `redis://127.0.0.1:${port}`, port, pid, close };
}

function settings(port: number, directory: string, logFile: string): string[] {
  const network = ['--port', `${port}`, '--bind', '127.0.0.1'];
  const storage = ['--save', '', '--appendonly', 'no', '--dir', directory];
  return [...network, ...storage, '--daemonize', 'no', '--logfile', logFile];
}

/**
 * The process id of the server that answers at the port: another Redis may have taken it in the meantime.
 * Undefined when the server ended or the time is up.
 */
async function answeringPid(port: number, ended: Promise<void>): Promise<number | undefined> {
  const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 10, maxRetriesPerRequest: null });
  // Refused connections are the rule until the server listens.
  client.on('error', () => {});
  const answer = client.info('server').catch(() => '');
  const info = await Promise.race([answer, ended, after(START_MS)]);
  client.disconnect();
  return Number(/^process_id:(\d+)/m.exec(info ?? '')?.[1]);
}

/** Ends the server, if it still runs, and its watcher. */
function killGroup(server: ChildProcess): void {
  if (server.pid === undefined) return;
  try {
    process.kill(-server.pid, 'SIGKILL');
  } catch {
    // Nothing is left of the group.
  }
}

function requireRedisServer(): void {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    try {
      accessSync(join(directory, 'redis-server'), constants.X_OK);
      return;
    } catch {
      // Not in this directory.
    }
  }
  throw new Error(
    'no upstream is configured and redis-server is not on the PATH: name a Redis with --upstream URL, or install ' +
      'redis-server (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)',
  );
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

function lastLine(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').at(-1) || 'it wrote no log';
  } catch {
    return 'it wrote no log';
  }
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
