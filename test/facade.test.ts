// Clients in cluster mode that know of one address only: heatsink's, which owns all slots.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Cluster as ClusterClient } from 'ioredis';
import { createCluster } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { itemsOf, textOf } from '../src/commands/elements.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const run = promisify(execFile);
const open: (() => unknown)[] = [];
let cluster: Cluster;
let alone: RedisProcess;
let proxies: { cluster: RunningProxy; shown: RunningProxy; alone: RunningProxy; announced: RunningProxy };

beforeAll(async () => {
  [cluster, alone] = await Promise.all([startCluster({ masters: 3 }), startRedis()]);
  open.push(() => Promise.all([cluster.stop(), alone.stop()]));
  const flags = { 'cluster-announce': 'redis.example.com:7000' };
  const [one, shown, hidden, announced] = await Promise.all([
    startProxy({ upstream: cluster.url }),
    startProxy({ upstream: alone.url, flags: { 'cluster-facade': 'on' } }),
    startProxy({ upstream: alone.url }),
    startProxy({ upstream: cluster.url, flags }),
  ]);
  proxies = { cluster: one, shown, alone: hidden, announced };
  open.push(() => Promise.all([one, shown, hidden, announced].map((proxy) => proxy.close())));
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function wire(port: number, protocol: 2 | 3 = 2): Promise<Wire> {
  const client = await Wire.open(port, protocol);
  open.push(() => client.close());
  return client;
}

const NAMES = Array.from({ length: 30 }, (_, i) => `key:${i}`);

describe.each(['cluster', 'shown'] as const)('a client in cluster mode, upstream %s,', (upstream) => {
  it('ioredis, is served by heatsink alone', async () => {
    const { port } = proxies[upstream];
    const client = new ClusterClient([{ host: '127.0.0.1', port }]);
    open.push(() => client.disconnect());
    await Promise.all(NAMES.map((name) => client.set(name, name)));
    expect(await Promise.all(NAMES.map((name) => client.get(name)))).toEqual(NAMES);
    expect(client.nodes('master').map((node) => node.options.port)).toEqual([port]);
    expect(await client.mset('{t}a', '1', '{t}b', '2')).toBe('OK');
    client.defineCommand('put', { numberOfKeys: 1, lua: "return redis.call('SET', KEYS[1], ARGV[1])" });
    const put = (client as unknown as { put: (key: string, value: string) => Promise<string> }).put;
    expect(await Promise.all(NAMES.map((name) => put.call(client, name, 'new')))).toEqual(
      NAMES.map(() => 'OK'),
    );
    expect(await client.multi().set('{t}a', '3').get('{t}a').exec()).toEqual([
      [null, 'OK'],
      [null, '3'],
    ]);
  });

  it.each([2, 3] as const)('node-redis in RESP%i, is served by heatsink alone', async (RESP) => {
    const { port } = proxies[upstream];
    const client = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }], RESP });
    client.on('error', () => {});
    await client.connect();
    open.push(() => client.destroy());
    await Promise.all(NAMES.map((name) => client.set(name, name)));
    expect(await Promise.all(NAMES.map((name) => client.get(name)))).toEqual(NAMES);
    expect(client.masters.map((node) => node.port)).toEqual([port]);
  });

  it('redis-cli, finds nothing wrong with the cluster', async () => {
    const { port } = proxies[upstream];
    const cli = async (...args: string[]) => (await run('redis-cli', args)).stdout;
    expect(await cli('-c', '-p', `${port}`, 'set', 'key', 'value')).toBe('OK\n');
    expect(await cli('-c', '-p', `${port}`, 'get', 'key')).toBe('value\n');
    const check = await cli('--cluster', 'check', `127.0.0.1:${port}`);
    expect(check).toContain('[OK] All nodes agree about slots configuration.');
    expect(check).toContain('[OK] All 16384 slots covered.');
  });
});

