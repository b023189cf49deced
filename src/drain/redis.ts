// The connection of a drain to Redis: one server, the master that sentinels name, or the masters of a cluster.
// A command is sent once: what became of one whose connection broke is seen in the keys.

import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Upstream } from '../config/upstream-url.ts';
import { type ServerTls, tlsTo } from '../resp3/socket.ts';

/** Milliseconds for a connect, and for a reply. */
const PATIENCE = 10_000;
const SCAN_COUNT = 1000;

interface Login {
  readonly username: string | null;
  readonly password: string | null;
}

/** Where Redis is, and how it is spoken to. */
export interface RedisPlace {
  readonly to: Upstream;
  readonly tls: ServerTls | null;
  /** For the sentinels, where there are any. */
  readonly sentinelLogin: Login;
}

export interface DrainRedis {
  /** Names of keys, each at least once; one that comes or goes meanwhile may be missing. */
  scan(glob: string, type?: string): AsyncIterable<Buffer>;
  /** The fields of a hash and their values; if it is not written meanwhile, each at least once. */
  fields(key: Buffer): AsyncIterable<readonly [field: Buffer, value: Buffer]>;
  fieldCount(key: Buffer): Promise<number>;
  /** Whether it was done: false when the name is taken or the key has gone. The new one does not expire. */
  moveAside(key: Buffer, name: Buffer): Promise<boolean>;
  /** An expiry that went along would lose what is in it. */
  keepForEver(key: Buffer): Promise<void>;
  remove(key: Buffer): Promise<void>;
  close(): void;
}

/** Connects; rejects when nobody answers. Once lost, a connection stays lost. */
export async function connectRedis(place: RedisPlace): Promise<DrainRedis> {
  const { to } = place;
  const client = to.kind === 'cluster' ? clusterClient(place) : singleClient(place);
  let trouble: Error | null = null;
  // Commands that fail with the connection say no more than that it is closed.
  client.on('error', (error: Error) => {
    trouble = error;
  });
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    client.disconnect();
    const { message } = trouble ?? (error as Error);
    const [{ host, port }] = to.nodes;
    throw new Error(`Redis at ${host}:${port}: ${message}`, { cause: error });
  }
  return commands(client);
}

function commands(client: Redis | Cluster): DrainRedis {
  const servers = () => (client instanceof Cluster ? client.nodes('master') : [client]);
  return {
    async *scan(glob, type) {
      for (const server of servers()) {
        let cursor = '0';
        do {
          const rest = ['MATCH', glob, 'COUNT', SCAN_COUNT, ...(type === undefined ? [] : ['TYPE', type])];
          const [next, keys] = (await server.callBuffer('SCAN', cursor, ...rest)) as [Buffer, Buffer[]];
          yield* keys;
          cursor = next.toString();
        } while (cursor !== '0');
      }
    },
    async *fields(key) {
      let cursor = '0';
      do {
        const [next, pairs] = await client.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT);
        for (let i = 0; i < pairs.length; i += 2) yield [pairs[i], pairs[i + 1]];
        cursor = next.toString();
      } while (cursor !== '0');
    },
    fieldCount: (key) => client.hlen(key),
    async moveAside(key, name) {
      // Sent together, so that there is hardly a moment in which the new key could expire.
      const [moved] = await Promise.all([
        client.renamenx(key, name).catch((error: Error) => {
          if (error.message.includes('no such key')) return 0;
          throw error;
        }),
        client.persist(name),
      ]);
      return moved === 1;
    },
    async keepForEver(key) {
      await client.persist(key);
    },
    async remove(key) {
      await client.unlink(key);
    },
    close: () => client.disconnect(),
  };
}

function common({ username, password }: Pick<Upstream, 'username' | 'password'>) {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    connectionName: 'heatsink-drain',
    connectTimeout: PATIENCE,
    commandTimeout: PATIENCE,
    // A RENAMENX that is sent twice could move newer increments into a batch that is applied already.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  };
}

function singleClient({ to, tls, sentinelLogin }: RedisPlace): Redis {
  const [{ host, port }] = to.nodes;
  const more = { db: to.db, lazyConnect: true, retryStrategy: () => null };
  const secured = tls === null ? {} : { tls: to.kind === 'sentinel' ? tlsToAny(tls) : tlsTo(host, tls) };
  const at = to.kind === 'sentinel' ? bySentinels(to, tls, sentinelLogin) : { host, port };
  return new Redis({ ...common(to), ...at, ...secured, ...more } as Omit<RedisOptions, 'replyMapping'>);
}

function bySentinels(to: Upstream, tls: ServerTls | null, { username, password }: Login) {
  return {
    sentinels: [...to.nodes],
    name: to.master ?? '',
    sentinelRetryStrategy: () => null,
    ...(username === null ? {} : { sentinelUsername: username }),
    ...(password === null ? {} : { sentinelPassword: password }),
    ...(tls === null ? {} : { sentinelTLS: tlsToAny(tls), enableTLSForSentinelMode: true }),
  };
}

function clusterClient({ to, tls }: RedisPlace): Cluster {
  const secured = tls === null ? {} : { tls: tlsToAny(tls) };
  return new Cluster([...to.nodes], {
    redisOptions: { ...common(to), ...secured },
    lazyConnect: true,
    clusterRetryStrategy: () => null,
    // Else it would send again what was in flight when a connection broke.
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: PATIENCE,
  });
}

/** For servers that others name: the certificate of each is for its own host, if for nothing else. */
function tlsToAny({ context, servername, verify }: ServerTls) {
  const name = servername === null ? {} : { servername };
  return { secureContext: context, rejectUnauthorized: verify, ...name };
}
