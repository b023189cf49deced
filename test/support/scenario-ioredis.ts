// ioredis, alone and in Cluster mode, and iovalkey, its sibling, in the common scenario.

import { Cluster, Redis } from 'ioredis';
import { Redis as Valkey } from 'iovalkey';
import {
  type Arg,
  BUMP,
  type OnMessage,
  type ScenarioClient,
  type ScenarioKind,
  texts,
} from './scenario-client.ts';

type Made = Redis | Cluster;
type WithBump = Made & { bump(key: string, by: string): Promise<unknown> };

const SCRIPTS = { bump: { lua: BUMP, numberOfKeys: 1 } };
/** Milliseconds between two tries to connect again. */
const RETRY = 50;

export const IOREDIS: readonly ScenarioKind[] = [
  {
    name: 'ioredis',
    open: (port) => wrap(() => new Redis({ port, scripts: SCRIPTS, retryStrategy: () => RETRY })),
  },
  {
    name: 'iovalkey',
    open: (port) =>
      wrap(() => new Valkey({ port, scripts: SCRIPTS, retryStrategy: () => RETRY }) as unknown as Redis),
  },
  {
    name: 'ioredis Cluster',
    clusterMode: true,
    lacks: ['select'],
    open: (port) =>
      wrap(
        () =>
          new Cluster([{ host: '127.0.0.1', port }], {
            scripts: SCRIPTS,
            shardedSubscribers: true,
            clusterRetryStrategy: () => RETRY,
            retryDelayOnFailover: RETRY,
          }),
      ),
  },
];

async function wrap(make: () => Made): Promise<ScenarioClient> {
  const client = make();
  // A lost connection shows in the calls that fail.
  client.on('error', () => {});
  await new Promise((resolve) => client.once('ready', resolve));
  return {
    call: async (...args) => texts(await client.call(args[0] as string, ...(args.slice(1) as Arg[]))),
    bytes: async (...args) =>
      (await client.callBuffer(args[0] as string, ...(args.slice(1) as Arg[]))) as Buffer,
    async pipeline(commands) {
      const pipeline = client.pipeline();
      for (const [name, ...args] of commands) pipeline.call(name as string, ...args);
      const replies = (await pipeline.exec()) ?? [];
      return replies.map(([error, reply]) => error ?? texts(reply));
    },
    async transaction(watched, before, commands) {
      if (watched.length > 0) await client.watch(...watched);
      await before();
      const multi = client.multi();
      for (const [name, ...args] of commands) multi.call(name as string, ...args);
      const replies = await multi.exec();
      return replies === null ? null : replies.flatMap(([error, reply]) => texts(error ?? reply));
    },
    subscribe: (kind, name, onMessage) => subscribe(client, kind, name, onMessage),
    bump: async (key, by) => texts(await (client as WithBump).bump(key, by)),
    async scan(pattern) {
      const node = client instanceof Cluster ? client.nodes('master')[0] : client;
      const keys: string[] = [];
      for await (const some of node.scanStream({ match: pattern, count: 50 })) keys.push(...some);
      return keys;
    },
    get: (key) => client.get(key),
    another: () => wrap(make),
    close: () => client.disconnect(),
  };
}

async function subscribe(client: Made, kind: string, name: string, onMessage: OnMessage) {
  if (kind === 'pattern') {
    client.on('pmessage', (pattern, channel, message) => pattern === name && onMessage(message, channel));
    await client.psubscribe(name);
    return () => client.punsubscribe(name);
  }
  if (kind === 'shard') {
    client.on('smessage', (channel, message) => channel === name && onMessage(message, channel));
    await client.ssubscribe(name);
    return () => client.sunsubscribe(name);
  }
  client.on('message', (channel, message) => channel === name && onMessage(message, channel));
  await client.subscribe(name);
  return () => client.unsubscribe(name);
}
