// The options while heatsink runs: what CONFIG GET shows of them, and those that CONFIG SET can change. A change
// holds until heatsink ends; it is not written to any file.

import { check } from './given.ts';
import { formatHostPort, type HostPort } from './host-port.ts';
import type { Option } from './option.ts';
import { type Config, OPTION_ENTRIES, OPTIONS, type OptionPath, type OptionValue } from './schema.ts';
import { formatUpstream, type Upstream } from './upstream-url.ts';

/** Options that are marked `live` in the schema. */
export type LivePath = {
  [Path in OptionPath]: (typeof OPTIONS)[Path] extends { readonly live: true } ? Path : never;
}[OptionPath];

/** How each of them takes effect: one function for every option that is marked, or it does not compile. */
export type Appliers = { readonly [Path in LivePath]: (value: OptionValue<Path>) => void };

export interface LiveOptions {
  readonly names: readonly OptionPath[];
  /** The value as it could stand in a file, secrets masked; empty for an option that has none. */
  get(name: OptionPath): string;
  /** Takes new values, all or none; else the first that is refused and why, in the manner of Redis. */
  set(pairs: readonly (readonly [OptionPath, string])[]): { name: string; reason: string } | null;
}

const SECRET = '***';

export function liveOptions(config: Config, appliers: Appliers): LiveOptions {
  const values = new Map(OPTION_ENTRIES.map(([path]) => [path, optionValue(config, path)]));

  const shown = (name: OptionPath) => textOf(name, values.get(name));

  function read(name: OptionPath, raw: string): { value: unknown } | { reason: string } {
    const option: Option = OPTIONS[name];
    // As it is already: whoever sets back all that CONFIG GET gave changes nothing.
    if (option.live !== true && raw === shown(name)) return { value: values.get(name) };
    if (option.live !== true)
      return { reason: "can't set immutable config: it needs a restart of heatsink with the new value" };
    const result = check(option, { path: name, raw, source: () => name });
    return 'value' in result ? result : { reason: `argument must be ${option.type.description}` };
  }

  return {
    names: OPTION_ENTRIES.map(([path]) => path),
    get: shown,
    set(pairs) {
      const checked = pairs.map(([name, raw]) => ({ name, ...read(name, raw) }));
      for (const result of checked) {
        if ('reason' in result) return { name: result.name, reason: result.reason };
      }
      for (const result of checked) {
        if (!('value' in result)) continue;
        values.set(result.name, result.value);
        (appliers as Partial<Record<OptionPath, (value: unknown) => void>>)[result.name]?.(result.value);
      }
      return null;
    },
  };
}

/** The same as it could stand in a file, secrets masked; empty for an option that has none. */
export function optionText(config: Config, path: OptionPath): string {
  return textOf(path, optionValue(config, path));
}

function textOf(path: OptionPath, value: unknown): string {
  const text = show(value);
  return isSecret(path) && text !== '' ? SECRET : text;
}

function isSecret(path: OptionPath): boolean {
  const option: Option = OPTIONS[path];
  return option.secret === true;
}

/** What an option is in a configuration. */
export function optionValue(config: Config, path: OptionPath): unknown {
  return path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)?.[key], config);
}

function show(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value !== 'object') return `${value}`;
  if ('nodes' in value) return formatUpstream(value as Upstream);
  if ('host' in value && 'port' in value) return formatHostPort(value as HostPort);
  return JSON.stringify(value, (key, inner) => (/password|secret/i.test(key) ? SECRET : inner));
}
