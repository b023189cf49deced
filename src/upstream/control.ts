// The control plane's own connection, by ioredis: topology, the COMMAND table, GETKEYS. No client traffic.

import { Redis } from 'ioredis';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ControlOptions {
  readonly seeds: readonly Address[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Milliseconds for a connect, and for a reply. */
  readonly timeout: number;
}

export class Control {
  readonly #options: ControlOptions;
  #known: Address[];
  #redis: Redis | null = null;
  #at: Address | null = null;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#known = [...options.seeds];
  }

  /** The server that the last answer came from. */
  get address(): Address {
    return this.#at ?? this.#known[0];
  }

  /** Servers to ask from now on, before the configured ones. */
  know(addresses: readonly Address[]): void {
    this.#known = [...addresses, ...this.#options.seeds];
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
    let failure: unknown;
    for (const address of this.#turns()) {
      try {
        return await question(this.#connectedTo(address));
      } catch (error) {
        if ((error as Error).name === 'ReplyError') throw error;
        failure = error;
        this.#drop();
      }
    }
    throw failure;
  }

  close(): void {
    this.#drop();
  }

  #turns(): Address[] {
    const current = this.#at;
    return current === null
      ? this.#known
      : [current, ...this.#known.filter((address) => address !== current)];
  }

  #connectedTo(address: Address): Redis {
    if (this.#redis !== null && this.#at === address) return this.#redis;
    this.#drop();
    const { username, password, timeout } = this.#options;
    const redis = new Redis({
      host: address.host,
      port: address.port,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      connectionName: 'heatsink-control',
      connectTimeout: timeout,
      commandTimeout: timeout,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      enableReadyCheck: false,
    });
    // Without a listener ioredis prints; the pending call rejects with the same error.
    redis.on('error', () => {});
    redis.on('end', () => {
      if (this.#redis === redis) this.#drop();
    });
    this.#redis = redis;
    this.#at = address;
    return redis;
  }

  #drop(): void {
    const redis = this.#redis;
    this.#redis = null;
    this.#at = null;
    redis?.disconnect();
  }
}
