// What more workers cost: requests for each second of CPU time of the whole process, with one worker and with two,
// answered from the local tier and forwarded. `npm run bench:workers`
//
// All threads of heatsink are kept on one core, so that it is what the load waits for with any number of workers. With
// cores to spare two workers are idle more often than one, find less to do each time they wake up, and it is that
// which would be compared.

import { execFileSync } from 'node:child_process';
import { type Cell, measure } from './measure.ts';
import { progress } from './progress.ts';
import { startServer, startTargets, type Target } from './servers.ts';
import { runBench, type Stage } from './stage.ts';
import { spread } from './statistics.ts';
import { short, table, whole } from './table.ts';

const DEPTHS = [1, 16] as const;
const KEYS = 100_000;
/** The least share of one worker's requests for each CPU second. */
const AIM = 0.9;

interface Load {
  readonly name: string;
  readonly keys: number;
  readonly flags: Record<string, string>;
}

const LOADS: readonly Load[] = [
  { name: 'one hot key', keys: 0, flags: {} },
  { name: 'forwarded', keys: KEYS, flags: { tier: 'off' } },
];

/** One load and pipeline depth; the cells of all rounds, for one worker and for more. */
interface Row {
  readonly load: Load;
  readonly pipeline: number;
  readonly few: Cell[];
  readonly many: Cell[];
}

/** Requests for each second of CPU time. */
const efficiency = ({ cpu }: Cell): number => 1e6 / cpu;

async function start(stage: Stage, { keys, flags }: Load, workers: readonly number[]): Promise<Target[]> {
  const server = stage.keep(await startServer(keys));
  const targets: Target[] = [];
  for (const count of workers) {
    targets.push(...(await startTargets(server, { ...flags, workers: String(count) }, ['heatsink'])));
  }
  for (const { pid } of targets) keepOnOneCore(pid);
  return targets.map((target) => stage.keep(target));
}

/** https://man7.org/linux/man-pages/man1/taskset.1.html */
function keepOnOneCore(pid: number): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', '0', String(pid)], { stdio: 'ignore' });
}

function cellTable(rows: readonly Row[], workers: number): string {
  const cells = rows.flatMap(({ load, pipeline, few, many }) =>
    (
      [
        ['1', few],
        [String(workers), many],
      ] as const
    ).map(([count, cells]) => {
      const of = (value: (cell: Cell) => number) => spread(cells.map(value)).median;
      const latency = [of((cell) => cell.p50), of((cell) => cell.p99)].map(short);
      const counts = [of(efficiency), of((cell) => cell.rps)].map(whole);
      return [load.name, String(pipeline), count, ...counts, ...latency];
    }),
  );
  return table(['load', 'P', 'workers', 'requests/CPU s', 'requests/s', 'p50 ms', 'p99 ms'], cells);
}

/** Of requests for each CPU second, within one round. */
function ratioTable(rows: readonly Row[], workers: number): string {
  const cells = rows.map(({ load, pipeline, few, many }) => {
    const { median, min, max } = spread(many.map((cell, i) => efficiency(cell) / efficiency(few[i])));
    const range = `${min.toFixed(2)}..${max.toFixed(2)}`;
    return [
      load.name,
      String(pipeline),
      median.toFixed(2),
      range,
      `>= ${AIM}`,
      median >= AIM ? 'met' : 'not met',
    ];
  });
  return table([`${workers} workers / 1`, 'P', 'median', 'min..max', 'aim', ''], cells, [0, 5]);
}

await runBench({
  name: 'workers',
  title: 'Workers',
  options: {
    rounds: [5, 'rounds, of which medians are shown'],
    seconds: [2, 'length of each measured piece'],
    workers: [2, 'workers that are compared with one'],
    connections: [50, 'connections of the load, of all workers together'],
  },
  async run({ rounds, seconds, workers, connections }, stage) {
    const rows: Row[] = [];
    const pieces = LOADS.length * rounds * DEPTHS.length;
    let done = 0;
    for (const load of LOADS) {
      const targets = await start(stage, load, [1, workers]);
      const own = DEPTHS.map((pipeline): Row => ({ load, pipeline, few: [], many: [] }));
      rows.push(...own);
      for (let i = 0; i < rounds * DEPTHS.length; i++) {
        const row = own[i % DEPTHS.length];
        // Either comes first in turn.
        const order = Math.floor(i / DEPTHS.length) % 2 === 0 ? [0, 1] : [1, 0];
        for (const which of order) {
          const piece = { pipeline: row.pipeline, keys: load.keys, seconds, connections };
          const cell = await measure(targets[which], piece);
          (which === 0 ? row.few : row.many).push(cell);
        }
        progress(++done / pieces, `${load.name}, P=${row.pipeline}`);
      }
    }
    return [
      `\`redis-benchmark\` over ${connections} connections, through a heatsink with one worker and one with ${workers}, in front of ` +
        `the same server: GETs of one hot key, and of ${whole(KEYS)} keys with the tier off. CPU time is user and ` +
        'system time of the whole process of heatsink, all of whose threads are kept on one core.',
      cellTable(rows, workers),
      ratioTable(rows, workers),
    ];
  },
});
