// What thousands of idle clients cost: memory for each, and speed for those at work beside them.
// `npm run bench:idle`

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { gatherIdlers, type Idlers } from './idlers.ts';
import { type Cell, measure } from './measure.ts';
import { settledMemoryMiB } from './proc.ts';
import { progress } from './progress.ts';
import { startServer, startTargets, type Target } from './servers.ts';
import { runBench, type Stage } from './stage.ts';
import { spread } from './statistics.ts';
import { short, table, whole } from './table.ts';

const DEPTHS = [1, 16] as const;
/** Clients in one process: most systems allow a process 1024 open files, and more when asked. */
const GROUP = 5000;
/** The most KiB of memory for a connection, and the least share of the load that must be left. */
const AIMS = { memory: 12, load: 0.9 } as const;

interface Round {
  readonly alone: readonly Cell[];
  readonly beside: readonly Cell[];
}

/** MiB of heatsink just started, with all idle clients connected, and after the load beside them. */
interface Memory {
  readonly started: number;
  readonly connected: number;
  readonly loaded: number;
}

async function gather(port: number, clients: number): Promise<Idlers> {
  const groups = Array.from({ length: Math.ceil(clients / GROUP) }, (_, i) =>
    gatherIdlers(port, Math.min(GROUP, clients - i * GROUP)),
  );
  const idlers = await Promise.all(groups);
  return { stop: async () => void (await Promise.all(idlers.map((group) => group.stop()))) };
}

async function load(target: Target, seconds: number): Promise<Cell[]> {
  const cells: Cell[] = [];
  for (const pipeline of DEPTHS) cells.push(await measure(target, { pipeline, keys: 0, seconds }));
  return cells;
}

async function startHeatsink(stage: Stage, clients: number, workers: number): Promise<Target> {
  const server = stage.keep(await startServer(0));
  const flags = {
    workers: String(workers),
    ...(hasFlag('--max-clients') && { 'max-clients': `${clients + 1000}` }),
  };
  const [target] = await startTargets(server, flags, ['heatsink']);
  return stage.keep(target);
}

function hasFlag(flag: string): boolean {
  const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
  return spawnSync(process.execPath, [cli, '--help'], { encoding: 'utf8' }).stdout.includes(flag);
}

function memoryTable({ started, connected, loaded }: Memory, clients: number): string {
  const each = ((connected - started) * 1024) / clients;
  const verdict = each <= AIMS.memory ? 'met' : 'not met';
  const row = [...[started, connected, loaded].map(whole), short(each), `<= ${AIMS.memory}`, verdict];
  return table(['MiB at the start', 'with them', 'and after the load', 'KiB each', 'aim', ''], [row], [5]);
}

function loadTable(rounds: readonly Round[]): string {
  const rows = DEPTHS.flatMap((pipeline, i) =>
    (['alone', 'beside'] as const).map((when) => {
      const of = (name: 'rps' | 'cpu' | 'p50' | 'p99') =>
        spread(rounds.map((round) => round[when][i][name])).median;
      return [String(pipeline), when, whole(of('rps')), ...[of('cpu'), of('p50'), of('p99')].map(short)];
    }),
  );
  return table(['P', 'hot GETs', 'requests/s', 'CPU us/request', 'p50 ms', 'p99 ms'], rows, [1]);
}

/** Beside them over alone, within one round. */
function ratioTable(rounds: readonly Round[]): string {
  const rows = DEPTHS.map((pipeline, i) => {
    const { median, min, max } = spread(rounds.map(({ alone, beside }) => beside[i].rps / alone[i].rps));
    const verdict = median >= AIMS.load ? 'met' : 'not met';
    return [
      String(pipeline),
      median.toFixed(2),
      `${min.toFixed(2)}..${max.toFixed(2)}`,
      `>= ${AIMS.load}`,
      verdict,
    ];
  });
  return table(['P', 'beside / alone', 'min..max', 'aim', ''], rows, [4]);
}

await runBench({
  name: 'idle',
  title: 'Idle clients',
  options: {
    clients: [10_000, 'idle clients'],
    rounds: [5, 'rounds, of which medians are shown'],
    seconds: [1.5, 'length of each measured piece'],
    workers: [1, 'workers of heatsink'],
  },
  async run({ clients, rounds, seconds, workers }, stage) {
    const target = await startHeatsink(stage, clients, workers);
    const started = await settledMemoryMiB(target.pid);
    let idlers: Idlers | null = await gather(target.port, clients);
    const connected = await settledMemoryMiB(target.pid);
    // Code is compiled before anything is compared.
    await load(target, seconds);
    const loaded = await settledMemoryMiB(target.pid);
    const measured: Round[] = [];
    for (let round = 0; round < rounds; round++) {
      const cells: { alone?: Cell[]; beside?: Cell[] } = {};
      // Each round begins as the one before it ended, so that either comes first in turn.
      cells[idlers ? 'beside' : 'alone'] = await load(target, seconds);
      await idlers?.stop();
      idlers = idlers ? null : await gather(target.port, clients);
      cells[idlers ? 'beside' : 'alone'] = await load(target, seconds);
      measured.push(cells as Round);
      progress((round + 1) / rounds, `round ${round + 1} of ${rounds}`);
    }
    await idlers?.stop();
    return [
      `${whole(clients)} clients connect to heatsink, ask PING once and then do nothing. \`redis-benchmark\` sends GETs ` +
        'of one hot key over 50 connections, without them and beside them. The memory is what is resident, when it ' +
        'has settled; buffers in the kernel are not in it.',
      memoryTable({ started, connected, loaded }, clients),
      loadTable(measured),
      ratioTable(measured),
    ];
  },
});