describe('CLUSTER', () => {
  it.each([2, 3] as const)('shows one master with all slots, in RESP%i', async (protocol) => {
    const { port } = proxies.cluster;
    const client = await wire(port, protocol);
    const id = textOf(await client.ask('CLUSTER', 'MYID'));
    expect(id).toMatch(/^[0-9a-f]{40}$/);
    const [range] = itemsOf(await client.ask('CLUSTER', 'SLOTS'));
    const [first, last, node] = itemsOf(range);
    expect([first, last, ...itemsOf(node).slice(0, 3)].map(textOf)).toEqual([
      '0',
      '16383',
      '127.0.0.1',
      `${port}`,
      id,
    ]);
    expect(textOf(await client.ask('CLUSTER', 'NODES'))).toBe(
      `${id} 127.0.0.1:${port}@0 myself,master - 0 0 1 connected 0-16383\n`,
    );
    const info = textOf(await client.ask('CLUSTER', 'INFO'));
    expect(info).toMatch(/^cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\n/);
    const shards = await client.say('CLUSTER', 'SHARDS');
    const aggregate = protocol === 3 ? ['%2', '%7'] : ['*4', '*14'];
    expect(
      shards.startsWith(`*1\r\n${aggregate[0]}\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1`),
    ).toBe(true);
    expect(shards).toContain(`${aggregate[1]}\r\n$2\r\nid\r\n$40\r\n${id}\r\n$4\r\nport\r\n:${port}\r\n`);
    expect(await client.say('CLUSTER', 'LINKS')).toBe('*0');
    expect(await client.say('CLUSTER', 'REPLICAS', id)).toBe('*0');
    expect(await client.say('CLUSTER', 'SLAVES', 'x')).toBe('-ERR Unknown node x');
    expect(await client.say('CLUSTER', 'COUNT-FAILURE-REPORTS', id)).toBe(':0');
  });

  it('has the fields of a real node, in their order', async () => {
    const direct = await wire(cluster.nodes[0].port);
    const client = await wire(proxies.cluster.port);
    const fields = (text: string) =>
      text.match(/^[a-z_]+(?=:)/gm)?.filter((name) => !/_(ping|pong|meet)_/.test(name));
    const info = async (from: Wire) => fields(textOf(await from.ask('CLUSTER', 'INFO')));
    expect(await info(client)).toEqual(await info(direct));
    const shape = async (from: Wire) => {
      const [shard] = itemsOf(await from.ask('CLUSTER', 'SHARDS'));
      const [node] = itemsOf(itemsOf(shard)[3]);
      return itemsOf(node)
        .map(textOf)
        .filter((_, i) => i % 2 === 0);
    };
    expect(await shape(client)).toEqual(await shape(direct));
  });

  it('computes slots as a server does, and asks their owners for keys', async () => {
    const direct = await wire(cluster.nodes[0].port);
    const client = await wire(proxies.cluster.port);
    for (const key of [...NAMES, '{tag}x', 'x{}y', '']) {
      await client.say('SET', key, '1');
      const slot = await direct.say('CLUSTER', 'KEYSLOT', key);
      expect(await client.say('CLUSTER', 'KEYSLOT', key)).toBe(slot);
      expect(await client.say('CLUSTER', 'COUNTKEYSINSLOT', slot.slice(1))).toBe(':1');
      const keys = itemsOf(await client.ask('CLUSTER', 'GETKEYSINSLOT', slot.slice(1), 10)).map(textOf);
      expect(keys).toEqual([key]);
    }
    for (const args of [
      ['COUNTKEYSINSLOT', '16384'],
      ['COUNTKEYSINSLOT', 'x'],
      ['GETKEYSINSLOT', '-1', '1'],
      ['KEYSLOT'],
      ['nonsense'],
      [],
    ]) {
      expect(await client.say('CLUSTER', ...args)).toBe(await direct.say('CLUSTER', ...args));
    }
  });

  it('refuses to change the cluster', async () => {
    const client = await wire(proxies.cluster.port);
    for (const change of [
      'MEET 127.0.0.1 1',
      'FORGET x',
      'SETSLOT 1 STABLE',
      'FLUSHSLOTS',
      'RESET',
      'FAILOVER',
      'SAVECONFIG',
      'BUMPEPOCH',
    ]) {
      expect(await client.say('CLUSTER', ...change.split(' '))).toMatch(/^-NOPERM heatsink: CLUSTER /);
    }
  });

  it('announces the configured address, by which the id stays the same', async () => {
    const client = await wire(proxies.announced.port);
    const text = textOf(await client.ask('CLUSTER', 'NODES'));
    expect(text).toContain(' redis.example.com:7000@0 myself,master ');
    const flags = { 'cluster-announce': 'redis.example.com:7000' };
    const again = await startProxy({ upstream: alone.url, flags: { ...flags, 'cluster-facade': 'on' } });
    open.push(() => again.close());
    expect(textOf(await (await wire(again.port)).ask('CLUSTER', 'NODES'))).toBe(text);
  });

  it('of one server is what the server says, unless heatsink shows it as a cluster', async () => {
    const direct = await wire(alone.port);
    const client = await wire(proxies.alone.port);
    const lines = [
      'CLUSTER SLOTS',
      'CLUSTER INFO',
      'CLUSTER KEYSLOT x',
      'CLUSTER',
      'CLUSTER nonsense',
      'READONLY',
    ];
    for (const line of [...lines, 'READWRITE', 'ASKING', 'READONLY x']) {
      const args = line.split(' ');
      expect([line, await client.say(...args)]).toEqual([line, await direct.say(...args)]);
    }
    const shown = await wire(proxies.shown.port);
    expect(textOf(await shown.ask('CLUSTER', 'INFO'))).toMatch(/^cluster_state:ok\r/);
    expect(textOf(await shown.ask('INFO', 'cluster'))).toBe('# Cluster\r\ncluster_enabled:1\r\n');
  });

  it.each(['cluster', 'shown'] as const)(
    'READONLY, READWRITE and ASKING are accepted: %s',
    async (upstream) => {
      const client = await wire(proxies[upstream].port);
      for (const command of ['READONLY', 'READWRITE', 'ASKING'])
        expect(await client.say(command)).toBe('+OK');
      expect(await client.say('SET', 'k', 'v')).toBe('+OK');
    },
  );
});

describe('keys of several slots', () => {
  it('in one command that takes them to one shard get the words of a cluster', async () => {
    const client = await wire(proxies.cluster.port);
    await client.say('MSET', 'a', '1', 'b', '2');
    const lines = [
      ...['RENAME a b', 'RENAMENX a b', 'COPY a b', 'SMOVE a b x', 'MSETNX a 1 b 2', 'SORT a STORE b'],
      ...[
        'SINTERSTORE a b c',
        'SUNIONSTORE a b c',
        'SDIFFSTORE a b c',
        'ZUNIONSTORE a 2 b c',
        'ZRANGESTORE a b 0 1',
      ],
      ...[
        'LMOVE a b LEFT LEFT',
        'RPOPLPUSH a b',
        'BITOP AND a b c',
        'PFMERGE a b',
        'GEOSEARCHSTORE a b FROMMEMBER x BYRADIUS 1 m',
      ],
    ];
    for (const line of lines) {
      expect([line, await client.say(...line.split(' '))]).toEqual([
        line,
        "-CROSSSLOT Keys in request don't hash to the same slot",
      ]);
    }
  });
});
