// Reads from replicas while something is wrong with one: it dies, hangs, falls behind or becomes a primary. No reader
// gets an error for that, waits long, or is told what is older than was promised.

import { afterAll, describe, expect, it } from 'vitest';
import { isMaster, meet } from './support/cluster-change.ts';
import type { RunningProxy } from './support/heatsink.ts';
import {
  type Cluster,
  cmdstat,
  type RedisProcess,
  startCluster,
  startRedis,
  waitFor,
} from './support/redis.ts';
import { startRelay } from './support/relay.ts';
import {
  fitReplicas,
  keyOfEach,
  Readers,
  readsAtReplicas,
  runsDuring,
  type Setup,
  startReading,
  untilSpread,
} from './support/replica-setup.ts';
import { startWatched } from './support/sentinel.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function proxyFor(setup: Setup): Promise<RunningProxy> {
  const proxy = await startReading(setup);
  open.push(() => proxy.close());
  return proxy;
}

function connect(proxy: RunningProxy): Wire {
  const wire = new Wire(proxy.port);
  open.push(() => wire.close());
  return wire;
}

/** `patience`: how long a node may be silent before the others call it failed, in milliseconds. */
async function clusterWith(patience: number): Promise<Cluster> {
  const args = ['--cluster-node-timeout', `${patience}`, '--cluster-require-full-coverage', 'no'];
  const cluster = await startCluster({ masters: 3, replicas: 1, args });
  open.push(() => cluster.stop());
  return cluster;
}

