// What the benches that run by themselves share: their options, the end of all that they started, the report.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { describeMachine } from './proc.ts';
import { endProgress } from './progress.ts';

export interface Bench<N extends string> {
  /** It is run as `npm run bench:NAME`. */
  readonly name: string;
  readonly title: string;
  /** Options that take a number above 0: what it is without them, and what it means. */
  readonly options: Readonly<Record<N, readonly [number, string]>>;
  /** Measures, and gives the sections of the report. */
  run(given: Readonly<Record<N, number>>, stage: Stage): Promise<readonly string[]>;
}

export interface Stage {
  /** Has something stopped when the part ends, in whatever way: the last one first. */
  keep<T extends { stop(): unknown }>(thing: T): T;
}

/** Runs it as the command line says, prints the report, and writes it where `--write` says. */
export async function runBench<N extends string>(bench: Bench<N>): Promise<void> {
  const { given, file } = readOptions(bench);
  const report = await onStage(async (stage) => [...preamble(bench), ...(await bench.run(given, stage))]);
  const text = `${report.join('\n\n')}\n`;
  endProgress();
  console.log(text);
  if (file !== undefined) writeFileSync(file, text);
}

/** Runs a part of a bench, and stops all that it has started. */
export async function onStage<T>(part: (stage: Stage) => Promise<T>): Promise<T> {
  const kept: { stop(): unknown }[] = [];
  const stage: Stage = {
    keep(thing) {
      kept.push(thing);
      return thing;
    },
  };
  try {
    return await part(stage);
  } finally {
    for (const thing of kept.reverse()) await thing.stop();
  }
}

function preamble({ name, title }: Bench<string>): string[] {
  const machine = describeMachine().filter(([what]) => what !== 'twemproxy');
  return [
    `# ${title}`,
    `Measured by \`npm run bench:${name}\`. All numbers come from one run on one machine; only compare numbers within it.`,
    machine.map(([what, value]) => `- ${what}: ${value}`).join('\n'),
  ];
}

interface Given<N extends string> {
  readonly given: Record<N, number>;
  readonly file: string | undefined;
}

/** Reads process.argv. Prints what is wrong and ends the process with code 2 if it must. */
function readOptions<N extends string>(bench: Bench<N>): Given<N> {
  try {
    return parse(bench);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage(bench)}`);
    process.exit(2);
  }
}

function parse<N extends string>(bench: Bench<N>): Given<N> {
  const names = Object.keys(bench.options) as N[];
  const strings = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({
    options: { ...strings, write: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    console.log(usage(bench));
    process.exit(0);
  }
  const given = names.map((name) => {
    const text = (values as Record<string, string | undefined>)[name];
    const value = Number(text ?? bench.options[name][0]);
    if (!(value > 0) || !Number.isFinite(value))
      throw new Error(`--${name} takes a number above 0, not "${text}"`);
    return [name, value] as const;
  });
  return { given: Object.fromEntries(given) as Record<N, number>, file: values.write };
}

function usage({ name, options }: Bench<string>): string {
  const rows = Object.entries(options).map(([option, [value, doc]]) => [
    `--${option} N`,
    `${doc} (default ${value})`,
  ]);
  rows.push(['--write FILE', 'writes the report there too'], ['--help', 'this text']);
  const width = Math.max(...rows.map(([option]) => option.length)) + 2;
  const lines = rows.map(([option, doc]) => `  ${option.padEnd(width)}${doc}`);
  return [`Usage: npm run bench:${name} -- [options]`, ...lines].join('\n');
}
