#!/usr/bin/env node
// The command line: commands, flags, signals and exit codes.
// Exit codes: 0 after an orderly stop, 1 when heatsink cannot start or stop, 2 for a mistake in flags or configuration.

import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { Command, CommanderError } from 'commander';
import type { Logger } from 'pino';
import { hashPassword } from './access/password.ts';
import { addConfigFlags, readConfigFlags } from './config/flags.ts';
import { formatHostPort } from './config/host-port.ts';
import { addInvalidatorFlags, loadInvalidator } from './config/invalidator-flags.ts';
import { CONFIG_ENV, ConfigError, loadConfig } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { drainCommand } from './drain/command.ts';
import { checkHealth } from './healthcheck.ts';
import { createLog } from './log.ts';
import { rereader } from './reread.ts';
import { recordCommand, simulateCommand } from './simulate/command.ts';
import { topCommand } from './top/command.ts';

const EXIT_FAILURE = 1;
const EXIT_MISTAKE = 2;
/** Under npm a Ctrl-C arrives twice, from the terminal and from npm; only a later one is a second wish to stop. */
const SAME_SIGNAL_MS = 500;

const serve = addConfigFlags(
  new Command('serve')
    .description('run the proxy (the default command)')
    .optionsGroup('Configuration:')
    .option('--config <FILE>', 'YAML file with options (environment: HEATSINK_CONFIG)'),
)
  .addHelpText('after', '\nEvery flag has an environment variable: --hot-window is HEATSINK_HOT_WINDOW.')
  .action(async (options: { config?: string }) => {
    const { config: file = process.env[CONFIG_ENV] } = options;
    const load = () => loadConfig({ flags: readConfigFlags(serve), env: process.env, file });
    const config = load();
    await run(config, createLog(config.log), file === undefined ? null : load);
  });

const program = new Command('heatsink')
  .description('A Redis-protocol caching proxy that takes the heat of hot keys off the shard that owns them')
  .version(version())
  .addHelpText('after', () => `\n${serve.helpInformation()}`)
  .addCommand(serve, { isDefault: true });

program
  .command('demo')
  .description(
    'show what heatsink does: a Redis Cluster, a flash sale, and a line every second; Ctrl-C ends it',
  )
  .option('--seconds <N>', 'end by itself after that time', '0')
  .option('--listen <HOST:PORT>', 'where clients connect, as for serve')
  .option('--admin <HOST:PORT>', 'where metrics and hot keys are served, as for serve')
  .option('--workers <N>', 'worker threads, as for serve')
  .action(async ({ seconds, ...flags }: { seconds: string } & Record<string, string>) => {
    if (!/^\d+$/.test(seconds))
      throw new ConfigError([
        `--seconds: ${JSON.stringify(seconds)} is not accepted; accepted: a whole number`,
      ]);
    const config = loadConfig({ flags, env: {} });
    const end = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end.abort());
    const { runDemo } = await import('./demo/demo.ts');
    await runDemo({
      config,
      log: createLog({ ...config.log, level: 'warn' }),
      seconds: Number(seconds) || Number.POSITIVE_INFINITY,
      signal: end.signal,
      say: (line) => process.stdout.write(`${line}\n`),
    }).catch((error) => {
      throw new Error(startFailure(error, config), { cause: error });
    });
  });

addInvalidatorFlags(program.command('invalidator'))
  .description('delete keys through heatsink when rows change in PostgreSQL, which says so by NOTIFY')
  .action(async (flags: Record<string, string | string[]>) => {
    const config = loadInvalidator(flags, process.env);
    const log = createLog(config.log);
    const end = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end.abort());
    const { runInvalidator } = await import('./invalidator/command.ts');
    await runInvalidator(config, { log, version: version(), signal: end.signal }).catch((error) => {
      throw new Error(startFailure(error, config), { cause: error });
    });
    log.info('stopped');
    process.exit(0);
  });
program.addCommand(drainCommand());
program.addCommand(topCommand());
program.addCommand(simulateCommand());
program.addCommand(recordCommand());

program
  .command('check-config <FILE>')
  .description('check a YAML configuration file')
  .action((file: string) => {
    loadConfig({ flags: {}, env: {}, file });
    process.stdout.write(`${file}: ok\n`);
  });

