// The command `heatsink drain`. Its flags say the same as `drain` in the YAML file; those of a job stand for the one
// job that is to be done in place of those in the file.

import { Command } from 'commander';
import type { Given } from '../config/given.ts';
import { formatHostPort } from '../config/host-port.ts';
import { CONFIG_ENV, ConfigError, loadConfig } from '../config/load.ts';
import type { Config, OptionPath } from '../config/schema.ts';
import { upstreamTls } from '../config/tls.ts';
import { createLog } from '../log.ts';
import type { DrainPlan } from './drain.ts';

type Flags = Readonly<Record<string, string | boolean | undefined>>;

const OPTIONS: Readonly<Record<string, readonly [argument: string, path: OptionPath, doc: string]>> = {
  redis: ['URL', 'drain.redis', 'where the hashes are, heatsink itself if you like; else the upstream'],
  to: ['URL', 'drain.to', 'the database: postgres://, mysql:// or mariadb://'],
  every: ['TIME', 'drain.every', 'time between rounds (default: 10s)'],
  admin: ['HOST:PORT|off', 'drain.admin', 'where metrics and health are served (default: off)'],
};

const JOB: Readonly<Record<string, readonly [argument: string, key: string, doc: string]>> = {
  from: [
    'PATTERN',
    'from',
    'keys of the hashes, such as views:{day}: the part in braces goes to that column',
  ],
  table: ['NAME', 'table', 'table that is added to'],
  'key-column': ['NAME', 'keyColumn', 'column for the fields of the hashes'],
  column: ['NAME', 'column', 'column that the values are added to'],
  name: ['NAME', 'name', 'name of the job (default: that of the table)'],
};

/** The command, ready to be added to a program. */
export function drainCommand(): Command {
  const command = new Command('drain')
    .description('add counters that are gathered in Redis hashes to a SQL table, exactly once')
    .option('--config <FILE>', 'YAML file with options (environment: HEATSINK_CONFIG)');
  for (const [flag, [argument, , doc]] of Object.entries({ ...OPTIONS, ...JOB })) {
    command.option(`--${flag} <${argument}>`, doc);
  }
  return command
    .option('--decimals', 'values may have decimals, as HINCRBYFLOAT leaves them')
    .option('--once', 'one round; exit code 1 when something failed')
    .option('--dry-run', 'say what a round would do, and change nothing')
    .option('--print-sql', "print the SQL of heatsink's own tables, for who may not let it make them")
    .option('--log-level <LEVEL>', 'as for serve')
    .option('--log-pretty <on|off|auto>', 'as for serve')
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const config = readConfig(flags);
  const { runDrain, runDryRun } = await import('./drain.ts');
  if (flags.printSql === true) {
    const { tablesFor } = await import('./connect-database.ts');
    process.stdout.write(await tablesFor(databaseOf(config).dialect));
    return;
  }
  const plan = makePlan(config);
  if (flags.dryRun === true) {
    await runDryRun(plan, (line) => process.stdout.write(`${line}\n`));
    return;
  }
  const log = createLog(config.log);
  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping after the batch that is running');
      end.abort();
    });
  }
  const { createStatus } = await import('./status.ts');
  const status = createStatus();
  const { admin } = config.drain;
  const served =
    admin === null
      ? null
      : await status.listen(admin).catch((error) => {
          throw new Error(`cannot listen on ${formatHostPort(admin)} (--admin): ${error.message}`);
        });
  const jobs = plan.jobs.map(({ name }) => name);
  log.info({ jobs, every: plan.every, ...(served && { admin: served.address }) }, 'draining');
  const once = flags.once === true;
  const well = await runDrain({ plan, status, log, signal: end.signal, once });
  served?.close();
  process.exit(well || !once ? 0 : 1);
}

/** Reads the file, the environment and the flags. Throws a ConfigError that lists every problem. */
function readConfig(flags: Flags): Config {
  const shared = ['log-level', 'log-pretty'] as const;
  const forAll = shared.flatMap((flag) => {
    const value = flags[camel(flag)];
    return typeof value === 'string' ? [[flag, value] as const] : [];
  });
  const { config: file = process.env[CONFIG_ENV] } = flags;
  const own = Object.entries(OPTIONS).flatMap(([flag, [, path]]): Given[] => {
    const raw = flags[camel(flag)];
    return raw === undefined ? [] : [{ path, raw, source: () => `--${flag}` }];
  });
  return loadConfig({
    flags: Object.fromEntries(forAll),
    env: process.env,
    file: file === undefined ? undefined : `${file}`,
    more: [...own, ...jobOf(flags)],
  });
}

/** The job that flags speak of, as it would stand in the file. */
function jobOf(flags: Flags): Given[] {
  const keys = Object.entries(JOB).map(([flag, [, key]]) => ({ flag, key, value: flags[camel(flag)] }));
  const given = keys.filter(({ value }) => value !== undefined);
  if (given.length === 0 && flags.decimals === undefined) return [];
  const job = Object.fromEntries(given.map(({ key, value }) => [key, value]));
  const source = ([, part]: readonly PropertyKey[]) =>
    `--${keys.find(({ key }) => key === part)?.flag ?? given[0]?.flag ?? 'decimals'}`;
  return [{ path: 'drain.jobs', raw: [{ ...job, decimals: flags.decimals === true }], source }];
}

function makePlan(config: Config): DrainPlan {
  const { every, maxFields, keepBatches, jobs } = config.drain;
  const redis = config.drain.redis ?? config.upstream;
  const to = databaseOf(config);
  const missing = [
    ...(redis === null ? ['no Redis is named: use --redis, or drain.redis in the file'] : []),
    ...(jobs.length === 0
      ? ['there is no job: use --from and what goes with it, or drain.jobs in the file']
      : []),
  ];
  if (missing.length > 0 || redis === null) throw new ConfigError(missing);
  const { sentinelUsername: username, sentinelPassword: password } = config.nodes;
  const place = {
    to: redis,
    tls: upstreamTls({ ...config, upstream: redis }),
    sentinelLogin: { username, password },
  };
  return { redis: place, to, every, maxFields, keepBatches, jobs };
}

function databaseOf({ drain }: Config) {
  if (drain.to === null) throw new ConfigError(['no database is named: use --to, or drain.to in the file']);
  return drain.to;
}

const camel = (flag: string) => flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