/** A master, and a replica that reaches it at that port; both alone. */
async function pair(masterPort?: (master: RedisProcess) => Promise<number>) {
  const master = await startRedis();
  open.push(() => master.stop());
  const port = masterPort === undefined ? master.port : await masterPort(master);
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${port}`] });
  open.push(() => replica.stop());
  await waitFor(
    async () => String(await replica.call('INFO', 'replication')).includes('link_status:up'),
    10_000,
  );
  return { master, replica };
}

describe('a replica of a cluster', () => {
  it('that hangs, or is killed, takes no reader with it; one that is new is read from', async () => {
    const cluster = await clusterWith(1000);
    const masters = cluster.nodes.slice(0, 3);
    const [replica] = cluster.nodes.slice(3);
    const proxy = await proxyFor({ upstream: cluster.url, flags: { 'reply-timeout': '500' } });
    const keys = await keyOfEach(cluster, masters);
    for (const [i, key] of keys.entries()) await masters[i].call('SET', key, 'kept');
    await untilSpread(proxy, keys);

    const readers = new Readers(proxy.port, keys);
    await readers.more(500);
    replica.kill('SIGSTOP');
    await readers.more(2000);
    expect(await fitReplicas(proxy)).toBeGreaterThanOrEqual(2);
    replica.kill('SIGCONT');
    await waitFor(async () => (await runsDuring([replica], 'get', () => readers.more(500)))[0] > 50, 15_000);
    replica.kill('SIGKILL');
    await readers.more(2000);
    await waitFor(async () => (await fitReplicas(proxy)) === 2);
    const shown = async () =>
      String((await proxy.admin('/metrics')).body).includes(`{node="127.0.0.1:${replica.port}"`);
    expect(await shown()).toBe(true);
    await waitFor(async () => !(await shown()), 15_000);

    const fresh = await startRedis({ cluster: true, args: ['--cluster-node-timeout', '1000'] });
    open.push(() => fresh.stop());
    const alive = cluster.nodes.filter((node) => node !== replica);
    await meet(fresh, alive);
    await fresh.call('CLUSTER', 'REPLICATE', String(await masters[0].call('CLUSTER', 'MYID')));
    await waitFor(async () => (await fitReplicas(proxy)) === 3, 20_000);
    await waitFor(async () => (await cmdstat(fresh, 'get')) > 0, 10_000);
    await readers.stop();
    expect([...readers.replies.keys()]).toEqual(['$4\r\nkept\r\n']);
    const fallbacks = await proxy.metrics();
    expect(
      fallbacks.sum('heatsink_replica_fallbacks_total', { reason: 'connection_broken' }),
    ).toBeGreaterThan(0);
  });

  it('that has lost its primary is not read from until it has it again', async () => {
    const cluster = await clusterWith(10_000);
    const [master] = cluster.nodes;
    const [key] = await keyOfEach(cluster, [master]);
    const proxy = await proxyFor({ upstream: cluster.url });
    await master.call('SET', key, 'old');
    await untilSpread(proxy, [key]);
    await master.call('ACL', 'SETUSER', 'default', '-psync', '-sync');
    await master.call('CLIENT', 'KILL', 'TYPE', 'replica');
    const readers = new Readers(proxy.port, [key]);
    await waitFor(async () => (await fitReplicas(proxy)) === 0);
    await master.call('SET', key, 'new');
    const wire = connect(proxy);
    for (let i = 0; i < 200; i++) expect(await wire.say('GET', key)).toBe('$3\r\nnew');
    // Without SYNC: a replica that was refused PSYNC just now would try that, and after it never tell its offset.
    await master.call('ACL', 'SETUSER', 'default', '+psync');
    await untilSpread(proxy, [key]);
    for (let i = 0; i < 200; i++) expect(await wire.say('GET', key)).toBe('$3\r\nnew');
    await readers.stop();
    expect([...readers.replies.keys()].sort()).toEqual(['$3\r\nnew\r\n', '$3\r\nold\r\n']);
  });

  it('that takes over from its primary answers right, before and after, and so does the old primary', async () => {
    const cluster = await clusterWith(1000);
    const [master] = cluster.nodes;
    const replica = cluster.nodes[3];
    const [key] = await keyOfEach(cluster, [master]);
    const proxy = await proxyFor({ upstream: cluster.url });
    const wire = connect(proxy);
    await wire.ask('SET', key, '0');
    await wire.ask('WAIT', 1, 2000);
    await untilSpread(proxy, [key]);
    const readers = new Readers(proxy.port, [key]);
    await readers.more(300);
    expect(await replica.call('CLUSTER', 'FAILOVER')).toBe('OK');
    await waitFor(() => isMaster(replica), 10_000);
    await waitFor(async () => (await wire.say('SET', key, '1')) === '+OK');
    await waitFor(async () => (await wire.say('WAIT', 1, 1000)) === ':1', 10_000);
    for (let i = 0; i < 50; i++) expect(await wire.say('GET', key)).toBe('$1\r\n1');
    await waitFor(async () => (await runsDuring([master], 'get', () => readers.more(300)))[0] > 200, 20_000);
    expect(await wire.say('GET', key)).toBe('$1\r\n1');
    expect(await wire.say('INCR', key)).toBe(':2');

    // Now the other way round, without anybody's consent.
    replica.kill('SIGKILL');
    await waitFor(() => isMaster(master), 20_000);
    await waitFor(async () => (await wire.say('INCR', key)).startsWith(':'), 20_000);
    await readers.more(300);
    await readers.stop();
    expect(Number((await wire.say('GET', key)).split('\r\n')[1])).toBeGreaterThanOrEqual(2);
    const odd = [...readers.replies.keys()].filter(
      (reply) => !/^\$1\r\n\d\r\n$|^-ERR heatsink|^-CLUSTERDOWN/.test(reply),
    );
    expect(odd).toEqual([]);
  });
});

describe('replicas of a single server', () => {
  it('are those that it lists; whichever is proven to be late by more than reads.maxLag is left out', async () => {
    let relay = await startRelay(1);
    const { master, replica } = await pair(async ({ port }) => {
      await relay.close();
      relay = await startRelay(port);
      return relay.port;
    });
    open.push(() => relay.close());
    const proxy = await proxyFor({ upstream: master.url, flags: { 'reads-max-lag': '600' } });
    await master.call('SET', 'r:a', 'old');
    await untilSpread(proxy, ['r:a']);
    const wire = connect(proxy);
    // The link stays up, and nothing comes over it.
    relay.mute = true;
    await master.call('SET', 'r:a', 'new');
    const deadline = performance.now() + 1500;
    let last = '';
    while (performance.now() < deadline) last = await wire.say('GET', 'r:a');
    expect(last).toBe('$3\r\nnew');
    expect(String(await replica.call('INFO', 'replication'))).toContain('master_link_status:up');
    expect(await fitReplicas(proxy)).toBe(0);
    for (let i = 0; i < 200; i++) expect(await wire.say('GET', 'r:a')).toBe('$3\r\nnew');
    // Whoever wants no bound reads from it.
    expect(await wire.say('CONFIG', 'SET', 'heatsink.reads.maxLag', '0')).toBe('+OK');
    expect(await wire.say('GET', 'r:a')).toBe('$3\r\nold');
    relay.mute = false;
    await waitFor(async () => (await wire.say('GET', 'r:a')) === '$3\r\nnew');
  });

  it('are read from while it is away, until reads.maxLag has passed', async () => {
    const { master, replica } = await pair();
    const proxy = await proxyFor({ upstream: master.url, flags: { 'reads-max-lag': '2000' } });
    await master.call('SET', 'r:a', 'kept');
    const wire = connect(proxy);
    await waitFor(async () => (await runsDuring([replica], 'get', () => wire.ask('GET', 'r:a')))[0] === 1);
    master.kill('SIGKILL');
    const killedAt = performance.now();
    await waitFor(async () => (await wire.say('GET', 'other')).startsWith('-ERR heatsink: cannot reach'));
    await waitFor(async () => (await wire.say('GET', 'r:a')) === '$4\r\nkept');
    await waitFor(
      async () => (await wire.say('GET', 'r:a')).startsWith('-ERR heatsink: cannot reach'),
      10_000,
    );
    expect(performance.now() - killedAt).toBeGreaterThan(1000);
  });

  it('that do not say how late they are, are not read from unless there is no bound', async () => {
    const { master, replica } = await pair();
    await master.call('ACL', 'SETUSER', 'proxy', 'on', '>secret', '~*', '&*', '+@all');
    await replica.call('ACL', 'SETUSER', 'proxy', 'on', '>secret', '~*', '&*', '+@all', '-info');
    const proxy = await proxyFor({ upstream: `redis://proxy:secret@127.0.0.1:${master.port}` });
    const wire = connect(proxy);
    // A read makes heatsink connect to the replicas that it knows by then.
    await waitFor(async () => {
      await wire.ask('GET', 'r:a');
      return (await cmdstat(replica, 'client|setname')) > 0;
    });
    for (let i = 0; i < 200; i++) expect(await wire.say('GET', 'r:a')).toBe('$-1');
    expect(await readsAtReplicas(proxy)).toBe(0);
    await wire.ask('CONFIG', 'SET', 'heatsink.reads.maxLag', '0');
    await untilSpread(proxy, ['r:a']);
  });
});

