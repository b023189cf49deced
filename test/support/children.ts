// Child processes that never outlive the process that started them, however that one ends.
// Each may own a directory, which goes when the child has gone.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from './wait.ts';

export interface Child {
  readonly pid: number;
  /** The last 64 KB of stdout and stderr together. */
  output(): string;
  /** The exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  kill(signal?: NodeJS.Signals): void;
  /** Sends the signal (SIGKILL by default, which ends a stopped process too) and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export interface ChildOptions {
  /** Asked every few milliseconds; the child counts as started once it gives true. */
  ready?: (output: string) => boolean | Promise<boolean>;
  timeoutMs?: number;
  /** A directory to remove when the child has ended. */
  ownedDir?: string;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Whom it runs as; only root can choose another than itself. */
  user?: { uid: number; gid: number };
}

const OUTPUT_KEPT = 64 * 1024;
// With it the kernel kills the child even when this process dies of SIGKILL. Linux only.
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

/** Starts a program and waits until it is ready. Throws with its output if it ends or stays silent. */
export async function startChild(
  command: string,
  args: string[],
  options: ChildOptions = {},
): Promise<Child> {
  const { ready, timeoutMs = 10_000, ownedDir, cwd, env, user } = options;
  // A change of user would undo what was asked of the kernel before it, so setpriv makes both.
  const change = user ? ['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups'] : [];
  const [program, argv] = SETPRIV
    ? [SETPRIV, ['--pdeathsig', 'KILL', ...change, '--', command, ...args]]
    : [command, args];
  const proc = spawn(program, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(user && !SETPRIV ? user : {}),
    ...(cwd ? { cwd } : {}),
    ...(env ? { env } : {}),
  });
  const child = track(proc, ownedDir);
  let ended = false;
  child.exited.then(() => {
    ended = true;
  });
  const failed = (why: string, cause?: unknown) =>
    new Error(`${command} ${args.join(' ')} ${why}\n${child.output()}`, { cause });
  const isReady = async () => ended || !ready || (await ready(child.output()));
  try {
    await waitFor(isReady, timeoutMs, 5);
  } catch (error) {
    await child.stop();
    throw failed(`was not ready after ${timeoutMs} ms`, error);
  }
  if (ended) throw failed(`ended at once (${await child.exited})`);
  return child;
}

/** A directory of its own under the system's temporary one; pass it on as `ownedDir`. */
export function temporaryDir(name: string): string {
  return mkdtempSync(join(tmpdir(), `heatsink-${name}-`));
}

const running = new Map<ChildProcess, string | undefined>();

function track(proc: ChildProcess, ownedDir: string | undefined): Child {
  watchOwnEnd();
  running.set(proc, ownedDir);
  let text = '';
  const keep = (chunk: Buffer) => {
    text = (text + chunk.toString('latin1')).slice(-OUTPUT_KEPT);
  };
  proc.stdout?.on('data', keep);
  proc.stderr?.on('data', keep);
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    const gone = (result: number | NodeJS.Signals) => {
      running.delete(proc);
      removeDir(ownedDir);
      resolve(result);
    };
    // 'close' comes after the last output, 'exit' may come before it.
    proc.once('close', (code, signal) => gone(code ?? signal ?? 0));
    proc.once('error', (error) => {
      text += String(error);
      gone(127);
    });
  });
  const kill = (signal: NodeJS.Signals = 'SIGKILL') => void proc.kill(signal);
  const stop = (signal: NodeJS.Signals = 'SIGKILL') => {
    kill(signal);
    return exited;
  };
  return { pid: proc.pid ?? 0, output: () => text, exited, kill, stop };
}

let watching = false;

function watchOwnEnd(): void {
  if (watching) return;
  watching = true;
  process.on('exit', killAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      killAll();
      // Test runners replace process.exit, so die of the signal itself.
      process.kill(process.pid, signal);
    });
  }
}

function killAll(): void {
  for (const [proc, ownedDir] of running) {
    proc.kill('SIGKILL');
    removeDir(ownedDir);
  }
  running.clear();
}

function removeDir(dir: string | undefined): void {
  if (dir) rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}
