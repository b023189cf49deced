// heatsink as its command line in a process of its own, and what can be asked of a running one.
// Imports nothing of the program, so that a benchmark's own process stays small.

import { fileURLToPath } from 'node:url';
import { type Child, startChild } from './children.ts';
import { type Metrics, parseMetrics } from './metrics.ts';
import { answersPing, freePort } from './wait.ts';

export interface ProxyOptions {
  upstream: string;
  /** Option values by flag name without dashes: `{ 'hot-threshold': '100' }`. */
  flags?: Readonly<Record<string, string>>;
  /** A YAML file, for what no flag can say. */
  file?: string;
}

export interface ProcessOptions extends ProxyOptions {
  /** On top of the environment of this process. */
  env?: NodeJS.ProcessEnv;
  /** Takes these ports, of one that has ended, and no free ones. */
  at?: Pick<RunningProxy, 'port' | 'adminPort'> | undefined;
}

export interface RunningProxy {
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  /** `redis://host:port` */
  readonly url: string;
  /** What the admin port serves under that path, decoded if it is JSON. */
  admin(path: string): Promise<{ status: number; body: unknown }>;
  /** The samples of /metrics as they are now. */
  metrics(): Promise<Metrics>;
  close(): Promise<void>;
}

export interface ProxyProcess extends RunningProxy {
  readonly pid: number;
  /** stdout and stderr together. */
  output(): string;
  kill(signal?: NodeJS.Signals): void;
  /** Sends SIGTERM unless told otherwise; the exit code, or the signal that ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** Starts `heatsink serve` as a process and waits until it answers on its client port. */
export async function spawnProxy(options: ProcessOptions): Promise<ProxyProcess> {
  const { upstream, flags = {}, file, env, at } = options;
  const [port, adminPort] = [at?.port ?? (await freePort()), at?.adminPort ?? (await freePort())];
  const listen = { listen: `127.0.0.1:${port}`, admin: `127.0.0.1:${adminPort}` };
  const all = { 'log-level': 'warn', ...listen, ...flags, upstream };
  const args = Object.entries(all).flatMap(([flag, value]) => [`--${flag}`, value]);
  const child = await spawnCli(['serve', ...args, ...(file ? ['--config', file] : [])], {
    ready: () => answersPing(port),
    ...(env && { env: { ...process.env, ...env } }),
  });
  const { pid, output, kill } = child;
  const stop = (signal: NodeJS.Signals = 'SIGTERM') => child.stop(signal);
  const close = async () => void (await stop());
  return { ...describeProxy('127.0.0.1', port, adminPort), pid, output, kill, stop, close };
}

/** Runs the command line from the checkout with the Node.js of this process. */
export function spawnCli(
  args: string[],
  options: { ready?: (output: string) => boolean | Promise<boolean>; env?: NodeJS.ProcessEnv } = {},
): Promise<Child> {
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
  return startChild(process.execPath, [cli, ...args], { timeoutMs: 20_000, ...options });
}

/** The parts of a RunningProxy that need only its ports. */
export function describeProxy(host: string, port: number, adminPort: number): Omit<RunningProxy, 'close'> {
  const get = (path: string) => fetch(`http://${host}:${adminPort}${path}`);
  return {
    host,
    port,
    adminPort,
    url: `redis://${host}:${port}`,
    async admin(path) {
      const response = await get(path);
      const json = response.headers.get('content-type')?.includes('json');
      return { status: response.status, body: json ? await response.json() : await response.text() };
    },
    async metrics() {
      return parseMetrics(await (await get('/metrics')).text());
    },
  };
}
