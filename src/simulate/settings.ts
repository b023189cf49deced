// The settings that are tried: every combination of the values that some options are given.

import { check } from '../config/given.ts';
import { ConfigError } from '../config/load.ts';
import { OPTIONS, type OptionPath } from '../config/schema.ts';
import { didYouMean } from '../config/suggest.ts';

/** What is tried where `--set` says nothing else. */
const TRIED = {
  'hot.threshold': ['100', '500', '2000'],
  'hot.window': [],
  'hot.steps': [],
  'hot.cool': [],
  'hot.candidates': [],
  'tier.ttl': ['1000', '60000'],
  'tier.maxBytes': ['1MiB', '64MiB'],
  'tier.maxEntryBytes': ['256KiB'],
  'tier.minHits': [],
} as const satisfies Partial<Record<OptionPath, readonly string[]>>;

export type Tunable = keyof typeof TRIED;
export const TUNABLES = Object.keys(TRIED) as Tunable[];

/** Each costs about 2 MiB, and its share of the time. */
const SETTINGS_MAX = 256;

/** One value for each tunable option, and how a person would write those that differ between settings or were given. */
export interface Setting {
  readonly values: Readonly<Record<Tunable, number>>;
  readonly written: Readonly<Partial<Record<Tunable, string>>>;
}

/** All combinations, by arguments such as `hot.threshold=100,500`. Throws a ConfigError that lists every problem. */
export function settingsOf(given: readonly string[]): Setting[] {
  const problems: string[] = [];
  const tried = new Map<Tunable, readonly string[]>(TUNABLES.map((name) => [name, TRIED[name]]));
  for (const text of given) {
    const [, name = '', list = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    if (!TUNABLES.includes(name as Tunable)) {
      const known = didYouMean(name, TUNABLES);
      problems.push(
        `--set ${text}: not accepted${known}; accepted: NAME=VALUE[,VALUE...] of ${TUNABLES.join(', ')}`,
      );
    } else {
      tried.set(name as Tunable, [...new Set(list.split(',').map((value) => value.trim()))]);
    }
  }
  let settings: Setting[] = [{ values: {} as Record<Tunable, number>, written: {} }];
  for (const [name, list] of tried) {
    const raws = list.length > 0 ? list : [`${OPTIONS[name].default}`];
    const values = raws.map((raw) => checked(name, raw, problems));
    settings = settings.flatMap(({ values: others, written }) =>
      values.map((value, i) => ({
        values: { ...others, [name]: value },
        written: list.length > 0 ? { ...written, [name]: raws[i] } : written,
      })),
    );
    if (settings.length > SETTINGS_MAX)
      throw new ConfigError([`--set: more than ${SETTINGS_MAX} combinations`]);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return settings;
}

function checked(name: Tunable, raw: string, problems: string[]): number {
  const result = check(OPTIONS[name], { path: name, raw, source: () => `--set ${name}` });
  if ('value' in result) return result.value as number;
  problems.push(...result.problems);
  return Number.NaN;
}
