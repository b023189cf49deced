// What tests of leases need: keys that are hot and missing, crowds that read them, and what of it heatsink shows.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDir } from './children.ts';
import { type ProxyOptions, type RunningProxy, startProxy } from './heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './redis.ts';
import { Wire } from './wire.ts';

const RULES = `rules:
- { match: 'off:*', lease: on, consistency: off }
- { match: 'shared:*', lease: on, consistency: coalesce }
- { match: 'all:*', lease: on, refreshAhead: on, negative: on, jitter: 1% }
- { match: 'page:*', lease: on }
`;
/** No key cools while a slow machine works through a test; those who wait lose patience only where they shall. */
const FLAGS = { 'hot-threshold': '2', 'hot-window': '10000', 'lease-wait': '20000', 'lease-hold': '20000' };

/** The reply to a GET of a missing key. */
export const MISSING = '$-1';

export class LeaseScene {
  readonly redis: RedisProcess;
  readonly #wires: Wire[] = [];
  readonly #proxies: { close(): Promise<void> }[] = [];
  #lastKey = 0;

  private constructor(redis: RedisProcess) {
    this.redis = redis;
  }

  static async start(): Promise<LeaseScene> {
    return new LeaseScene(await startRedis());
  }

  /** For heatsinks with leases for keys that begin with `page:`; `shared:` and `off:` have a consistency as well, `all:` more. */
  options(flags: Readonly<Record<string, string>> = {}): ProxyOptions {
    const file = join(temporaryDir('leases'), 'heatsink.yaml');
    writeFileSync(file, RULES);
    return { upstream: this.redis.url, flags: { ...FLAGS, ...flags }, file };
  }

  async proxy(flags: Readonly<Record<string, string>> = {}): Promise<RunningProxy> {
    const proxy = await startProxy(this.options(flags));
    this.owns(proxy);
    return proxy;
  }

  owns(proxy: { close(): Promise<void> }): void {
    this.#proxies.push(proxy);
  }

  async open({ port }: { port: number }, protocol: 2 | 3 = 2): Promise<Wire> {
    const wire = await Wire.open(port, protocol);
    this.#wires.push(wire);
    return wire;
  }

  crowd(proxy: RunningProxy, count: number): Promise<Wire[]> {
    return Promise.all(Array.from({ length: count }, () => this.open(proxy)));
  }

  /** A key that is missing now, and as hot as only many reads make it. */
  async hotMissing(proxy: RunningProxy, prefix = 'page:'): Promise<string> {
    const key = `${prefix}${++this.#lastKey}`;
    await this.redis.call('SET', key, 'old');
    const reader = await this.open(proxy);
    reader.sendAll(Array(40).fill(['GET', key]));
    await reader.replies(40);
    await this.redis.call('DEL', key);
    // Until the server has told, the old value may be served.
    await waitFor(async () => (await reader.say('STRLEN', key)) === ':0');
    reader.close();
    return key;
  }

  /** A lease of a key that one client has and others wait for: those who read it alike. */
  async leased(proxy: RunningProxy, count: number, key?: string) {
    const name = key ?? (await this.hotMissing(proxy));
    const [holder, ...others] = await this.crowd(proxy, count + 1);
    const told = await holder.say('GET', name);
    if (told !== MISSING) throw new Error(`${name} is not missing: ${told}`);
    const replies = askAll(others, 'GET', name);
    await waiting(proxy, count);
    return { key: name, holder, others, replies };
  }

  /** Ends all connections. */
  clear(): void {
    for (const wire of this.#wires.splice(0)) wire.close();
  }

  async close(): Promise<void> {
    this.clear();
    for (const proxy of this.#proxies) await proxy.close();
    await this.redis.stop();
  }
}

/** What they are answered so far; filled as replies come. */
export function askAll(readers: readonly Wire[], ...command: string[]): string[] {
  const replies: string[] = [];
  for (const reader of readers)
    reader.say(...command).then(
      (reply) => replies.push(reply),
      () => {},
    );
  return replies;
}

interface HotKeys {
  readonly keys: { key: string; lease?: { held_ms: number; waiters: number } }[];
}

export async function hotKeys(proxy: RunningProxy): Promise<HotKeys> {
  return (await proxy.admin('/hotkeys?top=1000')).body as HotKeys;
}

/** Until so many reads wait for leases. */
export function waiting(proxy: RunningProxy, count: number): Promise<unknown> {
  return waitFor(async () => {
    const { keys } = await hotKeys(proxy);
    return keys.reduce((sum, { lease }) => sum + (lease?.waiters ?? 0), 0) === count;
  });
}

/** So many replies with that value. */
export function values(count: number, value: string): string[] {
  return Array(count).fill(`$${value.length}\r\n${value}`);
}