describe('behind sentinels', () => {
  it('replicas are read from evenly, in any database, without READONLY, and through a failover', async () => {
    const group = await startWatched({ replicas: 2, sentinels: 3 });
    open.push(() => group.stop());
    const [master, ...replicas] = group.nodes;
    const proxy = await proxyFor({ upstream: `${group.url}/3` });
    const wire = connect(proxy);
    await wire.ask('SET', 'r:a', 'in 3');
    await wire.ask('WAIT', 2, 2000);
    await untilSpread(proxy, ['r:a']);
    await waitFor(async () => (await fitReplicas(proxy)) === 2);
    const readers = new Readers(proxy.port, ['r:a', 'r:a', 'r:a', 'r:a'], 8);
    await readers.more(500);
    const runs = await runsDuring([...replicas, master], 'get', () => readers.more(4000));
    expect(runs[0] / runs[1]).toBeGreaterThan(0.5);
    expect(runs[0] / runs[1]).toBeLessThan(2);
    expect(runs[2]).toBe(0);
    for (const replica of replicas) expect(await cmdstat(replica, 'readonly')).toBe(0);

    master.kill('SIGKILL');
    await waitFor(async () => (await group.masterPort()) !== master.port, 20_000);
    await waitFor(async () => (await wire.say('SET', 'r:a', 'in 4')) === '+OK', 20_000);
    await waitFor(async () => (await wire.say('WAIT', 1, 500)) === ':1', 10_000);
    await untilSpread(proxy, ['r:a']);
    for (let i = 0; i < 50; i++) expect(await wire.say('GET', 'r:a')).toBe('$4\r\nin 4');
    await readers.stop();
    const odd = [...readers.replies.keys()].filter(
      (reply) => !/^\$4\r\nin [34]\r\n$|^-ERR heatsink/.test(reply),
    );
    expect(odd).toEqual([]);
  });
});
