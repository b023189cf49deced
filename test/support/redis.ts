// Real redis-server processes for tests and benchmarks: one alone, or a cluster of them, on loopback.
// All data is in memory; all processes and directories are gone after stop() or when the caller dies.

import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { type Child, startChild, temporaryDir } from './children.ts';
import { freePort, waitFor } from './wait.ts';

export { freePort, waitFor } from './wait.ts';

export type Arg = string | number | Buffer;

export interface RedisProcess {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** `redis://host:port` */
  readonly url: string;
  /** Connects at its first command; closed by stop(). */
  readonly client: Redis;
  call(command: string, ...args: Arg[]): Promise<unknown>;
  /** SIGKILL by default; SIGSTOP and SIGCONT hold and release the server. */
  kill(signal?: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export interface RedisOptions {
  /** More of the command line, such as `['--maxmemory', '10mb']`. */
  args?: string[];
  cluster?: boolean;
  /** Speaks nothing but TLS with these files; others must show a certificate of that authority. */
  tls?: TlsFiles;
  /** A port of the caller's choice: to start a server again where one was killed. */
  port?: number;
}

/** Names of PEM files. */
export interface TlsFiles {
  ca: string;
  cert: string;
  key: string;
}

const HOST = '127.0.0.1';

/** Starts redis-server with no persistence and waits until it accepts connections. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisProcess> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    try {
      return describe(port, await launch(port, options), options.tls);
    } catch (error) {
      // Another test process may have taken the port in the meantime.
      if (options.port !== undefined || attempt === 5 || !/in use/i.test(String(error))) throw error;
    }
  }
}

function launch(port: number, { args = [], cluster = false, tls }: RedisOptions): Promise<Child> {
  const dir = temporaryDir('redis');
  const ports = tls ? ['--port', 0, '--tls-port', port, ...tlsArgs(tls)] : ['--port', port];
  const base = [...ports, '--bind', HOST, '--dir', dir, '--save', '', '--appendonly', 'no'].map(String);
  const clustered = cluster ? ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'] : [];
  // A replica would otherwise wait 5 s before its first synchronisation, and up to 10 s more until its
  // offset is above 0 and CLUSTER SLOTS lists it.
  const replicated = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
  return startChild('redis-server', [...base, ...replicated, ...clustered, ...args], {
    ready: (output) => output.includes('Ready to accept connections'),
    ownedDir: dir,
  });
}

/** For a redis-server or a sentinel. */
export function tlsArgs({ ca, cert, key }: TlsFiles): string[] {
  const files = ['--tls-ca-cert-file', ca, '--tls-cert-file', cert, '--tls-key-file', key];
  return [...files, '--tls-replication', 'yes', '--tls-cluster', 'yes'];
}

/** For a client that shows the same certificate. */
export function readTls({ ca, cert, key }: TlsFiles) {
  return { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
}

function describe(port: number, child: Child, tls?: TlsFiles): RedisProcess {
  const client = new Redis({
    host: HOST,
    port,
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    ...(tls && {
      tls: { ca: readFileSync(tls.ca), cert: readFileSync(tls.cert), key: readFileSync(tls.key) },
    }),
  });
  // Lost connections are expected where a test kills servers; the command's own promise tells.
  client.on('error', () => {});
  return {
    host: HOST,
    port,
    pid: child.pid,
    url: `${tls ? 'rediss' : 'redis'}://${HOST}:${port}`,
    client,
    call: (command, ...args) => client.call(command, ...args),
    kill: child.kill,
    async stop() {
      client.disconnect();
      await child.stop();
    },
  };
}

/** How often the server has run that command (lower case, `client|list` for subcommands), by INFO. */
export async function cmdstat(node: RedisProcess, command: string): Promise<number> {
  const info = String(await node.call('INFO', 'commandstats'));
  const prefix = `cmdstat_${command}:calls=`;
  const line = info.split('\r\n').find((text) => text.startsWith(prefix));
  return line ? Number.parseInt(line.slice(prefix.length), 10) : 0;
}

export interface Cluster {
  /** `redis+cluster://` with all nodes */
  readonly url: string;
  /** Masters in the order of their slots, then the replicas of each in turn. */
  readonly nodes: RedisProcess[];
  /** The master that serves the key now, by CLUSTER SLOTS of the first node that answers. */
  slotOwner(key: string): Promise<RedisProcess>;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  masters?: number;
  /** Replicas of each master. */
  replicas?: number;
  args?: string[];
  tls?: TlsFiles;
}

const SLOTS = 16384;

/**
 * Starts a Redis Cluster with the slots split evenly and waits until every node calls it ok. Takes a little
 * over 2 s: a fresh master refuses to serve for its first 2 s (CLUSTER_WRITABLE_DELAY in Redis).
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { masters = 3, replicas = 0, args = [], tls } = options;
  const each = { args, cluster: true, ...(tls && { tls }) };
  const started = Array.from({ length: masters * (1 + replicas) }, () => startRedis(each));
  const results = await Promise.allSettled(started);
  const nodes = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    await Promise.all(started);
    await join(nodes, masters);
  } catch (error) {
    await stop();
    throw error;
  }
  const url = `${tls ? 'rediss' : 'redis'}+cluster://${nodes.map((node) => `${node.host}:${node.port}`).join(',')}`;
  return { url, nodes, slotOwner: (key) => slotOwner(nodes, key), stop };
}

async function join(nodes: RedisProcess[], masters: number): Promise<void> {
  await Promise.all(
    nodes.map(async (node, i) => {
      // Distinct epochs spare the masters a second round of gossip to settle who came first.
      await node.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
      if (i < masters)
        await node.call('CLUSTER', 'ADDSLOTSRANGE', slotAt(i, masters), slotAt(i + 1, masters) - 1);
      // Everyone meets everyone: faster than waiting for gossip.
      for (const other of nodes.slice(i + 1)) await node.call('CLUSTER', 'MEET', other.host, other.port);
    }),
  );
  const replicas = nodes.slice(masters);
  await Promise.all(
    replicas.map(async (replica, i) => {
      const id = await nodes[i % masters].call('CLUSTER', 'MYID');
      await waitFor(async () => (await replica.call('CLUSTER', 'REPLICATE', String(id))) === 'OK', 10_000);
    }),
  );
  await Promise.all(nodes.map((node) => waitFor(() => agrees(node, nodes.length, masters), 20_000, 25)));
  await Promise.all(
    replicas.map((replica) =>
      waitFor(
        async () => String(await replica.call('INFO', 'replication')).includes('link_status:up'),
        10_000,
      ),
    ),
  );
}

const slotAt = (index: number, masters: number): number => Math.round((index * SLOTS) / masters);

async function agrees(node: RedisProcess, known: number, masters: number): Promise<boolean> {
  const info = String(await node.call('CLUSTER', 'INFO'));
  if (!info.includes('cluster_state:ok') || !info.includes(`cluster_slots_ok:${SLOTS}`)) return false;
  const ranges = await slotRanges(node);
  const seen = ranges.reduce((sum, [, , ...servers]) => sum + servers.length, 0);
  return ranges.length === masters && seen === known;
}

type SlotRange = [first: number, last: number, ...servers: [host: string, port: number, id: string][]];

async function slotRanges(node: RedisProcess): Promise<SlotRange[]> {
  return (await node.call('CLUSTER', 'SLOTS')) as SlotRange[];
}

async function slotOwner(nodes: RedisProcess[], key: string): Promise<RedisProcess> {
  const [slot, ranges] = await Promise.any(
    nodes.map(
      async (node) => [Number(await node.call('CLUSTER', 'KEYSLOT', key)), await slotRanges(node)] as const,
    ),
  );
  const port = ranges.find(([first, last]) => first <= slot && slot <= last)?.[2][1];
  const owner = nodes.find((node) => node.port === port);
  if (!owner) throw new Error(`slot ${slot} of ${key} is served by none of the cluster's nodes`);
  return owner;
}
