// Where the commands of the project's pages run: a fresh checkout for each section, with real servers in the places of
// those that the pages name, and free ports in the places of heatsink's own.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createAuthority } from './certificates.ts';
import { temporaryDir } from './children.ts';
import { describeProxy, spawnProxy } from './heatsink-process.ts';
import { type Block, ROOT } from './pages.ts';
import { startPostgres } from './postgres.ts';
import { startCluster, startRedis } from './redis.ts';
import { startWatched } from './sentinel.ts';
import { fits, type Step, stepsOf } from './transcripts.ts';
import { freePort, waitFor } from './wait.ts';

/** What only a section's end, or its next command of this kind, ends. */
const STAYS =
  /^(?:\w+=\S+ )*(npm start|(npm run -s heatsink --|heatsink) (serve|demo|invalidator|drain)\b)(?!.*--(once|dry-run|print-sql|help))/s;
/** What such a command says when it is there, where the page does not show it. */
const READY = /is ready|"draining"|: draining|listening to PostgreSQL/;
/** A complaint is shown: the command fails. */
const COMPLAINT = /^heatsink: /;
/** How long a command that stays may take to say what the page shows, in milliseconds. */
const PATIENCE = 60_000;
/** What may be asked again, and how often. */
const READS = /^(sleep \d+; )?curl -s '?localhost\S*$/;
const RETRIES = 3;

