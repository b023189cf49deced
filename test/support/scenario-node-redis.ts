// node-redis in the common scenario: RESP2 and RESP3, the latter with its client-side cache, alone and as a cluster
// client.

import { createClient, createCluster, defineScript, RESP_TYPES, WatchError } from 'redis';
import {
  type Arg,
  BUMP,
  type Command,
  type ScenarioClient,
  type ScenarioKind,
  texts,
} from './scenario-client.ts';

const bump = defineScript({
  SCRIPT: BUMP,
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, key: string, by: string) {
    parser.pushKey(key);
    parser.push(by);
  },
  transformReply: (reply: unknown) => reply,
});
const SCRIPTS = { bump };
/** Milliseconds between two tries to connect again. */
const RETRY = 50;
const AS_BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
const CACHE = { ttl: 0, maxEntries: 0 };

export const NODE_REDIS: readonly ScenarioKind[] = [
  { name: 'node-redis, RESP2', open: (port) => wrapClient(port, 2) },
  { name: 'node-redis, RESP3 with its cache', open: (port) => wrapClient(port, 3) },
  {
    name: 'node-redis cluster, RESP2',
    clusterMode: true,
    lacks: ['watch', 'select'],
    open: (port) => wrapCluster(port, 2),
  },
  {
    name: 'node-redis cluster, RESP3 with its cache',
    clusterMode: true,
    lacks: ['watch', 'select'],
    open: (port) => wrapCluster(port, 3),
  },
];

async function wrapClient(port: number, RESP: 2 | 3): Promise<ScenarioClient> {
  const client = createClient({
    socket: { host: '127.0.0.1', port, reconnectStrategy: RETRY },
    scripts: SCRIPTS,
    RESP,
    ...(RESP === 3 && { clientSideCache: CACHE }),
  });
  client.on('error', () => {});
  await client.connect();
  const send = (args: Command) => client.sendCommand([...args]);
  return {
    call: async (...args) => texts(await send(args)),
    bytes: async (...args) => await client.sendCommand<Buffer>([...args], AS_BYTES),
    pipeline: (commands) => pipelined(commands, send),
    async transaction(watched, before, commands) {
      if (watched.length > 0) await client.watch([...watched]);
      await before();
      const multi = client.multi();
      for (const command of commands) multi.addCommand([...command]);
      return await unlessWatched(multi.exec());
    },
    async subscribe(kind, name, onMessage) {
      if (kind === 'pattern') {
        await client.pSubscribe(name, onMessage);
        return () => client.pUnsubscribe(name);
      }
      if (kind === 'shard') {
        await client.sSubscribe(name, onMessage);
        return () => client.sUnsubscribe(name);
      }
      await client.subscribe(name, onMessage);
      return () => client.unsubscribe(name);
    },
    bump: async (key, by) => texts(await client.bump(key, by)),
    async scan(pattern) {
      const keys: string[] = [];
      for await (const some of client.scanIterator({ MATCH: pattern, COUNT: 50 })) keys.push(...some);
      return keys;
    },
    get: (key) => client.get(key),
    ...(RESP === 3 && { hits: () => client.clientSideCache?.stats().hitCount ?? 0 }),
    another: () => wrapClient(port, RESP),
    close: () => client.destroy(),
  };
}

async function wrapCluster(port: number, RESP: 2 | 3): Promise<ScenarioClient> {
  const cluster = createCluster({
    rootNodes: [{ socket: { host: '127.0.0.1', port } }],
    defaults: { socket: { reconnectStrategy: RETRY } },
    scripts: SCRIPTS,
    RESP,
    ...(RESP === 3 && { clientSideCache: CACHE }),
  });
  cluster.on('error', () => {});
  await cluster.connect();
  const send = (args: Command) => cluster.sendCommand(keyOf(args), false, [...args]);
  return {
    call: async (...args) => texts(await send(args)),
    bytes: async (...args) => await cluster.sendCommand<Buffer>(keyOf(args), false, [...args], AS_BYTES),
    pipeline: (commands) => pipelined(commands, send),
    async transaction(_, before, commands) {
      await before();
      const multi = cluster.multi(keyOf(commands[0]));
      for (const command of commands) multi.addCommand(keyOf(command), false, [...command]);
      return await unlessWatched(multi.exec());
    },
    async subscribe(kind, name, onMessage) {
      if (kind === 'pattern') {
        await cluster.pSubscribe(name, onMessage);
        return () => cluster.pUnsubscribe(name);
      }
      if (kind === 'shard') {
        await cluster.sSubscribe(name, onMessage);
        return () => cluster.sUnsubscribe(name);
      }
      await cluster.subscribe(name, onMessage);
      return () => cluster.unsubscribe(name);
    },
    bump: async (key, by) => texts(await cluster.bump(key, by)),
    async scan(pattern) {
      const keys: string[] = [];
      for (const master of cluster.masters) {
        const client = await cluster.nodeClient(master);
        for await (const some of client.scanIterator({ MATCH: pattern, COUNT: 50 })) keys.push(...some);
      }
      return keys;
    },
    get: (key) => cluster.get(key),
    ...(RESP === 3 && { hits: () => cluster.clientSideCache?.stats().hitCount ?? 0 }),
    another: () => wrapCluster(port, RESP),
    close: () => cluster.destroy(),
  };
}

/** Calls of one tick leave in one pipeline. */
async function pipelined(commands: readonly Command[], send: (command: Command) => Promise<unknown>) {
  const replies = await Promise.allSettled(commands.map(send));
  return replies.map((reply) =>
    reply.status === 'fulfilled' ? texts(reply.value) : (reply.reason as Error),
  );
}

async function unlessWatched(replies: Promise<unknown>): Promise<(string | null)[] | null> {
  try {
    return texts(await replies);
  } catch (error) {
    if (error instanceof WatchError) return null;
    throw error;
  }
}

/** By the key the cluster client chooses a node: any, where there is one only. */
function keyOf([, key]: Command): Arg | undefined {
  return key;
}
