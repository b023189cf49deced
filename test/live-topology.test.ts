// A cluster that changes under a mixed load of many connections: slots and nodes that move are noticed by nobody, a
// master that dies costs what was on its way to it and nothing else. Every reply is checked to be that of its own
// request, and every counter ends where the acknowledgements said.

import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { slotOf } from '../src/upstream/slot.ts';
import { temporaryDir } from './support/children.ts';
import { addMaster, forget, isInSync, isMaster, reshard } from './support/cluster-change.ts';
import { type ProxyProcess, spawnProxy } from './support/heatsink.ts';
import type { Ledger } from './support/ledger.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { startTopologyLoad, type TopologyLoad } from './support/topology-load.ts';
import { Wire } from './support/wire.ts';

/** Connections of the load, and slots that move (up to 5,000); more of both make a longer run. */
const CLIENTS = Number(process.env.LIVE_CLIENTS ?? 36);
const SLOTS_MOVED = Number(process.env.LIVE_SLOTS ?? 1000);
/** How long a node may be silent before the others look for a successor, in milliseconds. */
const NODE_TIMEOUT = 500;
const TIMEOUT = 60_000 + 30 * SLOTS_MOVED;
const QUEUES = Math.ceil(CLIENTS / 6);

const open: (() => unknown)[] = [];

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

const slot = (name: string): number => slotOf(Buffer.from(name), 0, Buffer.byteLength(name));

/** Hash tags, half of them from the slots that will move. */
function tagsOf([first, last]: readonly [number, number]): string[] {
  const all = Array.from({ length: 30_000 }, (_, i) => `{${i.toString(36)}}`);
  return [
    ...all.filter((tag) => slot(tag) >= first && slot(tag) <= last).slice(0, 100),
    ...all.slice(0, 100),
  ];
}

async function proxyTo(cluster: Cluster, flags: Record<string, string> = {}): Promise<ProxyProcess> {
  const proxy = await spawnProxy({ upstream: cluster.url, flags: { 'hot-threshold': '50', ...flags } });
  open.push(() => proxy.close());
  return proxy;
}

/** What the counters are, as the proxy says when all is over, against what the clients were told. */
async function audit(proxy: ProxyProcess, ledger: Ledger): Promise<string[]> {
  const wire = new Wire(proxy.port);
  const wrong: string[] = [];
  for (const name of ledger.counters) {
    const reply = await wire.say('GET', name);
    wrong.push(...ledger.audit(name, reply === '$-1' ? 0 : Number(reply.split('\r\n')[1])));
  }
  wire.close();
  return wrong;
}

async function progress(load: TopologyLoad, rounds = CLIENTS * 10): Promise<void> {
  const before = load.rounds();
  await waitFor(() => load.rounds() >= before + rounds || load.ledger.wrong.length > 0, 10_000);
}

describe('without any error to any client', () => {
  let cluster: Cluster;
  let proxy: ProxyProcess;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3 });
    open.push(() => cluster.stop());
    proxy = await proxyTo(cluster);
  });

  async function load(moving: readonly [number, number]): Promise<TopologyLoad> {
    await Promise.all(cluster.nodes.map((node) => node.call('FLUSHALL')));
    const names = tagsOf(moving);
    const options = { port: proxy.port, clients: CLIENTS, queues: QUEUES, names };
    return startTopologyLoad({ ...options, mayLose: false, allowed: () => false });
  }

  async function end(running: TopologyLoad): Promise<void> {
    const ledger = await running.stop();
    expect(ledger.wrong.slice(0, 10)).toEqual([]);
    expect(await audit(proxy, ledger)).toEqual([]);
    expect(ledger.done).toBeGreaterThan(CLIENTS);
  }

  const followed = async (kind: string) => (await proxy.metrics()).sum('heatsink_redirects_total', { kind });

  it(
    `${SLOTS_MOVED} slots move to another master, with their keys`,
    async () => {
      const moving = [0, SLOTS_MOVED - 1] as const;
      const [source, target] = cluster.nodes;
      const running = await load(moving);
      const idle = Array.from({ length: 20_000 }, (_, i) => `idle:${i}`).filter(
        (key) => slot(key) <= moving[1],
      );
      await Promise.all(idle.map((key) => source.call('SET', key, key)));
      // One that takes a while to move.
      const large = `large:${tagsOf(moving)[0]}`;
      await source.call('EVAL', "for i=1,20000 do redis.call('HSET',KEYS[1],i,i) end", 1, large);
      await progress(running);
      await reshard(cluster.nodes, moving, source, target);
      await progress(running);
      await end(running);
      expect(await followed('ask')).toBeGreaterThan(0);
      expect(await followed('moved')).toBeGreaterThan(0);
      expect(await target.call('HLEN', large)).toBe(20_000);
      const wire = new Wire(proxy.port);
      expect(await wire.say('EXISTS', ...idle)).toBe(`:${idle.length}`);
      wire.close();
    },
    TIMEOUT,
  );

  it(
    'a node joins and gets slots, gives them away and leaves, and another comes under its address',
    async () => {
      const moving = [5300, 5399] as const;
      const [first, second] = cluster.nodes;
      const running = await load(moving);
      const added = await addMaster(cluster.nodes);
      open.push(() => added.stop());
      await progress(running);
      await reshard([...cluster.nodes, added], moving, first, added);
      await progress(running);
      await reshard([...cluster.nodes, added], moving, added, second);
      await progress(running);
      // Nobody asks it any more once the last of its slots are known to be elsewhere.
      const node = `${added.host}:${added.port}`;
      await waitFor(
        async () => (await proxy.metrics()).sum('heatsink_upstream_connected', { node }) === 0,
        10_000,
      );
      await forget(added, cluster.nodes);
      await added.stop();
      await progress(running);
      const again = await addMaster(cluster.nodes, { port: added.port });
      open.push(() => again.stop());
      await reshard([...cluster.nodes, again], moving, second, again);
      await progress(running);
      await end(running);
      expect(Number(await again.call('DBSIZE'))).toBeGreaterThan(0);
    },
    TIMEOUT,
  );

  it('a node leaves before anybody has asked for the slots that it gave away', async () => {
    const lazy = await proxyTo(cluster, { 'topology-interval': '3600000' });
    const [tag] = tagsOf([0, 16_383]);
    const at = [slot(tag), slot(tag)] as const;
    const home = await cluster.slotOwner(tag);
    const added = await addMaster(cluster.nodes);
    open.push(() => added.stop());
    await reshard([...cluster.nodes, added], at, home, added);
    const wire = new Wire(lazy.port);
    expect(await wire.say('SET', tag, 'x')).toBe('+OK');
    // What has changed is looked for once more; then nobody knows until somebody asks.
    await sleep(1500);
    await reshard([...cluster.nodes, added], at, added, home);
    await forget(added, cluster.nodes);
    wire.sendAll([['MULTI'], ['GET', tag], ['SET', tag, 'y'], ['EXEC'], ['GET', tag]]);
    const replies = (await wire.replies(5)).map((reply) => reply.toString());
    expect(replies.slice(3)).toEqual(['*2\r\n$1\r\nx\r\n+OK\r\n', '$1\r\ny\r\n']);
    wire.close();
  });
});

