// One sentinel: asked where the master is, and listened to for the moment when another one takes over.
// https://redis.io/docs/latest/develop/reference/sentinel-clients/

import type { Redis } from 'ioredis';
import { reasonOf } from '../resp3/socket.ts';
import { jittered } from './backoff.ts';
import { type Address, type ControlLink, connectControl } from './control.ts';

/** What a sentinel knows of the master. */
export interface SentinelAnswer extends Address {
  /** Goes up with every failover: of two sentinels the one with the higher number knows more. */
  readonly epoch: number;
  /** All that watch the master, itself included. */
  readonly sentinels: readonly Address[];
  /** Those of the master that it can reach; none unless they are asked for. */
  readonly replicas: readonly Address[];
}

/** Between two tries to listen to a sentinel, in milliseconds. */
const LISTEN_AGAIN = 1000;
const SWITCH = '+switch-master';

export class Sentinel {
  readonly address: Address;
  readonly #master: string;
  readonly #link: ControlLink;
  readonly #wantsReplicas: boolean;
  readonly #listening: Redis;
  #asking: Redis | null = null;

  /** `switched` is called when this sentinel may know of another master. */
  constructor(
    address: Address,
    master: string,
    link: ControlLink,
    wantsReplicas: boolean,
    switched: () => void,
  ) {
    this.address = address;
    this.#wantsReplicas = wantsReplicas;
    this.#master = master;
    this.#link = link;
    this.#listening = connectControl(address, link, {
      retryStrategy: () => jittered(LISTEN_AGAIN),
      autoResubscribe: false,
    });
    this.#listening.on('error', () => {});
    this.#listening.on('ready', () => {
      // Nobody has told of what happened until now.
      this.#listening.subscribe(SWITCH).then(switched, () => {});
    });
    this.#listening.on('message', (_, text: string) => {
      if (text.startsWith(`${master} `)) switched();
    });
  }

  /** Rejects with an Error that names this sentinel and what is wrong. */
  async ask(): Promise<SentinelAnswer> {
    const redis = this.#connected();
    let trouble: Error | null = null;
    const note = (error: Error) => {
      trouble = error;
    };
    redis.on('error', note);
    try {
      // In this order: the address is at least as new as the epoch.
      const [about, [host, port], others, replicas] = (await Promise.all([
        redis.call('SENTINEL', 'MASTER', this.#master),
        redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.#master),
        redis.call('SENTINEL', 'SENTINELS', this.#master),
        // Who may not ask does without them.
        this.#wantsReplicas ? redis.call('SENTINEL', 'REPLICAS', this.#master).catch(() => []) : [],
      ])) as [Fields, [string, string], Fields[], Fields[]];
      return {
        host,
        port: Number(port),
        epoch: Number(field(about, 'config-epoch')),
        sentinels: [this.address, ...others.map(addressOf)],
        replicas: replicas.filter(isReachable).map(addressOf),
      };
    } catch (error) {
      const { host, port } = this.address;
      throw new Error(`${host}:${port} (${reasonOf(trouble ?? (error as Error))})`, { cause: error });
    } finally {
      redis.off('error', note);
    }
  }

  close(): void {
    this.#listening.disconnect();
    this.#asking?.disconnect();
  }

  #connected(): Redis {
    if (this.#asking !== null) return this.#asking;
    const redis = connectControl(this.address, this.#link);
    redis.on('error', () => {});
    redis.on('end', () => {
      if (this.#asking === redis) this.#asking = null;
    });
    this.#asking = redis;
    return redis;
  }
}

/** Names and values in turn. */
type Fields = readonly string[];

/** https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/ */
function isReachable(replica: Fields): boolean {
  const flags = field(replica, 'flags').split(',');
  if (flags.some((flag) => flag.endsWith('_down') || flag === 'disconnected')) return false;
  return !replica.includes('replica-announced') || field(replica, 'replica-announced') === '1';
}

function addressOf(sentinel: Fields): Address {
  return { host: field(sentinel, 'ip'), port: Number(field(sentinel, 'port')) };
}

function field(fields: Fields, name: string): string {
  return fields[fields.indexOf(name) + 1];
}
