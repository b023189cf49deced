// A master behind sentinels: found, followed through failovers, and never mistaken for what it was before.

import { afterAll, describe, expect, it } from 'vitest';
import { createAuthority } from './support/certificates.ts';
import { type RunningProxy, spawnCli, spawnProxy, startProxy } from './support/heatsink.ts';
import { cmdstat, type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { startWatched, type Watched, type WatchedOptions } from './support/sentinel.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function watched(options?: WatchedOptions): Promise<Watched> {
  const started = await startWatched(options);
  open.push(() => started.stop());
  return started;
}

async function proxyFor(upstream: string, flags: Record<string, string> = {}): Promise<RunningProxy> {
  const proxy = await startProxy({ upstream, flags });
  open.push(() => proxy.close());
  return proxy;
}

async function clientOf({ port }: { port: number }, protocol: 2 | 3 = 2): Promise<Wire> {
  const client = await Wire.open(port, protocol);
  open.push(() => client.close());
  return client;
}

/** The port of the server that answers a client. */
async function servedBy(client: Wire): Promise<number> {
  const info = (await client.ask('CONFIG', 'GET', 'port')).toString();
  return Number(info.split('\r\n')[4]);
}

describe('a master that is killed', () => {
  it('is followed by its successor: counters go on, and no acknowledged count of the new master is lost', async () => {
    const group = await watched({ replicas: 2 });
    // One sentinel is named, the others are learnt from it before it dies with the master.
    const named = `redis+sentinel://127.0.0.1:${group.sentinels[0].port}/mymaster`;
    const proxy = await proxyFor(named, { 'hot-threshold': '1' });
    const clients = await Promise.all(Array.from({ length: 10 }, (_, i) => clientOf(proxy, i % 2 ? 3 : 2)));
    const [master] = group.nodes;
    let killed = false;
    let stop = false;
    const wrong: string[] = [];
    const after = clients.map(() => ({ first: 0, acknowledged: 0, unknown: 0 }));
    const load = async (client: Wire, i: number) => {
      while (!stop) {
        const begunAfter = killed;
        const [count, read] = await pair(client, [
          ['INCR', `counter:${i}`],
          ['GET', `counter:${i}`],
        ]);
        const seen = after[i];
        if (count.startsWith(':')) {
          const value = Number(count.slice(1));
          if (begunAfter) seen.first ||= value;
          if (begunAfter) seen.acknowledged++;
          const due = `$${`${value}`.length}\r\n${value}`;
          if (read !== due && !read.startsWith('-ERR heatsink')) wrong.push(`${count} then ${read}`);
        } else if (!/^-(ERR heatsink|READONLY|LOADING|UNBLOCKED)/.test(count)) {
          wrong.push(count);
        } else if (begunAfter && count.includes('may have been executed')) {
          seen.unknown++;
        }
      }
    };
    const loads = clients.map(load);
    await waitFor(async () => Number(await master.call('GET', 'counter:9')) > 200);
    group.sentinels[0].kill('SIGKILL');
    master.kill('SIGKILL');
    killed = true;
    const asked = await clientOf(proxy);
    await waitFor(async () => (await asked.say('SET', 'probe', 'x')) === '+OK', 20_000);
    await waitFor(() => after.every(({ acknowledged }) => acknowledged > 50), 10_000);
    stop = true;
    await Promise.all(loads);
    expect(wrong.slice(0, 5)).toEqual([]);
    // Another sentinel than heatsink's may learn it later.
    await waitFor(async () => byPort(group, await group.masterPort()) !== master, 10_000);
    const successor = byPort(group, await group.masterPort());
    for (const [i, { first, acknowledged, unknown }] of after.entries()) {
      const end = Number(await successor.call('GET', `counter:${i}`));
      expect(end).toBeGreaterThanOrEqual(first + acknowledged - 1);
      expect(end).toBeLessThanOrEqual(first + acknowledged - 1 + unknown);
    }
    expect(await servedBy(asked)).toBe(successor.port);

    // It comes back under its address as the master that it was, until the sentinels see it.
    const revived = await startRedis({ port: master.port });
    open.push(() => revived.stop());
    for (let i = 0; i < 200; i++) expect(await asked.say('SET', 'probe', `${i}`)).toBe('+OK');
    expect(await cmdstat(revived, 'set')).toBe(0);
  });
});