program
  .command('healthcheck')
  .description('ask a running heatsink whether it is well; exit code 0 or 1')
  .option('--admin <HOST:PORT>', 'its admin server, as for serve (environment: HEATSINK_ADMIN)')
  .option('--config <FILE>', 'the YAML file that it runs with (environment: HEATSINK_CONFIG)')
  .option('--ready', 'whether it can serve clients, too')
  .action(async ({ admin, config: file, ready = false }: HealthFlags) => {
    const flags = admin === undefined ? {} : { admin };
    const at = loadConfig({ flags, env: process.env, file }).admin;
    if (at === null) throw new Error('the admin server is off: there is nobody to ask');
    process.stdout.write(`${await checkHealth(at, { ready })}\n`);
  });

interface HealthFlags {
  admin?: string;
  config?: string;
  ready?: boolean;
}

program
  .command('hash-password')
  .description('print the hash of the password on standard input, for users in the configuration')
  .action(async () => {
    if (process.stdin.isTTY) process.stderr.write('Password, then Enter: ');
    const password = await firstLine(process.stdin);
    if (password.length === 0) throw new Error('there is no password on standard input');
    process.stdout.write(`${hashPassword(password)}\n`);
  });

/** The bytes up to the line end, or all of them when there is none. */
async function firstLine(input: AsyncIterable<Buffer>): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of input) {
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.indexOf(10);
    if (end >= 0) return bytes.subarray(0, bytes[end - 1] === 13 ? end - 1 : end);
  }
  return bytes;
}

/** Serves until a signal asks to stop; ends the process itself. `load` reads the configuration again, if from a file. */
async function run(config: Config, log: Logger, load: (() => Config) | null): Promise<void> {
  let stop = async () => {};
  let stoppingSince: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppingSince === undefined) {
      stoppingSince = performance.now();
      log.info({ signal }, 'stopping');
      stop().then(() => process.exit(0), fail);
    } else if (performance.now() - stoppingSince > SAME_SIGNAL_MS) {
      log.warn({ signal }, 'stopping at once');
      process.exit(128 + constants.signals[signal]);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  let hungUp = false;
  let readAgain = () => {
    hungUp = true;
  };
  // With nothing to read again a hang-up ends heatsink, as it ends any program whose terminal closes.
  if (load !== null || config.tls.cert !== null || config.upstream?.tls)
    process.on('SIGHUP', () => readAgain());

  // Loaded here, so that help and checks of the configuration start fast.
  const { launchHeatsink } = await import('./heatsink.ts');
  const { ready, close } = launchHeatsink(config, { log });
  stop = close;
  const heatsink = await ready.catch((error) => {
    // Nobody waits any more for what a signal has ended.
    if (stoppingSince !== undefined) return new Promise<never>(() => {});
    throw new Error(startFailure(error, config), { cause: error });
  });
  readAgain = rereader(heatsink, config, log, load);
  if (hungUp) readAgain();
  const { address, tlsAddress, adminAddress: admin, workers } = heatsink;
  const tls = tlsAddress === null ? {} : { tls: tlsAddress };
  if (config.observe)
    log.warn('only observing: nothing is served from the tier, no reads are shared, no rule is followed');
  log.info({ address, ...tls, admin, workers }, 'heatsink is ready');
}

/** Says in a person's words why heatsink did not start. */
function startFailure(error: NodeJS.ErrnoException & { port?: number }, config: Config): string {
  const asked = { admin: config.admin, 'tls-listen': config.tls.listen, listen: config.listen };
  const [flag, at] = Object.entries(asked).find(([, named]) => named?.port === error.port) ?? [
    'listen',
    null,
  ];
  const address = `${formatHostPort(at ?? config.listen)} (--${flag})`;
  if (error.code === 'EADDRINUSE') return `cannot listen on ${address}: another program uses this address`;
  if (error.code === 'EACCES') return `cannot listen on ${address}: it is not allowed to this user`;
  if (error.code === 'EADDRNOTAVAIL') return `cannot listen on ${address}: this machine has no such address`;
  return `cannot start: ${error.message}`;
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
}

/** Prints what went wrong and ends the process. */
function fail(error: unknown): never {
  // commander has printed its message, or the help that was asked for, already.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : EXIT_MISTAKE);
  const lines =
    error instanceof ConfigError ? error.lines : [error instanceof Error ? error.message : `${error}`];
  for (const line of lines) process.stderr.write(`heatsink: ${line}\n`);
  process.exit(error instanceof ConfigError ? EXIT_MISTAKE : EXIT_FAILURE);
}

for (const command of [program, ...program.commands]) command.exitOverride();
await program.parseAsync().catch(fail);
