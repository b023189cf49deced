// The flags of `heatsink invalidator`: options of the schema by shorter names, as there is only one thing to configure,
// and with a heatsink in the place of the upstream.

import { type Command, Option as Flag } from 'commander';
import { INVALIDATOR_OPTIONS } from './invalidator-options.ts';
import { ConfigError, loadConfig } from './load.ts';
import { describeDefault, envName, type Option } from './option.ts';
import { type Config, OPTIONS } from './schema.ts';

interface OwnFlag {
  readonly flag: string;
  /** The flag that it is for `serve`. */
  readonly as: string;
  readonly argument: string;
  readonly doc: string;
  readonly otherwise: string;
}

const PREFIX = 'invalidator-';
/** Where the heatsink of this machine listens by default. */
const HEATSINK = 'redis://127.0.0.1:6380';
/** May be given several times. */
const LISTS = ['channel', 'delete'];
const SCHEMES = 'redis://[user[:password]@]host[:port][/db]; rediss in place of redis is TLS';

const flagOf = (flag: string, { flag: as, argument, doc, ...option }: Option): OwnFlag => ({
  flag,
  as: as ?? '',
  argument,
  doc,
  otherwise: describeDefault({ flag: as, argument, doc, ...option }),
});

const FLAGS: readonly OwnFlag[] = [
  {
    ...flagOf('heatsink', OPTIONS.upstream),
    doc: 'The heatsink that keys are deleted through',
    otherwise: HEATSINK,
  },
  ...Object.values(INVALIDATOR_OPTIONS).map((option) => flagOf(option.flag.slice(PREFIX.length), option)),
  {
    ...flagOf('tls-ca', OPTIONS['nodes.tlsCa']),
    doc: "Authorities that heatsink's certificate must come from",
  },
  { ...flagOf('tls-cert', OPTIONS['nodes.tlsCert']), doc: 'Certificate to show to heatsink' },
  flagOf('tls-key', OPTIONS['nodes.tlsKey']),
  {
    ...flagOf('tls-servername', OPTIONS['nodes.tlsServername']),
    doc: "Name expected in heatsink's certificate, instead of its host",
  },
  {
    ...flagOf('admin', OPTIONS.admin),
    doc: 'Where metrics and health are served over HTTP',
    otherwise: 'off',
  },
  flagOf('shutdown-timeout', OPTIONS.shutdownTimeout),
  flagOf('log-level', OPTIONS['log.level']),
  flagOf('log-pretty', OPTIONS['log.pretty']),
];

/** Of the address and password of heatsink. */
const HEATSINK_ENV = envName(`${PREFIX}heatsink`);

/** Gives the command its flags. */
export function addInvalidatorFlags(command: Command): Command {
  for (const { flag, argument, doc, otherwise } of FLAGS) {
    const option = new Flag(`--${flag} <${argument}>`, `${doc} (default: ${otherwise})`);
    if (LISTS.includes(flag))
      option.argParser((text: string, before?: string[]) => [...(before ?? []), text]);
    command.addOption(option);
  }
  const example = `${envName(`${PREFIX}postgres`)} and ${HEATSINK_ENV}`;
  return command.addHelpText('after', `\nPasswords are better kept in the environment: ${example}.`);
}

/**
 * The configuration, in which `upstream` is heatsink, from flags by the names that commander gives them and from the
 * environment. Throws a ConfigError that lists every problem.
 */
export function loadInvalidator(
  given: Readonly<Record<string, string | string[]>>,
  env: Readonly<Record<string, string | undefined>>,
): Config {
  const { [HEATSINK_ENV]: heatsink = HEATSINK, ...rest } = env;
  const flags: Record<string, string | readonly string[]> = { upstream: heatsink, admin: 'off' };
  for (const { flag, as } of FLAGS) {
    const value = given[flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
    if (value !== undefined) flags[as] = value;
  }
  // What else is in the environment may be for a heatsink that is started from the same place.
  const own = Object.entries(rest).filter(([name]) => /^HEATSINK_(INVALIDATOR|LOG)_/.test(name));
  try {
    const config = loadConfig({ flags, env: Object.fromEntries(own) });
    if (config.invalidator.postgres === null)
      throw new ConfigError(['--postgres is missing: the database to listen to']);
    if (config.upstream?.kind !== 'standalone')
      throw new ConfigError([`--upstream: it is no address of a heatsink; accepted: ${SCHEMES}`]);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.lines.map(inOwnWords));
  }
}

function inOwnWords(line: string): string {
  const own = (name: string) => FLAGS.find(({ as }) => `--${as}` === name)?.flag;
  return line.replace(/--[a-z-]+/g, (name) => (own(name) === undefined ? name : `--${own(name)}`));
}