describe('a failover that sentinels are asked for', () => {
  it('moves everybody to the new master, and voids what was kept from the old one', async () => {
    const group = await watched();
    const proxy = await proxyFor(group.url, { 'hot-threshold': '1' });
    const client = await clientOf(proxy, 3);
    const [, replica] = group.nodes;
    expect(await client.say('SET', 'hot', 'old')).toBe('+OK');
    const hits = async () => (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
    await waitFor(async () => {
      expect(await client.say('GET', 'hot')).toBe('$3\r\nold');
      return (await hits()) > 0;
    });
    await waitFor(async () => String(await replica.call('GET', 'hot')) === 'old');
    expect(await group.sentinels[0].call('SENTINEL', 'FAILOVER', 'mymaster')).toBe('OK');
    await waitFor(async () => (await group.masterPort()) === replica.port, 10_000);
    await waitFor(async () => (await servedBy(client)) === replica.port);
    await replica.call('SET', 'hot', 'new');
    await waitFor(async () => (await client.say('GET', 'hot')) === '$3\r\nnew');
    const before = await hits();
    await waitFor(async () => {
      expect(await client.say('GET', 'hot')).toBe('$3\r\nnew');
      return (await hits()) > before;
    });
    expect((await proxy.metrics()).sum('heatsink_upstream_connected')).toBe(1);
  });

  it('sends reads again that a master leaves unanswered, and tells writers that theirs may have been executed', async () => {
    const group = await watched();
    const proxy = await proxyFor(group.url);
    const [reader, writer] = [await clientOf(proxy), await clientOf(proxy)];
    expect(await reader.say('SET', 'k', 'v')).toBe('+OK');
    const [master, replica] = group.nodes;
    await waitFor(async () => String(await replica.call('GET', 'k')) === 'v');
    master.kill('SIGSTOP');
    const [read, write] = [reader.ask('GET', 'k'), writer.say('INCR', 'n')];
    expect((await read).toString()).toBe('$1\r\nv\r\n');
    expect(await write).toMatch(
      /another node is the master now\) broke before the reply; the command may have been/,
    );
    expect(await servedBy(writer)).toBe(replica.port);
    master.kill('SIGCONT');
  });
});

describe('sentinels', () => {
  it('may all be gone: the known master goes on serving', async () => {
    const group = await watched({ replicas: 0, sentinels: 1 });
    const proxy = await spawnProxy({ upstream: group.url });
    open.push(() => proxy.close());
    const client = await clientOf(proxy);
    expect(await client.say('SET', 'k', 'v')).toBe('+OK');
    await group.sentinels[0].stop();
    await waitFor(() => proxy.output().includes('no sentinel answers: 127.0.0.1:'));
    expect(await client.say('GET', 'k')).toBe('$1\r\nv');
    expect(await (await clientOf(proxy)).say('GET', 'k')).toBe('$1\r\nv');
    expect((await proxy.admin('/readyz')).status).toBe(200);
  });

  it('that are set up anew are followed, to another master and back to the first', async () => {
    const group = await watched({ replicas: 0, sentinels: 1 });
    const other = await startRedis();
    open.push(() => other.stop());
    const client = await clientOf(await proxyFor(group.url));
    expect(await client.say('SET', 'k', 'v')).toBe('+OK');
    for (const master of [other, group.nodes[0], other]) {
      await group.sentinels[0].call('SENTINEL', 'REMOVE', 'mymaster');
      await group.sentinels[0].call('SENTINEL', 'MONITOR', 'mymaster', master.host, `${master.port}`, '1');
      await waitFor(async () => (await servedBy(client)) === master.port);
      expect(await client.say('SET', 'k', 'v')).toBe('+OK');
    }
  });

  it('and nodes may want passwords of their own, and TLS', async () => {
    const authority = createAuthority();
    open.push(() => authority.remove());
    const tls = { ca: authority.ca, ...authority.issue('node') };
    const secrets = { password: 'for-nodes', sentinelPassword: 'for-sentinels' };
    const group = await watched({ replicas: 0, sentinels: 2, ...secrets, tls });
    const files = { 'nodes-tls-ca': tls.ca, 'nodes-tls-cert': tls.cert, 'nodes-tls-key': tls.key };
    const flags = { ...files, 'sentinel-password': 'for-sentinels', 'hot-threshold': '1' };
    const client = await clientOf(await proxyFor(group.url, flags));
    expect(await client.say('SET', 'k', 'v')).toBe('+OK');
    expect(await client.say('GET', 'k')).toBe('$1\r\nv');
    expect(await waitingFor(group.url, files)).toMatch(/no sentinel answers: 127.0.0.1:\d+ \(NOAUTH /);
  });

  it('that watch no such master are told apart from those that are away', async () => {
    const group = await watched({ replicas: 0, sentinels: 1 });
    expect(await waitingFor(group.url.replace('mymaster', 'other'))).toContain(
      '(ERR No such master with that name)',
    );
    await group.sentinels[0].stop();
    expect(await waitingFor(group.url)).toMatch(/no sentinel answers: 127.0.0.1:\d+ \(ECONNREFUSED\)/);
  });
});

/** What heatsink says while it cannot find its upstream. */
async function waitingFor(upstream: string, flags: Record<string, string> = {}): Promise<string> {
  const all = { ...flags, upstream, listen: '127.0.0.1:0', admin: 'off' };
  const args = Object.entries(all).flatMap(([flag, value]) => [`--${flag}`, value]);
  const child = await spawnCli(args, { ready: (output) => output.includes('waiting for the upstream') });
  await child.stop();
  return child.output();
}

async function pair(client: Wire, commands: string[][]): Promise<string[]> {
  client.sendAll(commands);
  return (await client.replies(commands.length)).map((reply) => reply.toString().trim());
}

function byPort(group: Watched, port: number): RedisProcess {
  return group.nodes.find((node) => node.port === port) as RedisProcess;
}