export interface Stage {
  /** Runs the blocks of a section in order. Throws with the output of a command that does not do as printed. */
  play(blocks: readonly Block[]): Promise<void>;
  /** The text with what stands here for the servers that it names. */
  standIn(text: string): string;
  close(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const folder = temporaryDir('pages');
  const source = copyOfProject(join(folder, 'source'));
  const authority = createAuthority();
  const tls = { ca: authority.ca, ...authority.issue('server') };
  const [single, cluster, watched, secure, postgres] = await Promise.all([
    startRedis(),
    startCluster(),
    startWatched({ replicas: 0, sentinels: 1 }),
    startRedis({ tls, args: ['--tls-auth-clients', 'no'] }),
    startPostgres(),
  ]);
  await postgres.query('CREATE DATABASE shop');
  // The one that runs already where a section starts none.
  const shared = await spawnProxy({ upstream: single.url, flags: { workers: '2' } });
  const upstreams: [string | RegExp, string][] = [
    ['<this repository>', source],
    [/redis\+cluster:\/\/10\.0\.0\.[\d.:,]*\d(?=[\s,]|$)/g, cluster.url],
    [/redis\+sentinel:\/\/10\.0\.0\.[\d.:,/]*\/mymaster/g, watched.url],
    ['rediss://10.0.0.5:6379', `rediss://127.0.0.1:${secure.port}`],
    [/(redis:\/\/)?(10\.0\.0\.5|127\.0\.0\.1):6379/g, single.url],
    ['postgres://app@10.0.0.9/', `postgres://postgres@127.0.0.1:${postgres.port}/`],
  ];
  const standIn = (text: string) =>
    upstreams.reduce((done, [named, here]) => done.replaceAll(named, here), text);
  const scenes = new Set<Scene>();
  const env = {
    ...process.env,
    HEATSINK_LOG_PRETTY: 'on',
    HEATSINK_WORKERS: '2',
    // redis-cli prints as on a terminal.
    ...{ NO_COLOR: '1', FAKETTY: '1', npm_config_update_notifier: 'false' },
    ...{ PGHOST: '127.0.0.1', PGPORT: `${postgres.port}`, PGUSER: 'postgres' },
    PATH: `${join(source, 'bin')}:${process.env.PATH}`,
  };

  return {
    standIn,
    async play(blocks) {
      const own = blocks.some(
        ({ language, lines }) => language === 'console' && stepsOf(lines).some(startsHeatsink),
      );
      const at = own ? describeProxy('127.0.0.1', await freePort(), await freePort()) : shared;
      const scene = new Scene({
        folder: temporaryDir('page'),
        source,
        env,
        standIn: (text) =>
          standIn(text)
            .replaceAll(/\b6380\b/g, `${at.port}`)
            .replaceAll(/\b9380\b/g, `${at.adminPort}`),
        own: own ? at : null,
        fresh: blocks.some(({ lines }) => lines.some((line) => line.startsWith('$ git clone'))),
        ca: authority.ca,
      });
      scenes.add(scene);
      try {
        for (const block of blocks) await scene.play(block);
      } finally {
        await scene.close();
        scenes.delete(scene);
      }
    },
    async close() {
      await Promise.all([...scenes].map((scene) => scene.close()));
      await shared.close();
      await Promise.all([single, cluster, watched, secure, postgres].map((server) => server.stop()));
      authority.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const fails = ({ printed }: Step) => COMPLAINT.test(printed[0] ?? '');
const stays = (step: Step) => STAYS.test(step.command) && !fails(step);
const startsHeatsink = (step: Step) => stays(step) && !/ (invalidator|drain)\b/.test(step.command);

/** The files of the working tree as a repository that can be cloned, and the command `heatsink` in its bin/. */
function copyOfProject(source: string): string {
  const left = new Set(['node_modules', 'dist', '.git'].map((name) => join(ROOT, name)));
  cpSync(ROOT, source, { recursive: true, filter: (path) => !left.has(path) });
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  for (const args of [
    ['init', '-q'],
    ['add', '-A'],
    [...who, 'commit', '-qm', 'copy'],
  ])
    execFileSync('git', args, { cwd: source, stdio: 'pipe' });
  mkdirSync(join(source, 'bin'));
  const script = `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, 'src/cli.ts')} "$@"\n`;
  writeFileSync(join(source, 'bin', 'heatsink'), script, { mode: 0o755 });
  return source;
}

interface SceneOptions {
  readonly folder: string;
  readonly source: string;
  readonly env: NodeJS.ProcessEnv;
  readonly standIn: (text: string) => string;
  /** Where a heatsink of its own comes to; null where it finds one running. */
  readonly own: { readonly port: number; readonly adminPort: number } | null;
  /** Begins in an empty folder. */
  readonly fresh: boolean;
  readonly ca: string;
}

/** One section: a folder, and what stays running in it. */
class Scene {
  readonly #options: SceneOptions;
  #cwd: string;
  #staying: Running | null = null;

  constructor(options: SceneOptions) {
    const { folder, source, fresh, ca } = options;
    this.#options = options;
    this.#cwd = fresh ? folder : join(folder, 'heatsink');
    if (fresh) return;
    execFileSync('git', ['clone', '-q', source, this.#cwd], { stdio: 'pipe' });
    copyFileSync(ca, join(this.#cwd, 'ca.crt'));
  }

  async play(block: Block): Promise<void> {
    const { language, lines, file, first } = block;
    const { standIn } = this.#options;
    if (file !== null) writeFileSync(join(this.#cwd, file), standIn(`${lines.join('\n')}\n`));
    if (first !== null) await this.#run({ command: first, printed: [] });
    if (language === 'sql') {
      const args = ['-qv', 'ON_ERROR_STOP=1', '-c', lines.join('\n'), 'shop'];
      execFileSync('psql', args, { env: this.#options.env, stdio: 'pipe' });
    }
    if (language !== 'console') return;
    for (const step of stepsOf(lines)) await this.#run(step);
  }

  async #run(step: Step, retries = RETRIES): Promise<void> {
    const { command, printed } = step;
    const here = `${this.#options.standIn(command)}${this.#ports(command)}`;
    this.#lendPackages();
    if (stays(step)) await this.#staying?.end();
    const running = start(here, this.#cwd, this.#environment());
    const said = () => `${command}\n\nprinted, instead of what the page says:\n${running.output()}`;
    if (stays(step)) {
      this.#staying = running;
      const there = () =>
        printed.length > 0 ? fits(printed, running.output(), true) : READY.test(running.output());
      await waitFor(() => there() || running.ended(), PATIENCE).catch(() => {});
      if (!there()) throw new Error(said());
      return;
    }
    const code = await running.exited;
    const right = printed.length === 0 || fits(printed, running.output().replace(/\0.*\n/, ''));
    // Whoever is too early asks again.
    if (!right && READS.test(command) && retries > 0) return this.#run(step, retries - 1);
    const cwd = /\0(.*)\n/.exec(running.output())?.[1];
    if (cwd !== undefined) this.#cwd = cwd;
    if ((code !== 0) !== fails(step)) throw new Error(`${said()}\nexit code ${code}`);
    if (!right) throw new Error(said());
  }

  /** The demo takes nothing from the environment. */
  #ports(command: string): string {
    const { own } = this.#options;
    const demo = own !== null && / demo\b/.test(command);
    return demo ? ` --listen 127.0.0.1:${own.port} --admin 127.0.0.1:${own.adminPort}` : '';
  }

  /** A section's own heatsink comes to its own ports by itself. */
  #environment(): NodeJS.ProcessEnv {
    const { env, own } = this.#options;
    if (own === null) return env;
    const [listen, admin] = [`127.0.0.1:${own.port}`, `127.0.0.1:${own.adminPort}`];
    return { ...env, HEATSINK_LISTEN: listen, HEATSINK_ADMIN: admin };
  }

  /**
   * What npm would install there is what is installed here. A link for each package and not one for all: should npm find
   * something missing, it installs anew and removes what was there, which are links then.
   */
  #lendPackages(): void {
    const lock = join(this.#cwd, 'package-lock.json');
    const modules = join(this.#cwd, 'node_modules');
    const installed = join(ROOT, 'node_modules');
    if (!existsSync(lock) || existsSync(modules)) return;
    mkdirSync(modules);
    const names = readdirSync(installed);
    for (const name of names.filter((each) => !each.startsWith('.')))
      symlinkSync(join(installed, name), join(modules, name));
    // What npm writes into stays its own.
    for (const name of ['.bin', '.package-lock.json'])
      cpSync(join(installed, name), join(modules, name), { recursive: true, verbatimSymlinks: true });
  }

  async close(): Promise<void> {
    await this.#staying?.end();
    rmSync(this.#options.folder, { recursive: true, force: true });
  }
}

interface Running {
  output(): string;
  ended(): boolean;
  readonly exited: Promise<number>;
  /** As by Ctrl-C. */
  end(): Promise<void>;
}

const groups = new Set<ChildProcess>();
process.on('exit', () => {
  for (const { pid } of groups) if (pid !== undefined) process.kill(-pid, 'SIGKILL');
});

/** Runs it in a shell and process group of its own. Its last word is where it ended up: `\0` and a folder. */
function start(command: string, cwd: string, env: NodeJS.ProcessEnv): Running {
  const shell = spawn('bash', ['-c', `${command}\ncode=$?; printf '\\0%s\\n' "$PWD"; exit $code`], {
    ...{ cwd, env, detached: true },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  groups.add(shell);
  let text = '';
  let ended = false;
  for (const stream of [shell.stdout, shell.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  const exited = new Promise<number>((resolve) => {
    shell.on('close', (code) => {
      groups.delete(shell);
      ended = true;
      resolve(code ?? 1);
    });
  });
  return {
    exited,
    output: () => text,
    ended: () => ended,
    async end() {
      if (ended || shell.pid === undefined) return;
      process.kill(-shell.pid, 'SIGINT');
      await exited;
    },
  };
}
