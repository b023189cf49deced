// What goes wrong during the soak, one after the other.

import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryDir } from '../test/support/children.ts';
import { type Cluster, type RedisProcess, startRedis } from '../test/support/redis.ts';
import type { Traffic } from './soak-traffic.ts';

export interface Fault {
  readonly name: string;
  /** Resolves when all is as it was before. */
  strike(scene: Scene): Promise<void>;
}

export interface Scene {
  readonly cluster: Cluster;
  readonly traffic: Traffic;
  /** Faults that have struck before. */
  readonly turn: number;
}

/** Of the master that stands still, and of the one that is away before it starts again, in milliseconds. */
const STILL = 1000;
const AWAY = 1000;
const STORM = 500;

export const CLUSTER_ARGS = ['--cluster-require-full-coverage', 'no'];

export const FAULTS: readonly Fault[] = [
  {
    name: 'all upstream connections are cut',
    strike: ({ cluster }) => each(cluster, (node) => node.call('CLIENT', 'KILL', 'TYPE', 'normal')),
  },
  {
    name: `a master stands still for ${STILL / 1000} s`,
    async strike({ cluster, turn }) {
      const node = inTurn(cluster, turn);
      node.kill('SIGSTOP');
      await sleep(STILL);
      node.kill('SIGCONT');
    },
  },
  {
    name: 'a master is killed and starts again, empty',
    strike: ({ cluster, turn }) => killAndRestart(cluster, turn % cluster.nodes.length),
  },
  {
    name: 'FLUSHALL at each master',
    strike: ({ cluster }) => each(cluster, (node) => node.call('FLUSHALL')),
  },
  { name: 'connections that track keys are cut', strike: ({ cluster }) => each(cluster, cutTracking) },
  { name: `${STORM} clients come and go at once`, strike: ({ traffic }) => traffic.storm(STORM) },
];

const inTurn = ({ nodes }: Cluster, turn: number): RedisProcess => nodes[turn % nodes.length];

async function each({ nodes }: Cluster, act: (node: RedisProcess) => Promise<unknown>): Promise<void> {
  await Promise.all(nodes.map(act));
}

/** Those with `t` among their flags: https://redis.io/docs/latest/commands/client-list/ */
async function cutTracking(node: RedisProcess): Promise<void> {
  for (const line of String(await node.call('CLIENT', 'LIST')).split('\n')) {
    const [, id] = /^id=(\d+) .* flags=\w*t/.exec(line) ?? [];
    if (id !== undefined) await node.call('CLIENT', 'KILL', 'ID', id);
  }
}

/** Directories of nodes that were started again: theirs go with the process, and with it who they are. */
const dirs: string[] = [];
process.on('exit', () => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

async function killAndRestart({ nodes }: Cluster, index: number): Promise<void> {
  const node = nodes[index];
  const [, from] = (await node.call('CONFIG', 'GET', 'dir')) as string[];
  const dir = temporaryDir('soak');
  dirs.push(dir);
  copyFileSync(join(from, 'nodes.conf'), join(dir, 'nodes.conf'));
  node.kill('SIGKILL');
  await node.stop();
  await sleep(AWAY);
  nodes[index] = await startRedis({ port: node.port, cluster: true, args: ['--dir', dir, ...CLUSTER_ARGS] });
}
