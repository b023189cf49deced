// The command line of the benchmark.

import { parseArgs } from 'node:util';
import type { TargetName } from './servers.ts';

const USAGE = `Usage: npm run bench -- [options]
  --rounds N      rounds, of which the medians are shown (default 5)
  --seconds S     length of each measured piece (default 1.5)
  --quick         3 rounds of half a second, for a first look
  --only LIST     some of hot, cold, absent, pinned, framer, detector (default: all)
  --targets LIST  some of redis, heatsink, twemproxy (default: all)
  --watched       with heatsink's dashboard open: somebody takes its state each second
  --help          this text
RESULTS.md is written only by a run without any of them.`;

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly parts: readonly string[];
  readonly targets: readonly TargetName[];
  /** Whether somebody looks at heatsink's dashboard meanwhile. */
  readonly watched: boolean;
  /** Whether the run measures everything at full length. */
  readonly complete: boolean;
}

const PARTS = ['hot', 'cold', 'absent', 'pinned', 'framer', 'detector'];
const TARGETS: readonly TargetName[] = ['redis', 'heatsink', 'twemproxy'];

/** Reads process.argv. Prints what is wrong and ends the process with code 2 if it must. */
export function readOptions(): Options {
  try {
    return parse();
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function parse(): Options {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean' },
      only: { type: 'string' },
      targets: { type: 'string' },
      watched: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  return {
    rounds: positive('--rounds', values.rounds ?? (values.quick ? '3' : '5'), Number.isInteger),
    seconds: positive('--seconds', values.seconds ?? (values.quick ? '0.5' : '1.5'), Number.isFinite),
    parts: values.only === undefined ? PARTS : listed('--only', values.only, PARTS),
    targets: values.targets === undefined ? TARGETS : listed('--targets', values.targets, TARGETS),
    watched: values.watched === true,
    complete: Object.keys(values).length === 0,
  };
}

function positive(name: string, text: string, check: (value: number) => boolean): number {
  const value = Number(text);
  if (!check(value) || value <= 0) throw new Error(`${name} takes a number above 0, not "${text}"`);
  return value;
}

function listed<T extends string>(name: string, text: string, known: readonly T[]): T[] {
  const words = text.split(',');
  const wrong = words.find((word) => !known.some((one) => one === word));
  if (wrong !== undefined) throw new Error(`${name} knows ${known.join(', ')}, not "${wrong}"`);
  return known.filter((one) => words.includes(one));
}
