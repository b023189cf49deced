// The demo's Redis Cluster: three real masters on free loopback ports, which are gone with whoever started them.

import { Redis } from 'ioredis';
import { type EmbeddedRedis, startPrivateRedis } from '../upstream/embedded.ts';

export interface DemoCluster {
  /** In the order of their slots: each has a third of them. */
  readonly ports: readonly number[];
  readonly url: string;
  /** The master of a slot, as its place in `ports`. */
  ownerOf(slot: number): number;
  /** Commands that each master has processed so far. */
  processed(): Promise<number[]>;
  /** A command sent to the master of that place. */
  call(master: number, command: string, ...args: string[]): Promise<unknown>;
  close(): Promise<void>;
}

const MASTERS = 3;
const SLOTS = 16384;
/** Between two looks whether the masters have met, and the longest wait for it, in milliseconds. */
const LOOK = 50;
const MEET = 15_000;

/** Throws when redis-server is missing or the masters do not find each other. */
export async function startDemoCluster(): Promise<DemoCluster> {
  const servers: EmbeddedRedis[] = [];
  const clients: Redis[] = [];
  const close = async () => {
    for (const client of clients) client.disconnect();
    await Promise.all(servers.map((server) => server.close()));
  };
  const ended = (reason: string) => process.stderr.write(`a redis-server of the demo ended: ${reason}\n`);
  try {
    for (let i = 0; i < MASTERS; i++)
      servers.push(await startPrivateRedis({ args: ['--cluster-enabled', 'yes'], ended }));
    clients.push(...servers.map(({ port }) => new Redis({ port, host: '127.0.0.1' })));
    for (const client of clients) client.on('error', () => {});
    await unite(clients, servers);
  } catch (error) {
    await close();
    throw error;
  }
  const ports = servers.map(({ port }) => port);
  return {
    ports,
    url: `redis+cluster://${ports.map((port) => `127.0.0.1:${port}`).join(',')}`,
    ownerOf: (slot) => firstSlots.findLastIndex((first) => slot >= first),
    async processed() {
      const infos = await Promise.all(clients.map((client) => client.info('stats')));
      return infos.map((info) => Number(/^total_commands_processed:(\d+)/m.exec(info)?.[1]));
    },
    call: (master, command, ...args) => clients[master].call(command, ...args),
    close,
  };
}

const firstSlots = Array.from({ length: MASTERS }, (_, i) => Math.ceil((SLOTS / MASTERS) * i));

async function unite(clients: readonly Redis[], servers: readonly EmbeddedRedis[]): Promise<void> {
  for (const [i, client] of clients.entries()) {
    const end = firstSlots[i + 1] ?? SLOTS;
    const slots = Array.from({ length: end - firstSlots[i] }, (_, at) => `${firstSlots[i] + at}`);
    await client.call('CLUSTER', 'ADDSLOTS', ...slots);
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', `${i + 1}`);
  }
  for (const { port } of servers) await clients[0].call('CLUSTER', 'MEET', '127.0.0.1', `${port}`);
  const late = performance.now() + MEET;
  for (;;) {
    const infos = await Promise.all(clients.map((client) => client.call('CLUSTER', 'INFO')));
    if (infos.every((info) => /cluster_state:ok/.test(`${info}`) && /known_nodes:3\b/.test(`${info}`)))
      return;
    if (performance.now() > late) throw new Error('the masters of the demo did not find each other');
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}
