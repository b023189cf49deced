// What plain GETs lose to clients that have connections of their own upstream: the same load with 500 of those at
// work and with the same 500 connected but idle, through heatsink and straight to the server.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { CROWD_WORK } from './crowd.ts';
import { type Cell, measure } from './measure.ts';
import { startServer, startTargets, type Target, type TargetName } from './servers.ts';
import { type Spread, spread } from './statistics.ts';
import { short, table } from './table.ts';

const DEPTHS = [1, 16] as const;
const KEYS = 100_000;
/** The least that is left of the rate of plain GETs through heatsink, as a share. */
const AIM = 0.8;
const TARGETS: readonly TargetName[] = ['redis', 'heatsink'];

interface CrowdedCell extends Cell {
  readonly crowd: 'idle' | 'at work';
}

export interface PinnedOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly targets: readonly TargetName[];
  /** Called after each cell. */
  readonly measured: (what: string) => void;
}

/** Cells that a run has, for the progress line. */
export function pinnedCells({ rounds, targets }: Pick<PinnedOptions, 'rounds' | 'targets'>): number {
  return rounds * DEPTHS.length * 2 * targets.filter((name) => TARGETS.includes(name)).length;
}

/** Measures, and gives the section of the report; empty without any target that takes part. */
export async function pinnedSection(options: PinnedOptions): Promise<string> {
  const wanted = options.targets.filter((name) => TARGETS.includes(name));
  if (wanted.length === 0) return '';
  const server = await startServer(KEYS);
  const targets = await startTargets(server, {}, wanted);
  const crowds: Crowd[] = [];
  try {
    for (const target of targets) crowds.push(await gather(target));
    return report(await runRounds(options, targets, crowds));
  } finally {
    for (const crowd of crowds) crowd.disperse();
    for (const target of targets) await target.stop();
    await server.stop();
  }
}

async function runRounds(options: PinnedOptions, targets: Target[], crowds: Crowd[]): Promise<CrowdedCell[]> {
  const { rounds, seconds, measured } = options;
  const cells: CrowdedCell[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [i, pipeline] of DEPTHS.entries()) {
      const states = ['idle', 'at work'] as const;
      for (const turn of inTurn([0, 1, 2, 3].slice(0, targets.length * 2), round + i)) {
        const [target, crowd] = [targets[turn >> 1], crowds[turn >> 1]];
        const state = states[turn & 1];
        if (state === 'at work') await crowd.say('work');
        const cell = await measure(target, { pipeline, keys: KEYS, seconds });
        if (state === 'at work') await crowd.say('rest');
        cells.push({ ...cell, crowd: state });
        const rate = Math.round(cell.rps).toLocaleString('en');
        measured(`round ${round + 1} of ${rounds}, P=${pipeline}, ${target.name}, crowd ${state}: ${rate}/s`);
      }
    }
  }
  return cells;
}

function inTurn(items: readonly number[], turn: number): number[] {
  const first = turn % items.length;
  const order = [...items.slice(first), ...items.slice(0, first)];
  return turn % 2 === 0 ? order : order.reverse();
}

interface Crowd {
  /** Resolves when all are at work, or at rest. Throws when the work was not answered. */
  say(word: 'work' | 'rest'): Promise<void>;
  disperse(): void;
}

async function gather({ port, name }: Target): Promise<Crowd> {
  const file = fileURLToPath(new URL('crowd.ts', import.meta.url));
  const child = fork(file, [String(port)]);
  await answer(child, name);
  return {
    async say(word) {
      child.send(word);
      const received = await answer(child, name);
      if (word === 'rest' && received < 1000) throw new Error(`the crowd got no replies of ${name}`);
    },
    disperse: () => child.kill('SIGKILL'),
  };
}

async function answer(child: ChildProcess, name: string): Promise<number> {
  const exited = once(child, 'exit').then(() => {
    throw new Error(`the crowd of ${name} has ended`);
  });
  const [received] = await Promise.race([once(child, 'message'), exited]);
  // It will end some day, when nobody waits.
  exited.catch(() => {});
  return received as number;
}

function report(cells: readonly CrowdedCell[]): string {
  return [
    '## Clients with connections of their own',
    `500 other clients are connected, idle or at work: ${CROWD_WORK}. The GETs ask for ${short(KEYS)} keys at ` +
      'random, with the default options of heatsink. The same ratio straight to the server tells what the ' +
      'machine and the server lose to that work themselves.',
    cellTable(cells),
    ratioTable(cells),
  ].join('\n\n');
}

function cellTable(cells: readonly CrowdedCell[]): string {
  const rows = kinds(cells).flatMap(({ pipeline, target }) =>
    (['idle', 'at work'] as const).map((crowd) => {
      const of = (name: 'rps' | 'p50' | 'p99') =>
        spread(pick(cells, pipeline, target, crowd).map((cell) => cell[name]));
      const rps = of('rps');
      const latency = [of('p50'), of('p99')].map(({ median }) => short(median));
      return [String(pipeline), target, crowd, short(rps.median), range(rps), ...latency];
    }),
  );
  return table(['P', 'target', 'the 500', 'requests/s', 'min..max', 'p50 ms', 'p99 ms'], rows, [1, 2]);
}

/** At work over idle, within one round each. */
function ratioTable(cells: readonly CrowdedCell[]): string {
  const rows = kinds(cells).flatMap(({ pipeline, target }) =>
    (['rps', 'p99'] as const).map((name) => {
      const [idle, busy] = (['idle', 'at work'] as const).map((crowd) =>
        pick(cells, pipeline, target, crowd),
      );
      const ratio = spread(busy.map((cell, i) => cell[name] / idle[i][name]));
      const judged = name === 'rps' && target === 'heatsink';
      const verdict = judged ? [`>= ${AIM}`, ratio.median >= AIM ? 'met' : 'not met'] : ['', ''];
      const what = `${target}, ${name === 'rps' ? 'requests/s' : 'p99'}`;
      return [what, String(pipeline), ratio.median.toFixed(2), range(ratio), ...verdict];
    }),
  );
  return table(['at work / idle', 'P', 'median', 'min..max', 'aim', ''], rows, [0, 5]);
}

function kinds(cells: readonly CrowdedCell[]): { pipeline: number; target: TargetName }[] {
  return DEPTHS.flatMap((pipeline) =>
    TARGETS.filter((name) => cells.some(({ target }) => target === name)).map((target) => ({
      pipeline,
      target,
    })),
  );
}

function pick(cells: readonly CrowdedCell[], pipeline: number, target: string, crowd: string): CrowdedCell[] {
  return cells.filter((cell) => cell.pipeline === pipeline && cell.target === target && cell.crowd === crowd);
}

const range = ({ min, max }: Spread): string => `${short(min)}..${short(max)}`;
