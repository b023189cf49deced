// A master, its replicas and the sentinels that watch them: real processes on loopback that fail over fast.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startChild, temporaryDir } from './children.ts';
import {
  freePort,
  type RedisProcess,
  readTls,
  startRedis,
  type TlsFiles,
  tlsArgs,
  waitFor,
} from './redis.ts';

export interface SentinelProcess {
  readonly port: number;
  call(command: string, ...args: string[]): Promise<unknown>;
  kill(signal?: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export interface Watched {
  /** `redis+sentinel://` with all sentinels, and the nodes' password; `rediss+sentinel://` with TLS. */
  readonly url: string;
  /** The master, then the replicas. */
  readonly nodes: RedisProcess[];
  readonly sentinels: SentinelProcess[];
  /** The port of the master, by the first sentinel that answers. */
  masterPort(): Promise<number>;
  stop(): Promise<void>;
}

export interface WatchedOptions {
  replicas?: number;
  sentinels?: number;
  /** What the nodes want to hear, and the sentinels. */
  password?: string;
  sentinelPassword?: string;
  tls?: TlsFiles;
}

const NAME = 'mymaster';

/** Starts them and waits until the sentinels know the replicas and one another. */
export async function startWatched(options: WatchedOptions = {}): Promise<Watched> {
  const { replicas = 1, sentinels: count = 3, password, tls } = options;
  const args = password === undefined ? [] : ['--requirepass', password, '--masterauth', password];
  const start = async (more: string[]) => {
    const node = await startRedis({ args: [...args, ...more], ...(tls && { tls }) });
    if (password !== undefined) node.client.options.password = password;
    return node;
  };
  const nodes: RedisProcess[] = [];
  const sentinels: SentinelProcess[] = [];
  const stop = async () => {
    await Promise.all([...sentinels, ...nodes].map((process) => process.stop()));
  };
  try {
    const master = await start([]);
    nodes.push(master);
    for (let i = 0; i < replicas; i++)
      nodes.push(await start(['--replicaof', master.host, `${master.port}`]));
    for (let i = 0; i < count; i++) sentinels.push(await startSentinel(master, (count >> 1) + 1, options));
    const found = sentinels.map((sentinel) =>
      waitFor(() => knows(sentinel, replicas, count - 1), 20_000, 25),
    );
    await Promise.all([...found, ...nodes.slice(1).map((node) => waitFor(() => isSynced(node), 10_000))]);
  } catch (error) {
    await stop();
    throw error;
  }
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const user = password === undefined ? '' : `:${password}@`;
  return {
    url: `${tls ? 'rediss' : 'redis'}+sentinel://${user}${hosts}/${NAME}`,
    nodes,
    sentinels,
    masterPort: () => named(sentinels),
    stop,
  };
}

async function startSentinel(
  master: RedisProcess,
  quorum: number,
  { password, sentinelPassword, tls }: WatchedOptions,
): Promise<SentinelProcess> {
  const port = await freePort();
  const dir = temporaryDir('sentinel');
  const file = join(dir, 'sentinel.conf');
  const text = [
    ...(tls ? ['port 0', `tls-port ${port}`] : [`port ${port}`]),
    'bind 127.0.0.1',
    `dir ${dir}`,
    ...(sentinelPassword
      ? [`requirepass ${sentinelPassword}`, `sentinel sentinel-pass ${sentinelPassword}`]
      : []),
    `sentinel monitor ${NAME} ${master.host} ${master.port} ${quorum}`,
    `sentinel down-after-milliseconds ${NAME} 300`,
    `sentinel failover-timeout ${NAME} 3000`,
    ...(password ? [`sentinel auth-pass ${NAME} ${password}`] : []),
  ];
  writeFileSync(file, `${text.join('\n')}\n`);
  const child = await startChild('redis-server', [file, '--sentinel', ...(tls ? tlsArgs(tls) : [])], {
    ready: (output) => output.includes('+monitor master'),
    ownedDir: dir,
  });
  const client = new Redis({
    port,
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    ...(sentinelPassword && { password: sentinelPassword }),
    ...(tls && { tls: readTls(tls) }),
  });
  client.on('error', () => {});
  return {
    port,
    call: (command, ...args) => client.call(command, ...args),
    kill: child.kill,
    async stop() {
      client.disconnect();
      await child.stop();
    },
  };
}

async function knows(sentinel: SentinelProcess, replicas: number, others: number): Promise<boolean> {
  const master = (await sentinel.call('SENTINEL', 'MASTER', NAME)) as string[];
  const value = (name: string) => Number(master[master.indexOf(name) + 1]);
  return value('num-slaves') === replicas && value('num-other-sentinels') === others;
}

async function isSynced(node: RedisProcess): Promise<boolean> {
  return String(await node.call('INFO', 'replication')).includes('master_link_status:up');
}

async function named(sentinels: SentinelProcess[]): Promise<number> {
  const asked = sentinels.map((sentinel) => sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME));
  return Number(((await Promise.any(asked)) as [string, string])[1]);
}
