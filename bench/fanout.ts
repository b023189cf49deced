// What a hot value that is too large for the tier costs each master of a cluster, with copies of it on all of them and
// without. `npm run bench:fanout`

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { spawnProxy } from '../test/support/heatsink-process.ts';
import { type Cluster, startCluster } from '../test/support/redis.ts';
import { progress } from './progress.ts';
import { runBench, type Stage } from './stage.ts';
import { spread } from './statistics.ts';
import { short, table } from './table.ts';

/** Above tier.maxEntryBytes by default, 256 KiB. */
const VALUE_BYTES = 300 * 1024;
const KEY = 'product:page';
/** How far the masters may be apart in what they send. */
const AIM = 0.15;
const MODES = ['off', 'large'] as const;
type Mode = (typeof MODES)[number];

interface Window {
  readonly mode: Mode;
  /** Requests a second. */
  readonly rate: number;
  /** Bytes that each master sent, in their order. */
  readonly sent: readonly number[];
}

/** redis-benchmark's GETs of the key, and the requests a second that it counts. */
async function load(port: number, connections: number, requests: number): Promise<number> {
  const args = ['-p', port, '-c', connections, '-n', requests, '-q', '--csv', 'GET', KEY];
  const { stdout } = await promisify(execFile)('redis-benchmark', args.map(String));
  const rate = Number(stdout.trim().split('\n').at(-1)?.split(',')[1]?.replaceAll('"', ''));
  if (!(rate > 0)) throw new Error(`redis-benchmark printed no rate:\n${stdout}`);
  return rate;
}

function sentBy(cluster: Cluster): Promise<number[]> {
  return Promise.all(
    cluster.nodes.map(async (node) => {
      const stats = String(await node.call('INFO', 'stats'));
      return Number(/total_net_output_bytes:(\d+)/.exec(stats)?.[1]);
    }),
  );
}

/** By how much the master that sends most is above the one that sends least. */
const apart = (sent: readonly number[]): number => Math.max(...sent) / Math.min(...sent) - 1;

function windowTable(windows: readonly Window[], owner: number): string {
  const rows = MODES.map((mode) => {
    const own = windows.filter((window) => window.mode === mode);
    const share = (master: number) => {
      const shares = own.map(({ sent }) => sent[master] / sent.reduce((sum, bytes) => sum + bytes, 0));
      return `${(100 * spread(shares).median).toFixed(1)} %`;
    };
    const masters = own[0].sent.map((_, i) => i).sort((a, b) => Number(b === owner) - Number(a === owner));
    return [
      `fanOut: ${mode}`,
      ...masters.map(share),
      `${short(100 * spread(own.map(({ sent }) => apart(sent))).median)} %`,
      short(spread(own.map(({ rate }) => rate)).median),
    ];
  });
  const header = ['', 'its own master', 'second', 'third', 'most above least', 'requests/s'];
  return table(header, rows);
}

function ratioTable(windows: readonly Window[]): string {
  const spreadOf = (mode: Mode) => windows.filter((window) => window.mode === mode);
  const [off, large] = MODES.map(spreadOf);
  const ratio = spread(large.map(({ rate }, i) => rate / off[i].rate));
  const worst = spread(large.map(({ sent }) => apart(sent)));
  return table(
    ['', 'median', 'min..max', 'aim', ''],
    [
      [
        'bytes out of the masters, most above least',
        `${short(100 * worst.median)} %`,
        `${short(100 * worst.min)}..${short(100 * worst.max)} %`,
        `<= ${100 * AIM} %`,
        worst.median <= AIM ? 'met' : 'not met',
      ],
      [
        'requests/s, with copies / without',
        ratio.median.toFixed(2),
        `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`,
        '',
        '',
      ],
    ],
    [0, 4],
  );
}

async function start(stage: Stage, workers: number) {
  const cluster = stage.keep(await startCluster({ masters: 3 }));
  const owner = await cluster.slotOwner(KEY);
  await owner.call('SET', KEY, 'x'.repeat(VALUE_BYTES));
  const flags = { workers: String(workers), 'hot-threshold': '20' };
  const ports = new Map<Mode, number>();
  for (const mode of MODES) {
    const proxy = await spawnProxy({ upstream: cluster.url, flags: { ...flags, 'fan-out': mode } });
    ports.set(mode, stage.keep(proxy).port);
  }
  return { cluster, owner: cluster.nodes.indexOf(owner), ports };
}

await runBench({
  name: 'fanout',
  title: 'Fan-out',
  options: {
    rounds: [5, 'rounds, of which medians are shown'],
    requests: [4000, 'GETs of each round'],
    connections: [20, 'connections of the load'],
    workers: [1, 'workers of heatsink'],
  },
  async run({ rounds, requests, connections, workers }, stage) {
    const { cluster, owner, ports } = await start(stage, workers);
    const windows: Window[] = [];
    for (let i = 0; i < rounds * MODES.length; i++) {
      const mode = MODES[i % MODES.length];
      const port = ports.get(mode) as number;
      // Until the key is hot and has its copies.
      await load(port, connections, Math.ceil(requests / 4));
      const before = await sentBy(cluster);
      const rate = await load(port, connections, requests);
      const after = await sentBy(cluster);
      windows.push({ mode, rate, sent: after.map((bytes, master) => bytes - before[master]) });
      progress((i + 1) / (rounds * MODES.length), mode);
    }
    return [
      `\`redis-benchmark\` GETs one value of ${VALUE_BYTES / 1024} KiB over ${connections} connections through a heatsink with ${workers} ` +
        'worker(s) in front of three masters: one heatsink without copies and one with, in turn. Reads that wait at ' +
        'the same time share one upstream read in both. Bytes are those that the masters themselves count.',
      windowTable(windows, owner),
      ratioTable(windows),
    ];
  },
});
