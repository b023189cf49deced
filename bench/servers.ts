// Starts what is measured: redis-server with its data, heatsink and twemproxy in front of it.
// Each is a process of its own; everything is gone when the benchmark ends, in whatever way.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startChild, temporaryDir } from '../test/support/children.ts';
import { spawnProxy } from '../test/support/heatsink-process.ts';
import { type RedisProcess, startRedis } from '../test/support/redis.ts';
import { answersPing, freePort } from '../test/support/wait.ts';

export type TargetName = 'redis' | 'heatsink' | 'twemproxy';

export interface Target {
  readonly name: TargetName;
  readonly port: number;
  readonly pid: number;
  /** How many requests heatsink has answered from its local tier so far; absent for the others. */
  readonly tierHits?: () => Promise<number>;
  stop(): Promise<unknown>;
}

/** What `redis-benchmark -t get` asks for without `-r`. */
const HOT_KEY = 'key:__rand_int__';
const VALUE = 'x'.repeat(100);
const FILL = "for i=ARGV[1],ARGV[2] do redis.call('SET',string.format('key:%012d',i),ARGV[3]) end";
const FILL_STEP = 50_000;

/** A redis-server that holds the one key asked for without `-r`, and the first `keys` of those asked for with it. */
export async function startServer(keys: number): Promise<RedisProcess> {
  const redis = await startRedis();
  await redis.call('SET', HOT_KEY, VALUE);
  for (let i = 0; i < keys; i += FILL_STEP) {
    await redis.call('EVAL', FILL, 0, i, Math.min(i + FILL_STEP, keys) - 1, VALUE);
  }
  return redis;
}

/** The wanted targets, all in front of that server; `flags` are heatsink's. */
export async function startTargets(
  redis: RedisProcess,
  flags: Record<string, string>,
  wanted: readonly TargetName[],
  watched = false,
): Promise<Target[]> {
  const targets: Target[] = [];
  if (wanted.includes('redis')) targets.push(redisTarget(redis));
  if (wanted.includes('heatsink')) targets.push(await startHeatsink(redis, flags, watched));
  if (wanted.includes('twemproxy')) targets.push(await startTwemproxy(redis));
  return targets;
}

function redisTarget(redis: RedisProcess): Target {
  return { name: 'redis', port: redis.port, pid: redis.pid, stop: async () => {} };
}

/** heatsink with one worker, its options as a user gets them but for those given. */
async function startHeatsink(
  redis: RedisProcess,
  flags: Record<string, string>,
  watched: boolean,
): Promise<Target> {
  const proxy = await spawnProxy({ upstream: redis.url, flags: { workers: '1', ...flags } });
  const tierHits = async (): Promise<number> =>
    (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
  const looking = watched ? await openDashboard(proxy.adminPort) : null;
  const stop = async () => {
    looking?.abort();
    await proxy.stop();
  };
  return { name: 'heatsink', port: proxy.port, pid: proxy.pid, tierHits, stop };
}

/** What an open dashboard asks of heatsink; a browser that draws it would only take the load generator's core. */
async function openDashboard(adminPort: number): Promise<AbortController> {
  const end = new AbortController();
  const { body } = await fetch(`http://127.0.0.1:${adminPort}/events`, { signal: end.signal });
  const taken = async () => {
    for await (const _ of body as unknown as AsyncIterable<Uint8Array>);
  };
  void taken().catch(() => {});
  return end;
}

/** twemproxy in front of one server, everything not named here at its default (mbufs of 16 KB). */
async function startTwemproxy(redis: RedisProcess): Promise<Target> {
  const dir = temporaryDir('twemproxy');
  const [port, statsPort] = [await freePort(), await freePort()];
  const config = join(dir, 'nutcracker.yml');
  const pool = {
    listen: `127.0.0.1:${port}`,
    redis: true,
    hash: 'fnv1a_64',
    distribution: 'ketama',
    preconnect: true,
    server_connections: 1,
    servers: [`127.0.0.1:${redis.port}:1`],
  };
  writeFileSync(config, stringify({ bench: pool }));
  const args = ['-c', config, '-s', String(statsPort), '-a', '127.0.0.1', '-o', join(dir, 'log')];
  const child = await startChild('nutcracker', args, { ready: () => answersPing(port), ownedDir: dir });
  return { name: 'twemproxy', port, pid: child.pid, stop: child.stop };
}
