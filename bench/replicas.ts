// What `reads: replicas` takes off a primary: a cluster of three masters with a replica each, the same reads with the
// rule and without it. `npm run bench:replicas`

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { stringify } from 'yaml';
import { temporaryDir } from '../test/support/children.ts';
import { type ProxyProcess, spawnProxy } from '../test/support/heatsink-process.ts';
import { type Cluster, type RedisProcess, startCluster } from '../test/support/redis.ts';
import { runLoad } from './load.ts';
import { progress } from './progress.ts';
import { runBench, type Stage } from './stage.ts';
import { spread } from './statistics.ts';
import { short, table, whole } from './table.ts';

const DEPTHS = [1, 16] as const;
const KEYS = 100_000;
const FILL_STEP = 1000;
const WARM_UP = 30_000;
const READERS = ['primary', 'replicas'] as const;
type Reader = (typeof READERS)[number];

/** One piece: requests a second, and microseconds of CPU time for each request, by INFO of the servers. */
interface Piece {
  readonly rps: number;
  readonly p99: number;
  readonly masters: number;
  readonly replicas: number;
}

async function fill(port: number): Promise<void> {
  const redis = new Redis({ port, enableReadyCheck: false });
  const value = 'x'.repeat(100);
  for (let i = 0; i < KEYS; i += FILL_STEP) {
    const names = Array.from({ length: FILL_STEP }, (_, k) => `key:${String(i + k).padStart(12, '0')}`);
    await Promise.all(names.map((name) => redis.set(name, value)));
  }
  await redis.call('WAIT', 1, 5000);
  redis.disconnect();
}

/** No tier: what is measured is who answers the reads that are sent on. */
async function startWith(reads: Reader, cluster: Cluster, stage: Stage): Promise<ProxyProcess> {
  const file = join(temporaryDir('replicas'), 'heatsink.yaml');
  writeFileSync(file, stringify({ rules: [{ match: '*', consistency: 'off', reads }] }));
  return stage.keep(await spawnProxy({ upstream: cluster.url, file, flags: { workers: '1', tier: 'off' } }));
}

/** User and system time of all of them, in microseconds. */
async function cpuOf(servers: readonly RedisProcess[]): Promise<number> {
  const infos = await Promise.all(servers.map((server) => server.call('INFO', 'cpu')));
  const seconds = infos.flatMap((info) =>
    Array.from(String(info).matchAll(/used_cpu_(?:user|sys):([\d.]+)/g), (match) => Number(match[1])),
  );
  return seconds.reduce((sum, value) => sum + value, 0) * 1e6;
}

async function measure(port: number, pipeline: number, requests: number, cluster: Cluster): Promise<Piece> {
  const [masters, replicas] = [cluster.nodes.slice(0, 3), cluster.nodes.slice(3)];
  const before = [await cpuOf(masters), await cpuOf(replicas)];
  const { rps, p99 } = await runLoad({ port, pipeline, requests, keys: KEYS });
  const after = [await cpuOf(masters), await cpuOf(replicas)];
  return {
    rps,
    p99,
    masters: (after[0] - before[0]) / requests,
    replicas: (after[1] - before[1]) / requests,
  };
}

await runBench({
  name: 'replicas',
  title: 'Reads from replicas',
  options: {
    rounds: [5, 'rounds, of which medians are shown'],
    seconds: [2, 'length of each measured piece'],
  },
  async run({ rounds, seconds }, stage) {
    const cluster = stage.keep(await startCluster({ masters: 3, replicas: 1 }));
    const ports = new Map<Reader, number>();
    for (const reads of READERS) ports.set(reads, (await startWith(reads, cluster, stage)).port);
    await fill(ports.get('primary') as number);
    const pieces = new Map<string, Piece[]>();
    let done = 0;
    for (const pipeline of DEPTHS) {
      for (let round = 0; round < rounds; round++) {
        // Either comes first in turn.
        for (const reads of round % 2 === 0 ? READERS : READERS.toReversed()) {
          const port = ports.get(reads) as number;
          const warm = await runLoad({ port, pipeline, requests: WARM_UP * Math.sqrt(pipeline), keys: KEYS });
          const piece = await measure(port, pipeline, Math.round(warm.rps * seconds), cluster);
          const name = `${reads} ${pipeline}`;
          pieces.set(name, [...(pieces.get(name) ?? []), piece]);
        }
        progress(++done / (rounds * DEPTHS.length), `P=${pipeline}`);
      }
    }
    const of = (reads: Reader, pipeline: number) => pieces.get(`${reads} ${pipeline}`) as Piece[];
    const median = (all: readonly Piece[], value: (piece: Piece) => number) => spread(all.map(value)).median;
    const cells = DEPTHS.flatMap((pipeline) =>
      READERS.map((reads) => {
        const all = of(reads, pipeline);
        const measures = [
          (piece: Piece) => piece.p99,
          ({ masters }: Piece) => masters,
          ({ replicas }: Piece) => replicas,
        ];
        return [
          reads,
          String(pipeline),
          whole(median(all, ({ rps }) => rps)),
          ...measures.map((value) => short(median(all, value))),
        ];
      }),
    );
    const ratios = DEPTHS.flatMap((pipeline) => {
      const ratio = (value: (piece: Piece) => number) => {
        const pairs = of('replicas', pipeline).map(
          (piece, i) => value(piece) / value(of('primary', pipeline)[i]),
        );
        const { median, min, max } = spread(pairs);
        return [median.toFixed(2), `${min.toFixed(2)}..${max.toFixed(2)}`];
      };
      return [
        ['requests/s', String(pipeline), ...ratio(({ rps }) => rps)],
        ['CPU of the masters for each request', String(pipeline), ...ratio(({ masters }) => masters)],
      ];
    });
    return [
      `\`redis-benchmark\` over 50 connections, GETs of ${whole(KEYS)} keys, through a heatsink with one worker and no tier in ` +
        'front of a cluster of three masters with a replica each. CPU time is `used_cpu_user` and `used_cpu_sys` of INFO, ' +
        'of the three masters and of the three replicas together, in microseconds for each request.',
      table(['reads', 'P', 'requests/s', 'p99 ms', 'CPU of masters', 'CPU of replicas'], cells),
      table(['replicas / primary', 'P', 'median', 'min..max'], ratios),
    ];
  },
});
