// The command lines of `heatsink simulate` and `heatsink record`.

import { Command } from 'commander';
import { CONFIG_ENV, ConfigError, loadConfig } from '../config/load.ts';
import { upstreamTls } from '../config/tls.ts';
import { bytes, integer } from '../config/types.ts';
import { FORMATS, type Format } from './trace.ts';

interface SimulateFlags {
  readonly set: readonly string[];
  readonly nodes?: string;
  readonly valueBytes: string;
  readonly format?: string;
  readonly json?: boolean;
}

const nodeCount = integer(1, 1000);
const valueSize = bytes(0, 512 * 2 ** 20);

export function simulateCommand(): Command {
  return new Command('simulate')
    .description('replay a trace against settings of detector and tier, and recommend one')
    .argument(
      '<TRACE>',
      'MONITOR output, a Twitter cache trace or a recording, plain or packed; - for standard input',
    )
    .option(
      '--set <NAME=V,V...>',
      'values to try of an option such as hot.threshold; again for others',
      (text: string, all: readonly string[]) => [...all, text],
      [],
    )
    .option('--nodes <N>', 'masters, with slots spread evenly (default: those of the recording, or 1)')
    .option('--value-bytes <SIZE>', 'size of replies of which the trace does not say', '1KiB')
    .option(`--format <${FORMATS.join('|')}>`, 'format of the trace, where it is not to be found out')
    .option('--json', 'the results as JSON')
    .action(run);
}

interface RecordFlags {
  readonly upstream?: string;
  readonly config?: string;
  readonly seconds: string;
}

const recordedSeconds = integer(1, 86_400);

export function recordCommand(): Command {
  return new Command('record')
    .description('write down what is asked of each master by MONITOR, without values, for simulate')
    .argument('<FILE>', 'the recording; packed if its name ends in .gz')
    .option('--upstream <URL>', 'as for serve (environment: HEATSINK_UPSTREAM)')
    .option(
      '--config <FILE>',
      'YAML file with the upstream and its certificates (environment: HEATSINK_CONFIG)',
    )
    .option('--seconds <N>', 'for how long; Ctrl-C ends it early', '10')
    .action(runRecord);
}

async function runRecord(
  file: string,
  { upstream, config: given, seconds: raw }: RecordFlags,
): Promise<void> {
  const problems: string[] = [];
  const seconds = read(recordedSeconds, '--seconds', raw, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const flags = upstream === undefined ? {} : { upstream };
  const config = loadConfig({ flags, env: process.env, file: given ?? process.env[CONFIG_ENV] });
  if (config.upstream === null) throw new ConfigError(['--upstream: it is not known what to record']);
  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end.abort());
  const { record } = await import('./record.ts');
  const requests = await record({
    upstream: config.upstream,
    tls: upstreamTls(config),
    sentinelLogin: { username: config.nodes.sentinelUsername, password: config.nodes.sentinelPassword },
    file,
    seconds,
    signal: end.signal,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(`${file}: ${requests} requests about keys\n`);
}

async function run(file: string, flags: SimulateFlags): Promise<void> {
  const problems: string[] = [];
  const nodes = flags.nodes === undefined ? null : read(nodeCount, '--nodes', flags.nodes, problems);
  const valueBytes = read(valueSize, '--value-bytes', flags.valueBytes, problems);
  const format = (flags.format ?? null) as Format | null;
  if (format !== null && !FORMATS.includes(format))
    problems.push(`--format: ${JSON.stringify(format)} is not accepted; accepted: ${FORMATS.join(', ')}`);
  if (problems.length > 0) throw new ConfigError(problems);
  const { simulate } = await import('./simulate.ts');
  const { settingsOf } = await import('./settings.ts');
  const settings = settingsOf(flags.set);
  const json = flags.json === true;
  const lines = await simulate({ file, format, settings, nodes, valueBytes, json });
  process.stdout.write(`${lines.join('\n')}\n`);
}

function read(
  type: typeof nodeCount | typeof valueSize,
  flag: string,
  raw: string,
  problems: string[],
): number {
  const result = type.safeParse(raw);
  if (result.success) return result.data;
  problems.push(`${flag}: ${JSON.stringify(raw)} is not accepted; accepted: ${type.description}`);
  return Number.NaN;
}
