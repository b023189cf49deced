// redis-cli in the common scenario: one process that gets commands line by line and prints JSON, and others for
// what it does as a tool.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { temporaryDir } from './children.ts';
import {
  BUMP,
  type Command,
  type OnMessage,
  type ScenarioClient,
  type ScenarioKind,
  texts,
} from './scenario-client.ts';

const run = promisify(execFile);
const OPTIONS = { maxBuffer: 64 * 1024 * 1024 };

export const REDIS_CLI: readonly ScenarioKind[] = [
  { name: 'redis-cli -2', open: (port) => wrap(port, ['-2']) },
  { name: 'redis-cli -3', open: (port) => wrap(port, ['-3']) },
  { name: 'redis-cli -c', clusterMode: true, lacks: ['select'], open: (port) => wrap(port, ['-c', '-2']) },
];

/** What it prints as it is, whatever the format. */
const isRaw = ([name, what]: Command): boolean =>
  /^info$/i.test(String(name)) || (/^client$/i.test(String(name)) && /^(list|info)$/i.test(String(what)));

async function wrap(port: number, flags: string[]): Promise<ScenarioClient> {
  const base = ['-p', `${port}`, ...flags];
  const session = new CliSession([...base, '--quoted-json']);
  const ask = async (args: Command) => {
    if (isRaw(args)) return (await run('redis-cli', [...base, ...args.map(String)], OPTIONS)).stdout;
    return session.ask(args);
  };
  return {
    call: async (...args) => texts(await ask(args)),
    bytes: async (...args) => Buffer.from(String(await session.ask(args)), 'latin1'),
    pipeline: (commands) =>
      Promise.all(commands.map((command) => ask(command).then(texts, (error: Error) => error))),
    async transaction(watched, before, commands) {
      if (watched.length > 0) await session.ask(['WATCH', ...watched]);
      await before();
      await session.ask(['MULTI']);
      for (const command of commands) await session.ask(command);
      const replies = await session.ask(['EXEC']);
      return replies === null ? null : texts(replies);
    },
    async subscribe(kind, name, onMessage) {
      const subscriber = new CliSession([...base, '--quoted-json']);
      await subscriber.subscribe(kind, name, onMessage);
      return async () => subscriber.close();
    },
    async bump(key, by) {
      const dir = temporaryDir('script');
      const file = join(dir, 'bump.lua');
      writeFileSync(file, BUMP);
      const args = [...base, '--json', '--eval', file, key, ',', by];
      const { stdout } = await run('redis-cli', args).finally(() => rmSync(dir, { recursive: true }));
      return texts(JSON.parse(stdout));
    },
    async scan(pattern) {
      const { stdout } = await run('redis-cli', [...base, '--scan', '--pattern', pattern], OPTIONS);
      return stdout.split('\n').filter((line) => line !== '');
    },
    get: async (key) => (await session.ask(['GET', key])) as string | null,
    another: () => wrap(port, flags),
    close: () => session.close(),
  };
}

/** One process, one connection: a line in, a line of JSON out. */
class CliSession {
  readonly #process: ChildProcess;
  readonly #waiting: { resolve: (reply: unknown) => void; reject: (error: Error) => void }[] = [];
  #onPush: ((reply: unknown) => void) | null = null;

  constructor(args: string[]) {
    this.#process = spawn('redis-cli', args, { stdio: 'pipe' });
    createInterface({ input: this.#process.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (line !== '' && !line.startsWith('Reading messages')) this.#take(line);
    });
    createInterface({ input: this.#process.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      this.#waiting.shift()?.reject(new Error(line));
    });
    this.#process.on('exit', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('redis-cli has ended'));
    });
  }

  ask(args: Command): Promise<unknown> {
    this.#process.stdin?.write(`${args.map(quoted).join(' ')}\n`);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async subscribe(kind: string, name: string, onMessage: OnMessage): Promise<void> {
    const command = { channel: 'SUBSCRIBE', pattern: 'PSUBSCRIBE', shard: 'SSUBSCRIBE' }[kind] as string;
    this.#onPush = (reply) => {
      const row = texts(reply);
      const [message, channel] = [row.at(-1), row.at(-2)];
      if (String(row[0]).endsWith('message')) onMessage(String(message), String(channel));
    };
    await this.ask([command, name]);
  }

  close(): void {
    this.#process.kill('SIGKILL');
  }

  #take(line: string): void {
    const failed = line.startsWith('error:');
    const reply = decoded(JSON.parse(failed ? line.slice('error:'.length) : line));
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#onPush?.(reply);
    else if (failed) waiting.reject(new Error(String(reply)));
    else waiting.resolve(reply);
  }
}

function quoted(arg: Command[number]): string {
  const bytes = Buffer.from(arg as string);
  const plain = bytes.every(
    (byte) => byte > 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x27 && byte !== 0x5c,
  );
  if (plain && bytes.length > 0) return bytes.toString('latin1');
  return `"${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`;
}

/** Bytes that are no printable ASCII come as \xHH or as \n and its like. */
function decoded(value: unknown): unknown {
  if (typeof value === 'string')
    return value.replace(/\\(x[0-9a-f]{2}|.)/g, (_, code: string) => charOf(code));
  if (Array.isArray(value)) return value.map(decoded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map((pair) => pair.map(decoded) as [string, unknown]));
}

const CONTROLS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' };

function charOf(code: string): string {
  if (code.length === 3) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
  return CONTROLS[code] ?? code;
}
