// The command line without a proxy behind it: help, mistakes and their exit codes, and the private redis-server.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { describeDefault } from '../src/config/option.ts';
import { OPTION_ENTRIES } from '../src/config/schema.ts';
import { startEmbeddedRedis } from '../src/upstream/embedded.ts';
import { answersPing, waitFor } from './support/wait.ts';

const directory = mkdtempSync(join(tmpdir(), 'heatsink-cli-'));
const source = (path: string) => new URL(`../${path}`, import.meta.url);
const configFile = (text: string) => {
  const file = join(directory, 'h.yaml');
  writeFileSync(file, text);
  return file;
};

afterAll(() => rmSync(directory, { recursive: true }));

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function heatsink(args: string[], env: NodeJS.ProcessEnv = {}, input = ''): Promise<Ended> {
  const argv = [fileURLToPath(source('src/cli.ts')), ...args];
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env } };
    const child = execFile(process.execPath, argv, options, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

describe('help', () => {
  test.each([[['--help']], [['serve', '--help']], [['help', 'serve']]])(
    '%j lists every flag with its default',
    async (args) => {
      const { code, stdout, stderr } = await heatsink(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const words = stdout.replace(/\s+/g, ' ');
      for (const [, option] of OPTION_ENTRIES) {
        if (option.flag === null) continue;
        const argument = option.argument === 'on|off' ? '[on|off]' : `<${option.argument}>`;
        expect(words).toContain(
          `--${option.flag} ${argument} ${option.doc} (default: ${describeDefault(option)})`,
        );
      }
      expect(words).toContain('--config <FILE>');
    },
  );

  test('--version prints the version of the package', async () => {
    expect((await heatsink(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('a mistake ends with exit code 2 and a line that names its source', () => {
  test('in a flag', async () => {
    const { code, stderr } = await heatsink(['--workers', '0', '--listen', 'here']);
    expect(code).toBe(2);
    expect(stderr.trim().split('\n').sort()).toEqual([
      'heatsink: --listen: "here" is not accepted; accepted: HOST:PORT, such as 127.0.0.1:6380 or [::1]:6380',
      'heatsink: --workers: "0" is not accepted; accepted: auto or a whole number from 1 to 256',
    ]);
  });

  test('in the environment', async () => {
    const { code, stderr } = await heatsink(['serve'], { HEATSINK_LOG_LEVEL: 'loud', HEATSINK_WORKER: '1' });
    expect(code).toBe(2);
    expect(stderr).toContain(
      'heatsink: HEATSINK_LOG_LEVEL: "loud" is not accepted; accepted: fatal, error, warn',
    );
    expect(stderr).toContain(
      'heatsink: HEATSINK_WORKER: unknown environment variable (did you mean "HEATSINK_WORKERS"?)',
    );
  });

  test('in the YAML file, with line and column', async () => {
    const file = configFile('workers: 1\nhot:\n  window: 1s\n');
    const { code, stderr } = await heatsink(['serve', '--config', file]);
    expect(code).toBe(2);
    expect(stderr).toBe(
      `heatsink: ${file}:3:11: "1s" is not accepted; accepted: a whole number from 100 to 60000\n`,
    );
  });

  test('as an unknown flag, a missing value or a word too many', async () => {
    const unknown = await heatsink(['--hot-treshold', '5']);
    expect(unknown).toMatchObject({
      code: 2,
      stderr: "error: unknown option '--hot-treshold'\n(Did you mean --hot-threshold?)\n",
    });
    expect(await heatsink(['--upstream'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('argument missing'),
    });
    expect(await heatsink(['start'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('too many arguments'),
    });
  });
});

describe('check-config', () => {
  test('says ok for a good file, whatever the environment holds', async () => {
    const file = fileURLToPath(source('config.example.yaml'));
    const result = await heatsink(['check-config', file], { HEATSINK_WORKERS: 'none' });
    expect(result).toEqual({ code: 0, stdout: `${file}: ok\n`, stderr: '' });
  });

  test('lists every problem of a bad file and ends with exit code 2', async () => {
    const file = configFile('hots: 1\ntier:\n  ttl: 0\n');
    const { code, stdout, stderr } = await heatsink(['check-config', file]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.trim().split('\n')).toEqual([
      `heatsink: ${file}:1:1: unknown key "hots" (did you mean "hot"?)`,
      `heatsink: ${file}:3:8: 0 is not accepted; accepted: a whole number from 1 to 86400000`,
    ]);
  });

  test('says when there is no such file', async () => {
    const { code, stderr } = await heatsink(['check-config', '/no/such.yaml']);
    expect(code).toBe(2);
    expect(stderr).toBe('heatsink: cannot read "/no/such.yaml": there is no such file\n');
  });
});

describe('hash-password', () => {
  test('prints what users in the configuration take, of the first line of its input', async () => {
    for (const input of ['secret\n', 'secret', 'secret\r\nmore\n']) {
      const { stdout } = await heatsink(['hash-password'], {}, input);
      expect(stdout).toBe('#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n');
    }
    expect(await heatsink(['hash-password'])).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('the private redis-server', () => {
  const log = pino({ level: 'silent' });
  const children: ChildProcess[] = [];

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  /** Another process that starts a server, tells about it and then does as `then` says. */
  async function startElsewhere(then: string): Promise<{ parent: ChildProcess; server: Server }> {
    const script = `
      import { pino } from 'pino';
      const { startEmbeddedRedis } = await import(${JSON.stringify(source('src/upstream/embedded.ts').href)});
      process.on('SIGINT', () => {});
      console.log((await startEmbeddedRedis({ log: pino({ level: 'silent' }) })).url);
      ${then}`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: fileURLToPath(source('.')),
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(parent);
    const [line] = await once(parent.stdout as NodeJS.EventEmitter, 'data');
    return { parent, server: await look(String(line).trim()) };
  }

  interface Server {
    port: number;
    pid: number;
    directory: string;
  }

  async function look(url: string): Promise<Server> {
    const client = new Redis(url);
    const [, dir] = (await client.config('GET', 'dir')) as string[];
    const info = await client.info('server');
    client.disconnect();
    return {
      port: Number(new URL(url).port),
      pid: Number(/process_id:(\d+)/.exec(info)?.[1]),
      directory: dir,
    };
  }

  // Not by the process id: what nobody waits for stays in the process table for a while after its end.
  const isGone = async ({ port, directory: dir }: Server) => !(await answersPing(port)) && !existsSync(dir);

  test('serves on loopback, keeps nothing and is gone with its directory after close', async () => {
    const { url, close } = await startEmbeddedRedis({ log });
    const client = new Redis(url);
    expect(await client.set('k', 'v')).toBe('OK');
    expect(await client.config('GET', 'save')).toEqual(['save', '']);
    expect(await client.config('GET', 'bind')).toEqual(['bind', '127.0.0.1']);
    client.disconnect();
    const server = await look(url);
    expect(await isGone(server)).toBe(false);
    await close();
    expect(await isGone(server)).toBe(true);
  });

  test('two at a time do not disturb each other', async () => {
    const servers = await Promise.all([startEmbeddedRedis({ log }), startEmbeddedRedis({ log })]);
    const [first, second] = await Promise.all(servers.map(({ url }) => look(url)));
    expect(first.pid).not.toBe(second.pid);
    await servers[0].close();
    expect([await isGone(first), await isGone(second)]).toEqual([true, false]);
    await servers[1].close();
    expect(await isGone(second)).toBe(true);
  });

  test('is gone after SIGKILL of the process that started it', async () => {
    const { parent, server } = await startElsewhere('setInterval(() => {}, 1000);');
    parent.kill('SIGKILL');
    await waitFor(() => isGone(server), 5000);
  });

  test('is gone after an uncaught exception and after process.exit', async () => {
    for (const then of [
      'setTimeout(() => process.exit(), 300);',
      'setTimeout(() => { throw null; }, 300);',
    ]) {
      const { parent, server } = await startElsewhere(then);
      expect(await isGone(server)).toBe(false);
      await once(parent, 'exit');
      await waitFor(() => isGone(server), 1000);
    }
  });

  test('is left alone by a Ctrl-C on the terminal of its parent', async () => {
    const { parent, server } = await startElsewhere('setInterval(() => {}, 1000);');
    process.kill(-(parent.pid as number), 'SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await isGone(server)).toBe(false);
    parent.kill('SIGKILL');
    await waitFor(() => isGone(server), 5000);
  });

  test('is asked for in clear words where redis-server is not installed', async () => {
    const path = process.env.PATH;
    process.env.PATH = directory;
    try {
      await expect(startEmbeddedRedis({ log })).rejects.toThrow(
        /not on the PATH.*apt-get install redis-server/,
      );
    } finally {
      process.env.PATH = path;
    }
  });
});
