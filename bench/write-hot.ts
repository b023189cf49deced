// A hot key that is written all the time: is what was read of it worth keeping? With the guard against keys that are
// written too often (tier.minHits), and without it. `npm run bench:write-hot`

import { setTimeout as sleep } from 'node:timers/promises';
import { type ProxyProcess, spawnProxy } from '../test/support/heatsink-process.ts';
import { type RedisProcess, startRedis } from '../test/support/redis.ts';
import { type PacedGroup, startPaced } from './paced.ts';
import { cpuMicros } from './proc.ts';
import { progress } from './progress.ts';
import { runBench } from './stage.ts';
import { spread } from './statistics.ts';
import { short, table, whole } from './table.ts';

const READERS = 50;
const WRITERS = 10;
const VALUE = 'x'.repeat(100);
/** Writes a second. */
const RATES = [10, 100, 1000, 5000] as const;
const SETTLE = 1500;

interface Piece {
  /** Cores of the server and of heatsink. */
  readonly server: number;
  readonly heatsink: number;
  readonly p99: number;
  /** Of the reads that were answered. */
  readonly fromTier: number;
}

const request = (...args: string[]) =>
  Buffer.from(`*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`);
const READ = { request: request('GET', 'k'), due: Buffer.from(`$${VALUE.length}\r\n${VALUE}\r\n`) };
const WRITE = { request: request('SET', 'k', VALUE), due: Buffer.from('+OK\r\n') };

async function measure(
  redis: RedisProcess,
  proxy: ProxyProcess,
  reads: number,
  writes: number,
  seconds: number,
): Promise<Piece> {
  const group = (name: string, clients: number, rate: number, ask: typeof READ): PacedGroup => ({
    name,
    port: proxy.port,
    clients,
    period: (clients * 1000) / rate,
    ask: () => ask,
  });
  const load = await startPaced([
    group('readers', READERS, reads, READ),
    group('writers', WRITERS, writes, WRITE),
  ]);
  await sleep(SETTLE);
  const hits = async () => (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
  const [before, server, heatsink] = [await hits(), cpuMicros(redis.pid), cpuMicros(proxy.pid)];
  const samples = load.open();
  await sleep(seconds * 1000);
  const used = { server: cpuMicros(redis.pid) - server, heatsink: cpuMicros(proxy.pid) - heatsink };
  const fromTier = (await hits()) - before;
  await load.finish(2000);
  load.stop();
  const sample = samples.get('readers');
  if (sample === undefined || sample.wrong + sample.failed > 0) throw new Error('reads failed');
  return {
    server: used.server / seconds / 1e6,
    heatsink: used.heatsink / seconds / 1e6,
    p99: sample.latency(0.99),
    fromTier: fromTier / sample.sent,
  };
}

await runBench({
  name: 'write-hot',
  title: 'A hot key that is written all the time',
  options: {
    reads: [20_000, 'reads a second'],
    rounds: [3, 'rounds, of which medians are shown'],
    seconds: [3, 'length of each measured piece'],
    hits: [3, 'tier.minHits with the guard'],
  },
  async run({ reads, rounds, seconds, hits }, stage) {
    const redis = stage.keep(await startRedis());
    await redis.call('SET', 'k', VALUE);
    const start = async (minHits: number) => {
      const flags = { workers: '1', 'tier-min-hits': `${minHits}`, 'tier-verify-share': '0' };
      return stage.keep(await spawnProxy({ upstream: redis.url, flags }));
    };
    const proxies = { without: await start(0), with: await start(hits) };
    const rows: string[][] = [];
    for (const [done, rate] of RATES.entries()) {
      const pieces: Record<'without' | 'with', Piece[]> = { without: [], with: [] };
      for (let round = 0; round < rounds; round++) {
        for (const how of ['without', 'with'] as const)
          pieces[how].push(await measure(redis, proxies[how], reads, rate, seconds));
        progress((done + (round + 1) / rounds) / RATES.length, `${rate} writes a second, round ${round + 1}`);
      }
      const of = (how: 'without' | 'with', pick: (piece: Piece) => number) =>
        spread(pieces[how].map(pick)).median;
      const ratio = (pick: (piece: Piece) => number) =>
        spread(pieces.with.map((piece, i) => pick(piece) / pick(pieces.without[i]))).median;
      rows.push([
        whole(rate),
        `${(of('without', ({ fromTier }) => fromTier) * 100).toFixed(0)} %`,
        `${(of('with', ({ fromTier }) => fromTier) * 100).toFixed(0)} %`,
        short(ratio(({ server }) => server)),
        short(ratio(({ heatsink }) => heatsink)),
        short(ratio(({ p99 }) => p99)),
      ]);
    }
    return [
      `${READERS} clients read one key ${whole(reads)} times a second through heatsink, at a fixed pace, and ${WRITERS} others ` +
        `write it. Two heatsinks in turn: one with \`tier.minHits: ${hits}\`, one with the guard off. The ratios are with ` +
        'the guard to without it, below 1 where it saves something.',
      table(['writes/s', 'from the tier without', 'with', 'server CPU', 'heatsink CPU', 'read p99'], rows),
    ];
  },
});
