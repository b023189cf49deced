// The control plane's own connection, by ioredis: topology, the COMMAND table, GETKEYS. No client traffic.

import { Redis, type RedisOptions } from 'ioredis';
import { reasonOf, type ServerTls, tlsTo } from '../resp3/socket.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** How the control plane talks to a server. */
export interface ControlLink {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Null for plain TCP. */
  readonly tls: ServerTls | null;
  /** Milliseconds for a connect, and for a reply. */
  readonly timeout: number;
}

export interface ControlOptions extends ControlLink {
  /** None while only sentinels know where the server is. */
  readonly seeds: readonly Address[];
}

interface Connection {
  readonly redis: Redis;
  readonly at: Address;
  /** Why it broke: the commands that fail with it learn from ioredis no more than that it is closed. */
  trouble: Error | null;
}

export class Control {
  readonly #options: ControlOptions;
  #known: Address[];
  #current: Connection | null = null;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#known = [...options.seeds];
  }

  /** The server that the last answer came from. */
  get address(): Address {
    return this.#current?.at ?? this.#known[0];
  }

  /** Servers to ask from now on, before the configured ones; no others are asked any more. */
  know(addresses: readonly Address[]): void {
    this.#known = [...addresses, ...this.#options.seeds];
    const at = this.#current?.at;
    if (at && !this.#known.some(({ host, port }) => host === at.host && port === at.port)) this.#drop();
  }

  /**
   * Asks whichever known server answers. An error reply rejects with the server's words; a server that cannot be
   * reached is passed over, and when none is left the last error rejects.
   */
  call(command: string, ...args: (string | Buffer)[]): Promise<unknown> {
    return this.#ask((redis) => redis.call(command, ...args));
  }

  /** The same, with bulk strings of the reply as bytes. */
  callBuffer(command: string, ...args: (string | Buffer)[]): Promise<unknown> {
    return this.#ask((redis) => redis.callBuffer(command, ...args));
  }

  async #ask(question: (redis: Redis) => Promise<unknown>): Promise<unknown> {
    let failure: unknown = new Error('no server is known yet');
    for (const address of this.#turns()) {
      const connection = this.#connectedTo(address);
      try {
        return await question(connection.redis);
      } catch (error) {
        if ((error as Error).name === 'ReplyError') throw error;
        const { message } = connection.trouble ?? (error as Error);
        failure = new Error(`${address.host}:${address.port} (${message})`, { cause: error });
        if (this.#current === connection) this.#drop();
      }
    }
    throw failure;
  }

  close(): void {
    this.#drop();
  }

  #turns(): Address[] {
    const current = this.#current?.at;
    return current === undefined
      ? this.#known
      : [current, ...this.#known.filter((address) => address !== current)];
  }

  #connectedTo(address: Address): Connection {
    if (this.#current?.at === address) return this.#current;
    this.#drop();
    const redis = connectControl(address, this.#options);
    const connection: Connection = { redis, at: address, trouble: null };
    redis.on('error', (error) => {
      const unproven = this.#options.tls !== null && redis.status !== 'ready';
      connection.trouble = new Error(reasonOf(error, unproven), { cause: error });
    });
    redis.on('end', () => {
      if (this.#current === connection) this.#drop();
    });
    this.#current = connection;
    return connection;
  }

  #drop(): void {
    const connection = this.#current;
    this.#current = null;
    connection?.redis.disconnect();
  }
}

/**
 * One connection by ioredis, which is not made again when it is lost unless `more` says so. Somebody must listen to its
 * 'error' events, or they are printed.
 */
export function connectControl(
  { host, port }: Address,
  { username, password, tls, timeout }: ControlLink,
  more: Pick<RedisOptions, 'retryStrategy' | 'autoResubscribe'> = {},
): Redis {
  return new Redis({
    host,
    port,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === null ? {} : { tls: tlsTo(host, tls) }),
    connectionName: 'heatsink-control',
    connectTimeout: timeout,
    commandTimeout: timeout,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    enableReadyCheck: false,
    ...more,
  });
}
