// Turns the cells of all rounds into the tables of the terminal and of RESULTS.md.

import type { Cell } from './measure.ts';
import type { Scenario } from './scenarios.ts';
import { type Spread, spread } from './statistics.ts';
import { short, table } from './table.ts';

/** The cells of one scenario, round by round; each round has one cell for every target and pipeline depth. */
export type Rounds = readonly (readonly Cell[])[];

/** Medians of a scenario's rounds, and beneath them the ratios with their aims. */
export function scenarioReport(scenario: Scenario, rounds: Rounds): string {
  const parts = [
    `## ${scenario.title}`,
    scenario.explanation,
    cellTable(rounds),
    ratioTable(scenario, rounds),
  ];
  const hits = rounds.flat().flatMap((cell) => cell.hits ?? []);
  if (hits.length > 0) {
    parts.push(`Answered by heatsink's local tier: ${percent(Math.min(...hits))} of the requests at least.`);
  }
  return parts.filter((part) => part !== '').join('\n\n');
}

const HEADER = ['P', 'target', 'requests/s', 'min..max', 'CPU us/request', 'p50 ms', 'p99 ms', 'peak MiB'];

function cellTable(rounds: Rounds): string {
  const rows = kinds(rounds).map(([pipeline, target]) => {
    const of = (name: 'rps' | 'cpu' | 'p50' | 'p99' | 'peak') =>
      spread(cellsOf(rounds, pipeline, target).map((cell) => cell[name]));
    const rps = of('rps');
    const medians = [of('cpu'), of('p50'), of('p99')].map(({ median }) => short(median));
    return [String(pipeline), target, short(rps.median), range(rps), ...medians, short(of('peak').max)];
  });
  return table(HEADER, rows, [1]);
}

/** Each ratio is taken within one round, where both sides met the same state of the machine. */
function ratioTable({ against, aims, name }: Scenario, rounds: Rounds): string {
  const label = name === 'hot' ? 'tier hits' : 'forwarded';
  const rows = Object.entries(aims).flatMap(([depth, aim]) => {
    const ours = cellsOf(rounds, Number(depth), 'heatsink');
    const theirs = cellsOf(rounds, Number(depth), against);
    if (ours.length === 0 || theirs.length === 0) return [];
    const ratio = spread(ours.map((cell, i) => cell.rps / theirs[i].rps));
    const met = ratio.median >= aim ? 'met' : 'not met';
    return [[`${label} / ${against}`, depth, ratio.median.toFixed(2), range(ratio), `>= ${aim}`, met]];
  });
  return rows.length === 0 ? '' : table(['ratio', 'P', 'median', 'min..max', 'aim', ''], rows, [0, 5]);
}

function kinds(rounds: Rounds): [pipeline: number, target: Cell['target']][] {
  const order: Cell['target'][] = ['redis', 'heatsink', 'twemproxy'];
  const cells = rounds[0].map(({ pipeline, target }): [number, Cell['target']] => [pipeline, target]);
  return cells.sort((a, b) => a[0] - b[0] || order.indexOf(a[1]) - order.indexOf(b[1]));
}

function cellsOf(rounds: Rounds, pipeline: number, target: string): Cell[] {
  return rounds.flatMap((cells) =>
    cells.filter((cell) => cell.pipeline === pipeline && cell.target === target),
  );
}

const range = ({ min, max }: Spread): string => `${short(min)}..${short(max)}`;
const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

/** The head of RESULTS.md: how it was measured, and on what. */
export function preamble(machine: readonly (readonly [string, string])[], rounds: number): string {
  return [
    '# Benchmark results',
    'Written by `npm run bench`. All numbers come from one run on one machine; only compare numbers within it.',
    machine.map(([name, value]) => `- ${name}: ${value}`).join('\n'),
    'Load: `redis-benchmark -c 50 -d 100 -t get`, values of 100 bytes, P requests in a pipeline. heatsink with ' +
      'one worker, twemproxy and clients without a proxy all use the same redis-server, one after the other in ' +
      `changing order. Medians of ${rounds} rounds; the peak memory is the greatest of them. CPU is that of the ` +
      'measured process alone, with all its threads; latency is that of a whole pipeline. The memory of redis ' +
      'includes the data.',
  ].join('\n\n');
}
