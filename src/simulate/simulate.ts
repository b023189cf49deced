// `heatsink simulate`: what heatsink would do with the requests of a trace, by several settings at once.

import { ConfigError } from '../config/load.ts';
import { showProgress } from './progress.ts';
import { Replay } from './replay.ts';
import { report } from './report.ts';
import { resultsOf } from './results.ts';
import type { Setting } from './settings.ts';
import { type Format, readTrace } from './trace.ts';

export interface SimulateOptions {
  /** `-` for standard input. */
  readonly file: string;
  /** Null: to be found out. */
  readonly format: Format | null;
  readonly settings: readonly Setting[];
  /** Masters; null for those of the recording, or one. */
  readonly nodes: number | null;
  readonly valueBytes: number;
  readonly json: boolean;
}

/** The lines to be printed. Throws a ConfigError when the trace cannot be read, or has nothing to simulate. */
export async function simulate(options: SimulateOptions): Promise<string[]> {
  const { file, format, settings, valueBytes, json } = options;
  const name = file === '-' ? 'standard input' : file;
  let replay: Replay | null = null;
  let nodes = options.nodes ?? 1;
  const bar = showProgress(process.stderr);
  const info = await readTrace({
    file,
    format,
    seen(access, isRequest, { masters }) {
      if (replay === null) {
        nodes = options.nodes ?? masters ?? 1;
        replay = new Replay({ settings, nodes, valueBytes });
      }
      if (isRequest) replay.request(access);
      else replay.size(access);
    },
    progress: (read, total) => bar.update(read, total, replay?.requests ?? 0),
  }).finally(() => bar.stop());
  const done = replay as Replay | null;
  if (done === null || done.requests === 0)
    throw new ConfigError([`${name}: it has no requests about keys, in ${info.lines} lines`]);
  if (done.reads === 0)
    throw new ConfigError([`${name}: it has ${done.requests} writes and no reads: there is nothing to keep`]);
  done.end();
  const results = resultsOf(done, nodes);
  const { late, assumed } = done;
  if (json) {
    const { firstMalformed: first_malformed, lines, malformed, unrelated } = info;
    const trace = { name, format: info.format, lines, malformed, first_malformed, unrelated, late };
    return [JSON.stringify({ trace, value_bytes: assumed ? valueBytes : null, ...results }, null, 2)];
  }
  return report(results, { name, info, late, assumed: assumed ? valueBytes : null });
}
