// `heatsink` with nothing named: a private redis-server behind it, redis-cli in front, and nothing left afterwards.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { spawnCli } from './support/heatsink.ts';
import { answersPing, freePort, waitFor } from './support/wait.ts';

const run = promisify(execFile);
const open: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function serve() {
  const [port, admin] = [await freePort(), await freePort()];
  const args = ['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`];
  const child = await spawnCli(args, { ready: () => answersPing(port) });
  open.push(() => child.stop());
  const cli = async (...words: string[]) =>
    (await run('redis-cli', ['-p', `${port}`, ...words])).stdout.trim();
  const info = await cli('info', 'server');
  const server = {
    pid: Number(/process_id:(\d+)/.exec(info)?.[1]),
    port: Number(/tcp_port:(\d+)/.exec(info)?.[1]),
    directory: (await cli('config', 'get', 'dir')).split('\n')[1],
  };
  return { child, port, admin, cli, server };
}

it('serves redis-cli from a private redis-server, and says so', async () => {
  const { child, port, admin, cli, server } = await serve();
  expect(await cli('set', 'k', 'v')).toBe('OK');
  expect(await cli('get', 'k')).toBe('v');
  expect(await cli('-3', 'hset', 'h', 'a', '1')).toBe('1');
  expect(await cli('-n', '2', 'dbsize')).toBe('0');
  expect(server.port).not.toBe(port);
  expect(child.output()).toMatch(/private redis-server/);
  await waitFor(async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).status === 200);
});

it.each(['SIGINT', 'SIGTERM'] as const)(
  'ends with code 0 at %s, and leaves nothing behind',
  async (signal) => {
    const { child, port, admin, server } = await serve();
    expect(existsSync(server.directory)).toBe(true);
    const began = performance.now();
    expect(await child.stop(signal)).toBe(0);
    expect(performance.now() - began).toBeLessThan(3000);
    await waitFor(() => !isRunning(server.pid));
    expect(existsSync(server.directory)).toBe(false);
    for (const closed of [port, admin, server.port]) expect(await answersPing(closed)).toBe(false);
  },
);

it('answers what it was asked before it ends', async () => {
  const { child, cli, server } = await serve();
  await cli('set', 'k', 'v');
  process.kill(server.pid, 'SIGSTOP');
  const reply = cli('get', 'k');
  await sleep(200);
  child.kill('SIGINT');
  await sleep(200);
  process.kill(server.pid, 'SIGCONT');
  expect(await reply).toBe('v');
  expect(await child.exited).toBe(0);
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
