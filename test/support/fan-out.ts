// A cluster and a heatsink that has copies of its hot keys on the other masters, and what tests ask of both.

import { type RunningProxy, startProxy } from './heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, waitFor } from './redis.ts';
import { Wire } from './wire.ts';

export const COPIES = 'heatsink:copy:*';
/** Above the default of tier.maxEntryBytes. */
export const LARGE = 300 * 1024;

export class FanOutBench {
  readonly cluster: Cluster;
  readonly proxy: RunningProxy;
  readonly #wires: Wire[] = [];

  private constructor(cluster: Cluster, proxy: RunningProxy) {
    this.cluster = cluster;
    this.proxy = proxy;
  }

  /** Keys are hot from 20 reads a second on, and cool within a second. `mode`: that of all keys without a rule. */
  static async start(mode: 'off' | 'large' | 'on', file?: string): Promise<FanOutBench> {
    const cluster = await startCluster({ masters: 3 });
    const flags = { 'hot-threshold': '20', 'hot-window': '500', 'fan-out': mode };
    const proxy = await startProxy({ upstream: cluster.url, flags, ...(file !== undefined && { file }) });
    return new FanOutBench(cluster, proxy);
  }

  async stop(): Promise<void> {
    for (const wire of this.#wires) wire.close();
    await this.proxy.close();
    await this.cluster.stop();
  }

  async clear(): Promise<void> {
    await Promise.all(this.cluster.nodes.map((node) => node.call('FLUSHALL')));
  }

  async client(protocol: 2 | 3 = 2, port = this.proxy.port): Promise<Wire> {
    const wire = await Wire.open(port, protocol);
    this.#wires.push(wire);
    return wire;
  }

  /** The names of all copies that a master has. */
  async copiesOn(node: RedisProcess): Promise<string[]> {
    return (await node.call('KEYS', COPIES)) as string[];
  }

  async copies(): Promise<string[]> {
    return (await Promise.all(this.cluster.nodes.map((node) => this.copiesOn(node)))).flat();
  }

  async metric(name: string, labels?: Record<string, string>): Promise<number> {
    return (await this.proxy.metrics()).sum(`heatsink_fan_out_${name}`, labels);
  }

  copyReads(): Promise<number> {
    return this.metric('reads_total', { target: 'copy' });
  }

  /** Reads until copies were asked so many times more. */
  async untilCopied(read: () => Promise<unknown>, count = 5): Promise<void> {
    const before = await this.copyReads();
    await waitFor(async () => {
      for (let i = 0; i < 10; i++) await read();
      return (await this.copyReads()) >= before + count;
    }, 20_000);
  }
}
