// What is different in a configuration that was read again.

import { isDeepStrictEqual } from 'node:util';
import { type LiveOptions, optionText, optionValue } from './live.ts';
import type { Option } from './option.ts';
import { type Config, OPTION_ENTRIES, type OptionPath } from './schema.ts';

export interface Changes {
  /** Those that heatsink can take while it runs, with their new values as CONFIG SET takes them. */
  readonly live: readonly (readonly [OptionPath, string])[];
  /** Those that only a restart brings. */
  readonly fixed: readonly OptionPath[];
  readonly said: Said;
}

/** What each option was and is, for people; secrets are masked. */
export type Said = Readonly<Record<string, string>>;

export function changesBetween(before: Config, after: Config): Changes {
  const changed = OPTION_ENTRIES.filter(
    ([path]) => !isDeepStrictEqual(optionValue(before, path), optionValue(after, path)),
  );
  const isLive = ([, option]: readonly [OptionPath, Option]) => option.live === true;
  const names = (entries: typeof changed) => entries.map(([path]) => path);
  const live = names(changed.filter(isLive));
  return {
    live: live.map((path) => [path, optionText(after, path)] as const),
    fixed: names(changed.filter((entry) => !isLive(entry))),
    said: Object.fromEntries(
      live.map((path) => [path, `${optionText(before, path)} -> ${optionText(after, path)}`]),
    ),
  };
}

/** The same options; each change that comes through them is said. */
export function sayingChanges(options: LiveOptions, say: (said: Said) => void): LiveOptions {
  return {
    ...options,
    set(pairs) {
      const before = pairs.map(([name]) => options.get(name));
      const refusal = options.set(pairs);
      if (refusal === null)
        say(Object.fromEntries(pairs.map(([name], i) => [name, `${before[i]} -> ${options.get(name)}`])));
      return refusal;
    },
  };
}
