// heatsink demo: a Redis Cluster with a shop's load and heatsink in front of it, and a line every second that says what
// the hot shard gets without heatsink and with it. Half of each second the clients ask the masters themselves, the
// other half heatsink, so that both are measured under the same load.

import { setTimeout as sleep } from 'node:timers/promises';
import { Worker as Thread } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { parseUpstream } from '../config/upstream-url.ts';
import { startHeatsink } from '../heatsink.ts';
import { slotOf } from '../upstream/slot.ts';
import { type DemoCluster, startDemoCluster } from './cluster.ts';
import type { LoadData, LoadOrder, LoadReport } from './load.ts';
import { CALM, keyOf, PERIOD, PRODUCTS } from './traffic.ts';

export interface DemoOptions {
  /** As for serve, without an upstream. */
  readonly config: Config;
  readonly log: Logger;
  /** Seconds; Infinity until the signal. */
  readonly seconds: number;
  /** Ends the demo early; all is cleaned up then, too. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

const CLIENTS = 50;
const PIPELINE = 4;
/** Bytes of a product's value. */
const VALUE = 512;
/** Milliseconds for each of the two halves of a line. */
const HALF = 500;
/** Products that are written at once. */
const BATCH = 500;

/** What one half of a second was like. */
interface Half extends LoadReport {
  /** Commands that each master got, a second. */
  readonly shards: readonly number[];
}

/** Runs until the time is up or the signal comes; nothing is left of it then. */
export async function runDemo({ config, log, seconds, signal, say }: DemoOptions): Promise<void> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    say('Starting a Redis Cluster of three masters, and heatsink in front of it.');
    const cluster = await startDemoCluster();
    closers.push(() => cluster.close());
    await stock(cluster);
    const heatsink = await startHeatsink({ ...config, upstream: parseUpstream(cluster.url) }, { log });
    closers.push(() => heatsink.close());
    const load = await startLoad(cluster, Number(heatsink.address.split(':').at(-1)));
    closers.push(() => load.close());
    say(`Redis clients may come to redis://${heatsink.address}.`);
    if (heatsink.adminAddress !== null) say(`The dashboard: http://${heatsink.adminAddress}/`);
    say(explanation());
    await show(cluster, load, { seconds, signal, say });
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

function explanation(): string {
  return `
${CLIENTS} clients read ${PRODUCTS} products, ${PIPELINE} at once, most of them a few favourites; every ${PERIOD} s there is a flash sale,
and six of ten reads are of one product. Half of each second they ask the masters, half heatsink.

          |      without heatsink: straight to Redis    |              through heatsink
          |     reads/s   hottest shard gets     p99 ms |     reads/s   that shard gets       p99 ms`;
}

/** Writes all products. */
async function stock(cluster: DemoCluster): Promise<void> {
  for (let first = 0; first < PRODUCTS; first += BATCH) {
    const writes = Array.from({ length: BATCH }, (_, i) => {
      const key = keyOf(first + i);
      return cluster.call(ownerOf(cluster, key), 'SET', key, 'x'.repeat(VALUE));
    });
    await Promise.all(writes);
  }
}

function ownerOf(cluster: DemoCluster, key: string): number {
  return cluster.ownerOf(slotOf(Buffer.from(key), 0, key.length));
}

interface Load {
  /** What became of the order before, once the new one is under way. */
  order(next: LoadOrder): Promise<LoadReport>;
  close(): Promise<unknown>;
}

async function startLoad(cluster: DemoCluster, port: number): Promise<Load> {
  const data: LoadData = {
    clients: CLIENTS,
    pipeline: PIPELINE,
    heatsink: port,
    masters: cluster.ports,
    owners: Array.from({ length: PRODUCTS }, (_, product) => ownerOf(cluster, keyOf(product))),
    replyBytes: `$${VALUE}\r\n\r\n`.length + VALUE,
  };
  const { url } = import.meta;
  const thread = new Thread(new URL(`./load${url.slice(url.lastIndexOf('.'))}`, url), { workerData: data });
  const failed = new Promise<never>((_, reject) => thread.once('error', reject));
  const answer = () =>
    Promise.race([failed, new Promise<LoadReport>((resolve) => thread.once('message', resolve))]);
  await answer();
  return {
    order(next) {
      const answered = answer();
      thread.postMessage(next);
      return answered;
    },
    close: () => thread.terminate(),
  };
}

async function show(
  cluster: DemoCluster,
  load: Load,
  { seconds, signal, say }: Pick<DemoOptions, 'seconds' | 'signal' | 'say'>,
): Promise<void> {
  for (let second = 0; second < seconds && !signal.aborted; second++) {
    const flashSale = second % PERIOD >= CALM;
    const direct = await half(cluster, load, { ask: 'masters', flashSale }, signal);
    const cooled = await half(cluster, load, { ask: 'heatsink', flashSale }, signal);
    if (!signal.aborted) say(line(second, flashSale, direct, cooled));
  }
}

async function half(cluster: DemoCluster, load: Load, order: LoadOrder, signal: AbortSignal): Promise<Half> {
  await load.order(order);
  const before = await cluster.processed();
  const began = performance.now();
  await sleep(HALF, undefined, { signal }).catch(() => {});
  const after = await cluster.processed();
  const took = (performance.now() - began) / 1000;
  const report = await load.order({ ask: 'nobody', flashSale: false });
  const shards = after.map((count, i) => Math.max(0, count - before[i]) / took);
  return { ...report, reads: report.reads / took, shards };
}

function line(second: number, flashSale: boolean, direct: Half, cooled: Half): string {
  const hottest = direct.shards.indexOf(Math.max(...direct.shards));
  const when = `${second + 1} s`.padStart(5) + (flashSale ? ' SALE' : '     ');
  // For each read of a client, as they read more when they wait less.
  const relief = 1 - cooled.shards[hottest] / cooled.reads / (direct.shards[hottest] / direct.reads);
  return [
    when,
    `${count(direct.reads, 12)}${count(direct.shards[hottest], 21)}${time(direct.p99, 11)} `,
    `${count(cooled.reads, 12)}${count(cooled.shards[hottest], 13)} (${percent(relief)})${time(cooled.p99, 10)}`,
  ].join('|');
}

function count(value: number, width: number): string {
  return Math.round(value).toLocaleString('en-US').padStart(width);
}

function time(ms: number, width: number): string {
  return ms.toFixed(2).padStart(width);
}

function percent(relief: number): string {
  return `${relief > 0 ? '-' : '+'}${Math.abs(relief * 100).toFixed(0)} %`.padStart(5);
}
