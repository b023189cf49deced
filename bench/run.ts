// `npm run bench`: redis-server itself, heatsink and twemproxy under the same load, in turn, in one run.
// Prints tables and, after a complete run, writes them to RESULTS.md beside this file.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Cell, measure } from './measure.ts';
import { type Options, readOptions } from './options.ts';
import { pinnedCells, pinnedSection } from './pinned.ts';
import { describeMachine } from './proc.ts';
import { endProgress, progress } from './progress.ts';
import { preamble, type Rounds, scenarioReport } from './report.ts';
import { PIPELINES, SCENARIOS, type Scenario } from './scenarios.ts';
import { startServer, startTargets, type Target } from './servers.ts';

const MICRO = ['framer', 'detector'] as const;
const RESULTS = fileURLToPath(new URL('RESULTS.md', import.meta.url));

const options = readOptions();
const scenarios = SCENARIOS.filter(({ name }) => options.parts.includes(name));
const micro = MICRO.filter((part) => options.parts.includes(part));
const pinned = options.parts.includes('pinned');
const cells = scenarios.length * options.rounds * PIPELINES.length * options.targets.length;
/** Seconds of one cell with its warm-up, and of one micro benchmark: about, for the progress line. */
const CELL_SECONDS = options.seconds + 0.6;
const MICRO_SECONDS = 6;
const expected = (cells + (pinned ? pinnedCells(options) : 0)) * CELL_SECONDS + micro.length * MICRO_SECONDS;
let spent = 0;

const sections: string[] = [];
try {
  sections.push(...(await loadSections()), ...(await crowdedSections()), ...(await microSections()));
} finally {
  endProgress();
}
const report = `${[preamble(describeMachine(), options.rounds), ...sections].join('\n\n')}\n`;
console.log(report);
if (options.complete) writeFileSync(RESULTS, report);

async function loadSections(): Promise<string[]> {
  const reports: string[] = [];
  for (const scenario of scenarios) {
    progress(spent / expected, `${scenario.name}: starting redis-server and what is before it`);
    const server = await startServer(scenario.stored ? scenario.keys : 0);
    const targets = await startTargets(server, scenario.flags, options.targets, options.watched);
    reports.push(scenarioReport(scenario, await runRounds(scenario, targets, options)));
    for (const target of targets) await target.stop();
    await server.stop();
  }
  return reports;
}

async function runRounds(
  { name, keys }: Scenario,
  targets: Target[],
  { rounds, seconds }: Options,
): Promise<Rounds> {
  const all: Cell[][] = [];
  for (let round = 0; round < rounds; round++) {
    const cells: Cell[] = [];
    for (const [i, pipeline] of PIPELINES.entries()) {
      for (const target of inTurn(targets, round + i)) {
        const cell = await measure(target, { pipeline, keys, seconds });
        cells.push(cell);
        const rate = Math.round(cell.rps).toLocaleString('en');
        const where = `${name}, round ${round + 1} of ${rounds}, P=${pipeline}`;
        spent += CELL_SECONDS;
        progress(spent / expected, `${where}, ${target.name}: ${rate}/s`);
      }
    }
    all.push(cells);
  }
  return all;
}

/** All orders of three come up as `turn` grows, so none always runs behind the same other. */
function inTurn(targets: readonly Target[], turn: number): Target[] {
  const first = turn % targets.length;
  const order = [...targets.slice(first), ...targets.slice(0, first)];
  return turn % 2 === 0 ? order : order.reverse();
}

async function crowdedSections(): Promise<string[]> {
  if (!pinned) return [];
  progress(spent / expected, 'pinned: starting redis-server, heatsink and the crowd');
  const measured = (what: string) => {
    spent += CELL_SECONDS;
    progress(spent / expected, `pinned, ${what}`);
  };
  const section = await pinnedSection({ ...options, measured });
  return section === '' ? [] : [section];
}

/** The micro benchmarks run in processes of their own, so that none inherits another's compiled code. */
async function microSections(): Promise<string[]> {
  const parts: string[] = [];
  for (const name of micro) {
    progress(spent / expected, name);
    const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [file]);
    parts.push(stdout.trim());
    spent += MICRO_SECONDS;
  }
  return parts;
}
