// `heatsink top` as people use it: in a real terminal, with its keys, and printed for scripts.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ProxyProcess, spawnCli, spawnProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { freePort } from './support/wait.ts';

const run = promisify(execFile);
const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const TMUX = ['-L', `heatsink-${process.pid}`, '-f', '/dev/null'];
const open: (() => unknown)[] = [];
let redis: RedisProcess;
let heatsink: ProxyProcess;
let client: Redis;
let loading = true;

/** Keys that a terminal must not be shown as they are. */
const HOSTILE = 'evil\x1b[2J\x07\u202e';
const FLAGS = { 'admin-token': 'sesame', 'hot-threshold': '50', workers: '1' };

beforeAll(async () => {
  redis = await startRedis();
  heatsink = await spawnProxy({ upstream: redis.url, flags: FLAGS });
  client = new Redis(heatsink.port);
  client.on('error', () => {});
  void (async () => {
    while (loading) {
      await Promise.all([...reads('product:1', 20), ...reads('商品:2', 10), ...reads(HOSTILE, 5)]).catch(
        () => {},
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
});

afterAll(async () => {
  loading = false;
  client.disconnect();
  await run('tmux', [...TMUX, 'kill-server']).catch(() => {});
  for (const close of open.splice(0).reverse()) await close();
  await heatsink.close();
  await redis.stop();
});

const reads = (key: string, times: number) => Array.from({ length: times }, () => client.get(key));

interface Screen {
  text(): Promise<string>;
  press(...keys: string[]): Promise<void>;
  shows(pattern: RegExp): Promise<string>;
}

/** A terminal of its own with a shell in it, in which that is typed. */
async function terminal(command: string, size = { columns: 100, rows: 24 }): Promise<Screen> {
  const name = `t${open.length}`;
  const at = ['-t', name];
  const room = ['-x', `${size.columns}`, '-y', `${size.rows}`];
  const shell = "PS1='ready> ' LC_ALL=C.UTF-8 sh";
  await run('tmux', ['-u', ...TMUX, 'new-session', '-d', '-s', name, ...room, shell]);
  open.push(() => run('tmux', [...TMUX, 'kill-session', ...at]).catch(() => {}));
  const screen: Screen = {
    text: async () => (await run('tmux', [...TMUX, 'capture-pane', '-p', ...at])).stdout,
    async press(...keys) {
      await run('tmux', [...TMUX, 'send-keys', ...at, ...keys]);
    },
    shows: (pattern) =>
      waitFor(
        async () => {
          const text = await screen.text();
          return pattern.test(text) ? text : null;
        },
        15_000,
        50,
      ),
  };
  await screen.shows(/ready>/);
  await screen.press('-l', command);
  await screen.press('Enter');
  return screen;
}

const top = (more = '') => `${process.execPath} ${CLI} top ${more} http://127.0.0.1:${heatsink.adminPort}`;
const state = async () => (await heatsink.admin('/state')).body as { pinned: object[]; banned: object[] };

describe('in a terminal', () => {
  it('ranks hot keys and shows the load of each node, and gives the terminal back', async () => {
    const screen = await terminal(top());
    await screen.shows(/product:1 .* tier/);
    const text = await screen.shows(/hit ratio \d+ %/);
    expect(text).toMatch(new RegExp(`127\\.0\\.0\\.1:${redis.port} .*/s, .* without`));
    expect(text.indexOf('product:1')).toBeLessThan(text.indexOf('商品:2'));
    await screen.shows(/evil\\x1b\[2J\\x07\\u\{202e\}/);
    await screen.press('q');
    const after = await screen.shows(/ready>$/m);
    expect(after).not.toContain('product:1');
    await screen.press('-l', 'stty -a | grep -o " echo "; echo done');
    await screen.press('Enter');
    expect(await screen.shows(/^done/m)).toContain(' echo ');
  });

  it('filters, pauses, sorts, and fits the screen that it gets', async () => {
    const screen = await terminal(top(), { columns: 60, rows: 14 });
    await screen.shows(/product:1/);
    await screen.press('f');
    await screen.press('-l', 'prod*');
    await screen.press('Enter');
    const filtered = await screen.shows(/1 keys like prod\*/);
    expect(filtered).not.toContain('商品');
    await screen.press('p');
    await screen.shows(/paused/);
    await screen.press('s');
    await screen.shows(/traffic▼/);
    await run('tmux', [...TMUX, 'resize-window', '-t', `t${open.length - 1}`, '-x', '120', '-y', '30']);
    await screen.shows(/shard .*hits .*bytes .*age/);
    await screen.press('C-c');
    await screen.shows(/ready>$/m);
  });

  it('pins and bans the key that is chosen after a question, with the token', async () => {
    const denied = await terminal(top());
    await denied.shows(/product:1/);
    await denied.press('P');
    await denied.shows(/pin product:1\? y or n/);
    await denied.press('y');
    await denied.shows(/Authorization: Bearer/);
    await denied.press('q');

    const screen = await terminal(top('--token sesame'));
    await screen.shows(/product:1/);
    await screen.press('P');
    await screen.press('n');
    await screen.shows(/nothing was done/);
    await screen.press('P');
    await screen.shows(/pin product:1\?/);
    await screen.press('y');
    await screen.shows(/product:1 .*pinned/);
    expect((await state()).pinned).toEqual([{ key: 'product:1' }]);
    await screen.press('Down');
    await screen.press('B');
    await screen.shows(/ban 商品:2\?/);
    await screen.press('y');
    await screen.shows(/商品:2 .*banned/);
    expect((await state()).banned).toEqual([{ key: '商品:2' }]);
    await screen.press('q');
  });

  it('says that heatsink has gone, and goes on when it is back', async () => {
    const screen = await terminal(top());
    await screen.shows(/product:1/);
    await heatsink.stop();
    await screen.shows(/lost: /);
    heatsink = await spawnProxy({ upstream: redis.url, flags: FLAGS, at: heatsink });
    await waitFor(
      async () => /up \d+ s/.test(await screen.text()) && !(await screen.text()).includes('lost'),
      15_000,
    );
    await screen.press('q');
  });
});

describe('printed', () => {
  const print = async (...args: string[]) => {
    const child = await spawnCli(['top', `http://127.0.0.1:${heatsink.adminPort}`, ...args]);
    return { code: await child.exited, output: child.output() };
  };

  it('is one screen without control codes, or all of it as JSON', async () => {
    await waitFor(async () => (await print('--once')).output.includes('product:1'), 15_000);
    const { code, output } = await print();
    expect(code).toBe(0);
    expect(output).toContain('heatsink ');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
    expect(output).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
    const { output: text } = await print('--once', '--json');
    expect(JSON.parse(text)).toMatchObject({ mode: 'serve', token_required: true });
  });

  it('is an error with a reason when there is nobody', async () => {
    const nobody = await freePort();
    const child = await spawnCli(['top', `http://127.0.0.1:${nobody}`, '--once']);
    expect(await child.exited).toBe(1);
    expect(child.output()).toContain(
      `http://127.0.0.1:${nobody}/state does not answer: connect ECONNREFUSED`,
    );
    const mistaken = await spawnCli(['top', 'http://[', '--once']);
    expect(await mistaken.exited).toBe(2);
    expect(mistaken.output()).toContain('is not accepted; accepted: a URL such as');
  });
});
