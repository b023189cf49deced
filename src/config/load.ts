// Gathers option values from flags, environment, YAML file and defaults, in this order of precedence,
// and checks every one that was given, so that one run shows every mistake.

import { check, type Given } from './given.ts';
import { findMisfits } from './misfits.ts';
import { envName } from './option.ts';
import { type Config, OPTION_ENTRIES, OPTIONS, type OptionPath } from './schema.ts';
import { didYouMean } from './suggest.ts';
import { type FileValues, readYamlFile } from './yaml-file.ts';

/** Names the configuration file where no --config does. */
export const CONFIG_ENV = 'HEATSINK_CONFIG';

export interface Sources {
  /** Values by flag name without dashes, as typed; a list for a flag that was given several times. */
  readonly flags: Readonly<Record<string, string | readonly string[]>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The YAML file named by a flag; HEATSINK_CONFIG may name one otherwise. */
  readonly file?: string | undefined;
  /** Values from elsewhere, which win over all others. */
  readonly more?: readonly Given[];
}

/** What is wrong with the configuration: `lines` has one line for each problem, with its source. */
export class ConfigError extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.name = 'ConfigError';
    this.lines = lines;
  }
}

/** The checked configuration. Throws a ConfigError that lists every problem. */
export function loadConfig({ flags, env, file, more = [] }: Sources): Config {
  const fromFile = readFile(file, env);
  const problems = [...fromFile.problems, ...unknownEnvNames(env)];
  const sources = [fromFile.given, envValues(env), flagValues(flags), more].flat();

  const values = new Map<string, unknown>();
  for (const [path, option] of OPTION_ENTRIES) {
    const fallback: Given = { path, raw: option.default, source: () => 'default' };
    const given = sources.filter((candidate) => candidate.path === path);
    // The last to speak wins; the ones before it are checked all the same.
    for (const candidate of [fallback, ...given]) {
      const result = check(option, candidate);
      if ('value' in result) values.set(path, result.value);
      else problems.push(...result.problems);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const config = nest(values);
  const misfits = findMisfits(config).map(({ path, problem }) => `${sourceOf(path, sources)}: ${problem}`);
  if (misfits.length > 0) throw new ConfigError(misfits);
  if (config.auth === 'upstream' && config.users.length > 0)
    throw new ConfigError([
      'users and auth: upstream exclude each other: either heatsink checks passwords or the upstream',
    ]);
  return config;
}

/** Where the option's value is from; a default has no other place than its flag. */
function sourceOf(path: OptionPath, sources: readonly Given[]): string {
  return sources.findLast((given) => given.path === path)?.source([]) ?? `--${OPTIONS[path].flag}`;
}

function readFile(file: string | undefined, env: Sources['env']): FileValues {
  const name = file ?? env[CONFIG_ENV];
  if (!name) return { given: [], problems: [] };
  try {
    return readYamlFile(name);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'there is no such file' : message;
    const source = file === undefined ? `${CONFIG_ENV}: ` : '';
    throw new ConfigError([`${source}cannot read ${JSON.stringify(name)}: ${reason}`]);
  }
}

function flagValues(flags: Sources['flags']): Given[] {
  return OPTION_ENTRIES.flatMap(([path, { flag }]) =>
    flag !== null && flags[flag] !== undefined ? [{ path, raw: flags[flag], source: () => `--${flag}` }] : [],
  );
}

/** An empty variable counts as not set, as container files often leave them. */
function envValues(env: Sources['env']): Given[] {
  return OPTION_ENTRIES.flatMap(([path, { flag }]) => {
    const name = flag === null ? '' : envName(flag);
    return env[name] ? [{ path, raw: env[name], source: () => name }] : [];
  });
}

/** Kubernetes and Docker links set these in every container beside a service whose name starts with heatsink. */
const SERVICE_LINK = /^HEATSINK_(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)$/;

function unknownEnvNames(env: Sources['env']): string[] {
  const known = [
    CONFIG_ENV,
    ...OPTION_ENTRIES.flatMap(([, { flag }]) => (flag === null ? [] : envName(flag))),
  ];
  return Object.keys(env)
    .filter((name) => name.startsWith('HEATSINK_') && !known.includes(name) && !SERVICE_LINK.test(name))
    .map((name) => `${name}: unknown environment variable${didYouMean(name, known)}`);
}

function nest(values: ReadonlyMap<string, unknown>): Config {
  const config: Record<string, unknown> = {};
  for (const [path, value] of values) {
    const [first, second] = path.split('.');
    if (second === undefined) config[first] = value;
    else config[first] = { ...(config[first] as object), [second]: value };
  }
  return config as unknown as Config;
}
