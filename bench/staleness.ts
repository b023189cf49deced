// How long a reader still gets the old value after a write was acknowledged: through two heatsinks, through one, and
// from node-redis with its own cache in the client. `npm run bench:staleness`

import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { createClient } from 'redis';
import redisPackage from 'redis/package.json' with { type: 'json' };
import { spawnProxy } from '../test/support/heatsink-process.ts';
import { startRedis } from '../test/support/redis.ts';
import { progress } from './progress.ts';
import { runBench, type Stage } from './stage.ts';
import { percentile } from './statistics.ts';
import { short, table, whole } from './table.ts';

const KEY = 'stock';
const READERS = 4;
/** Milliseconds between two writes, at random. */
const PAUSE = { least: 2, most: 8 } as const;
/** Until the key is hot, or cached, in milliseconds. */
const WARM_UP = 1500;

interface Path {
  readonly name: string;
  /** Ports that the writer and the readers connect to. */
  readonly writes: number;
  readonly reads: number;
  /** Whether the readers keep replies themselves. */
  readonly cached?: boolean;
  /** Requests so far that heatsink answered from its tier, where the readers are at one. */
  readonly tierHits?: () => Promise<number>;
}

interface Measured {
  /** Of each write, in milliseconds. */
  readonly stale: number[];
  reads: number;
  /** Reads that were answered without the server. */
  hits: number;
}

/**
 * Which values were read when. Write `n` is stale until the last read that was sent after its acknowledgement and
 * still got an earlier value.
 */
class History {
  /** When each write was acknowledged; the first one wrote 0. */
  readonly acknowledged: number[] = [];
  readonly stale: number[] = [];
  reads = 0;

  wrote(at: number): void {
    this.acknowledged.push(at);
    this.stale.push(0);
  }

  read(value: number, sent: number): void {
    this.reads++;
    for (let n = value + 1; n < this.acknowledged.length && this.acknowledged[n] < sent; n++) {
      this.stale[n] = Math.max(this.stale[n], sent - this.acknowledged[n]);
    }
  }
}

const connectTo = (port: number, cached = false) => {
  const caching = { RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, recordStats: true } } as const;
  return createClient({ socket: { port, host: '127.0.0.1' }, RESP: 3, ...(cached ? caching : {}) })
    .on('error', () => {})
    .connect();
};

async function measure({ writes, reads, cached, tierHits }: Path, seconds: number): Promise<Measured> {
  const writer = await connectTo(writes);
  await writer.set(KEY, 0);
  const readers = await Promise.all(Array.from({ length: READERS }, () => connectTo(reads, cached)));
  let history = new History();
  history.wrote(0);
  let reading = true;

  const readAll = readers.map(async (reader) => {
    while (reading) {
      const sent = performance.now();
      const read = Number(await reader.get(KEY));
      history.read(read, sent);
      // What a client keeps itself comes without a look at its connection, which must have its turn.
      await turn();
    }
  });
  await sleep(WARM_UP);
  history = new History();
  history.wrote(performance.now());
  const inClients = () =>
    readers.reduce((sum, reader) => sum + (reader.clientSideCache?.stats().hitCount ?? 0), 0);
  const hits = async () => inClients() + ((await tierHits?.()) ?? 0);
  const hitsBefore = await hits();

  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    await writer.set(KEY, history.acknowledged.length);
    history.wrote(performance.now());
    await sleep(PAUSE.least + Math.random() * (PAUSE.most - PAUSE.least));
  }
  reading = false;
  await Promise.all(readAll);
  const hitsDuring = (await hits()) - hitsBefore;
  for (const client of [writer, ...readers]) client.destroy();
  return { stale: history.stale.slice(1), reads: history.reads, hits: hitsDuring };
}

async function startPaths(stage: Stage, workers: number): Promise<Path[]> {
  const redis = stage.keep(await startRedis());
  const flags = { workers: String(workers) };
  const heatsink = async () => stage.keep(await spawnProxy({ upstream: redis.url, flags }));
  const [one, other] = [await heatsink(), await heatsink()];
  const tierHits = async () =>
    (await other.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
  return [
    { name: 'two heatsinks', writes: one.port, reads: other.port, tierHits },
    { name: 'one heatsink', writes: other.port, reads: other.port, tierHits },
    { name: 'node-redis with its cache', writes: redis.port, reads: redis.port, cached: true },
    { name: 'node-redis without it', writes: redis.port, reads: redis.port },
  ];
}

const HEADER = ['path', 'writes', 'stale', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms', 'reads/write', 'cached'];

function row({ name }: Path, rounds: readonly Measured[]): string[] {
  const stale = rounds.flatMap((round) => round.stale).sort((a, b) => a - b);
  const reads = rounds.reduce((sum, round) => sum + round.reads, 0);
  const hits = rounds.reduce((sum, round) => sum + round.hits, 0);
  const late = stale.filter((time) => time > 0).length;
  return [
    name,
    whole(stale.length),
    percent(late / stale.length),
    ...[0.5, 0.99, 0.999, 1].map((share) => percentile(stale, share).toFixed(3)),
    short(reads / stale.length),
    percent(hits / reads),
  ];
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

await runBench({
  name: 'staleness',
  title: 'Staleness',
  options: {
    rounds: [5, 'rounds, in which all take turns'],
    seconds: [4, 'length of each measured piece'],
    workers: [1, 'workers of each heatsink'],
  },
  async run({ rounds, seconds, workers }, stage) {
    const paths = await startPaths(stage, workers);
    const measured: Measured[][] = paths.map(() => []);
    const pieces = rounds * paths.length;
    for (let piece = 0; piece < pieces; piece++) {
      const i = piece % paths.length;
      measured[i].push(await measure(paths[i], seconds));
      progress((piece + 1) / pieces, `${paths[i].name}, ${measured[i].at(-1)?.stale.length} writes`);
    }
    const own = measured[1].flatMap(({ stale }) => stale).filter((time) => time > 0).length;
    if (own > 0) process.exitCode = 1;
    return [
      `A writer and ${READERS} readers of one key, in one process and by one clock, with node-redis ` +
        `${redisPackage.version}: each reader sends a read as soon as it has the reply to the one before, and ` +
        `a write comes ${PAUSE.least} to ${PAUSE.most} ms after the one before it was ` +
        'acknowledged. A write is stale until the last read that was sent after its acknowledgement and still got ' +
        'an earlier value. Two heatsinks: the writer at one, the readers at the other. node-redis with its cache: ' +
        'straight to the server, with the replies kept in the readers.',
      table(
        HEADER,
        paths.map((path, i) => row(path, measured[i])),
      ),
      `Stale writes through one heatsink: ${own}, which must be 0: ${own === 0 ? 'met' : 'not met'}.`,
    ];
  },
});