/** What a client may be told that waits for the server, or asks for a replica's word, while masters change places. */
const HANDOVER_WORDS = [
  /^UNBLOCKED force unblock from blocking operation, instance state changed/,
  /^ERR WAIT cannot be used with replica instances/,
];

/** What a client may be told that asks for the keys of a node that has died, or had asked. */
const WORDS = [
  /^ERR heatsink: the connection to \S+ \(.+\) broke before the reply; the command may have been executed$/,
  /^ERR heatsink: cannot reach \S+ \(.+\); the command was not sent$/,
  // A transaction of which a command was answered by one of those.
  /^EXECABORT Transaction discarded because of previous errors\.$/,
  // Redis's own words for the time until the replica has taken over.
  /^CLUSTERDOWN /,
];

describe('when a master is killed', () => {
  let cluster: Cluster;
  let proxy: ProxyProcess;
  // The slots of the others are served while nobody serves those of the dead one.
  const args = ['--cluster-node-timeout', String(NODE_TIMEOUT), '--cluster-require-full-coverage', 'no'];

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, replicas: 1, args });
    open.push(() => cluster.stop());
    proxy = await proxyTo(cluster);
  });

  it(
    'only what was on its way to it or is asked of it fails, until its replica has taken over',
    async () => {
      const victim = cluster.nodes[1];
      const replica = cluster.nodes[4];
      const port = victim.port;
      const [first, last] = [5461, 10_922];
      const ofVictim = (key: string) => slot(key) >= first && slot(key) <= last;
      let words: readonly RegExp[] = WORDS;
      // Commands without keys go to any node, or to all of them.
      const allowed = (error: string, keys: readonly string[]) =>
        words.some((word) => word.test(error)) && (keys.length === 0 || keys.some(ofVictim));
      const names = tagsOf([first, last]);
      const load = { port: proxy.port, clients: CLIENTS, queues: QUEUES, names };
      const running = startTopologyLoad({ ...load, mayLose: true, allowed });
      await progress(running);
      expect(running.ledger.errorCount).toBe(0);

      const dir = await keepIdentity(victim);
      open.push(() => rmSync(dir, { recursive: true, force: true }));
      await victim.stop();
      await waitFor(() => isMaster(replica), 10_000);
      await waitFor(() => serves(proxy, names), 10_000);
      expect(running.ledger.errorCount).toBeGreaterThan(0);
      // Errors may still be on their way to the clients.
      await sleep(100);
      words = [];
      await progress(running);

      // It comes back as who it was, with nothing, and learns that it is a replica now.
      const back = await startRedis({ port, cluster: true, args: [...args, '--dir', dir] });
      open.push(() => back.stop());
      await waitFor(() => isInSync(back), 10_000);
      await progress(running);
      // And takes over again, this time by agreement. Masters vote once in two node timeouts about the same slots.
      await sleep(2 * NODE_TIMEOUT);
      words = HANDOVER_WORDS;
      await back.call('CLUSTER', 'FAILOVER');
      await waitFor(() => isMaster(back), 10_000);
      await progress(running);

      const ledger = await running.stop();
      expect(ledger.wrong.slice(0, 10), JSON.stringify([...ledger.errors])).toEqual([]);
      expect(await audit(proxy, ledger)).toEqual([]);
      expect(ledger.done).toBeGreaterThan(CLIENTS);
    },
    TIMEOUT,
  );
});

/** A copy of what the node will need to come back as who it is. */
async function keepIdentity(node: RedisProcess): Promise<string> {
  const [, dir] = (await node.call('CONFIG', 'GET', 'dir')) as [string, string];
  const kept = temporaryDir('node');
  copyFileSync(join(dir, 'nodes.conf'), join(kept, 'nodes.conf'));
  return kept;
}

/** Whether a key of each tag can be written, and every node that heatsink knows answers: WAIT asks them all. */
async function serves(proxy: ProxyProcess, tags: readonly string[]): Promise<boolean> {
  const wire = new Wire(proxy.port);
  wire.sendAll(tags.map((tag) => ['SET', `probe:${tag}`, 'x']));
  const replies = await wire.replies(tags.length);
  const waited = await wire.say('WAIT', 0, 100);
  wire.close();
  return waited.startsWith(':') && replies.every((reply) => reply.toString() === '+OK\r\n');
}
