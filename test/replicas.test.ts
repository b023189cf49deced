// Reads that a rule sends to replicas, while all is well: which go there, which do not, and what stays exact.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Offsets, parseReplication } from '../src/upstream/replication.ts';
import { createAuthority } from './support/certificates.ts';
import type { RunningProxy } from './support/heatsink.ts';
import { type Cluster, cmdstat, type RedisProcess, startCluster, waitFor } from './support/redis.ts';
import {
  keyOfEach,
  Readers,
  readsAtReplicas,
  runsDuring,
  startReading,
  untilSpread,
} from './support/replica-setup.ts';
import { beginSlotMove } from './support/slot-move.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function proxyFor(upstream: string, flags: Record<string, string> = {}): Promise<RunningProxy> {
  const proxy = await startReading({ upstream, flags });
  open.push(() => proxy.close());
  return proxy;
}

async function connect(proxy: RunningProxy, protocol: 2 | 3 = 2): Promise<Wire> {
  const wire = await Wire.open(proxy.port, protocol);
  open.push(() => wire.close());
  return wire;
}

let cluster: Cluster;
let masters: RedisProcess[];
let replicas: RedisProcess[];

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicas: 1 });
  open.push(() => cluster.stop());
  masters = cluster.nodes.slice(0, 3);
  replicas = cluster.nodes.slice(3);
});

describe('reads of a cluster', () => {
  let proxy: RunningProxy;
  let keys: string[];

  beforeAll(async () => {
    proxy = await proxyFor(cluster.url);
    keys = await keyOfEach(cluster, masters);
    const wire = await connect(proxy);
    for (const key of keys) await wire.ask('SET', key, `value of ${key}`);
    for (const key of keys) await wire.ask('RPUSH', `${key}:{${key}}`, 'a', 'b', 'c');
    await wire.ask('WAIT', 1, 1000);
    await untilSpread(proxy, keys);
  });

  it('go to the replica of the node that owns the key, in both protocols, cacheable or not', async () => {
    const [old, modern] = [await connect(proxy), await connect(proxy, 3)];
    const reads = [['GET'], ['STRLEN'], ['TTL'], ['OBJECT', 'ENCODING'], ['TYPE'], ['DUMP']];
    for (const wire of [old, modern]) {
      // A client's first reads may have to wait for a connection in its protocol, which nobody does.
      await wire.ask('TYPE', keys[0]);
      await waitFor(async () => {
        const [runs] = await runsDuring([replicas[0]], 'get', () => wire.ask('GET', keys[0]));
        return runs === 1;
      });
      for (const command of reads) {
        const name = command.join('|').toLowerCase();
        const ask = async () => {
          for (let i = 0; i < 20; i++) await wire.ask(...command, keys[0]);
        };
        const runs = await runsDuring([replicas[0], ...masters], name, ask);
        expect([name, ...runs]).toEqual([name, 20, 0, 0, 0]);
      }
    }
    expect(await old.say('GET', keys[1])).toBe(`$${keys[1].length + 9}\r\nvalue of ${keys[1]}`);
    expect(await modern.say('LRANGE', `${keys[2]}:{${keys[2]}}`, 0, -1)).toBe(
      '*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc',
    );
    for (const replica of replicas) expect(await cmdstat(replica, 'readonly')).toBeGreaterThan(0);
    for (const master of masters) expect(await cmdstat(master, 'readonly')).toBe(0);
  });

  it('of other keys, and what is no read of one key, go to the primary', async () => {
    const wire = await connect(proxy);
    const [key] = keys;
    const other = `other:{${key}}`;
    const primary = [masters[0], replicas[0]];
    const list: [name: string, args: string[]][] = [
      ['get', ['GET', other]],
      ['getdel', ['GETDEL', key]],
      ['mget', ['MGET', key, other]],
      ['eval_ro', ['EVAL_RO', 'return redis.call("STRLEN", KEYS[1])', '1', key]],
    ];
    for (const [name, args] of list) {
      expect([name, ...(await runsDuring(primary, name, () => wire.ask(...args)))]).toEqual([name, 1, 0]);
    }
    const transaction = async () => {
      wire.sendAll([['MULTI'], ['GET', key], ['EXEC']]);
      await wire.replies(3);
    };
    expect(await runsDuring(primary, 'get', transaction)).toEqual([1, 0]);
    await wire.ask('WATCH', key);
    expect(await runsDuring(primary, 'get', () => wire.ask('GET', key))).toEqual([1, 0]);
    await wire.ask('UNWATCH');
  });

  it('see what their client has waited for with WAIT', async () => {
    const wire = await connect(proxy);
    for (let i = 0; i < 50; i++) {
      await wire.ask('SET', keys[0], `waited for ${i}`);
      expect(await wire.say('WAIT', 1, 2000)).toBe(':1');
      expect(await wire.say('GET', keys[0])).toContain(`waited for ${i}`);
    }
  });

  it('keep the order of their client: never what it writes later, and what it writes ahead in one go', async () => {
    const wire = await connect(proxy);
    const [key] = keys;
    let before = '$-1';
    await wire.ask('DEL', key);
    await wire.ask('WAIT', 1, 2000);
    const sent = await readsAtReplicas(proxy);
    for (let i = 0; i < 300; i++) {
      const value = `step ${i}`;
      wire.sendAll([
        ['GET', key],
        ['SET', key, value],
        ['GET', key],
      ]);
      const [first, , second] = (await wire.replies(3)).map((reply) => reply.toString().slice(0, -2));
      const now = `$${value.length}\r\n${value}`;
      if (first === now) throw new Error(`read ${value} before it was written`);
      expect(second).toBe(now);
      if (i % 3 === 0) await wire.ask('WAIT', 1, 2000);
      if (i % 3 === 1) expect(first).toBe(before);
      before = now;
    }
    expect((await readsAtReplicas(proxy)) - sent).toBeGreaterThan(200);
  });

  it('go on there after its connections were closed, with READONLY said again', async () => {
    const said = await cmdstat(replicas[0], 'readonly');
    await masters[0].call('SET', keys[0], 'kept');
    await replicas[0].call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    const wire = await connect(proxy);
    for (let i = 0; i < 100; i++) expect(await wire.say('GET', keys[0])).toBe('$4\r\nkept');
    await untilSpread(proxy, [keys[0]]);
    expect(await cmdstat(replicas[0], 'readonly')).toBeGreaterThan(said);
  });

  it('get the errors that the primary has for them', async () => {
    const wire = await connect(proxy);
    const refusals = async () =>
      (await proxy.metrics()).sum('heatsink_replica_fallbacks_total', { reason: 'refused' });
    const before = await refusals();
    const words = await wire.say('LLEN', keys[0]);
    expect(words).toBe('-WRONGTYPE Operation against a key holding the wrong kind of value');
    expect((await refusals()) - before).toBe(1);
    // That says nothing of the replica.
    await untilSpread(proxy, [keys[0]]);
  });

  it('of big keys are seen as those from a primary are', async () => {
    const key = `r:big:{${keys[0]}}`;
    await masters[0].call('SET', key, 'x'.repeat(50_000));
    await masters[0].call('WAIT', 1, 5000);
    const wire = await connect(proxy);
    const runs = await runsDuring([replicas[0]], 'get', () => wire.ask('GET', key));
    expect(runs).toEqual([1]);
    const { body } = await proxy.admin('/bigkeys');
    const rows = (body as { keys: { key: string; direction: string }[] }).keys;
    expect(rows.filter((row) => row.key === key)).toMatchObject([{ bytes: 50_000, command: 'get' }]);
  });

  it('of large values pass through from a replica', async () => {
    const large = 'x'.repeat(3_000_000);
    await masters[0].call('SET', `r:large:{${keys[0]}}`, large);
    await masters[0].call('WAIT', 1, 5000);
    const wire = await connect(proxy);
    const read = async () => {
      for (let i = 0; i < 3; i++) {
        const reply = await wire.ask('GET', `r:large:{${keys[0]}}`);
        expect(reply.length).toBe(large.length + 12);
        expect(reply.includes(large)).toBe(true);
      }
    };
    const [there, here] = await runsDuring([replicas[0], masters[0]], 'get', read);
    expect(there).toBeGreaterThanOrEqual(3);
    expect(here).toBe(0);
  });

  it('are exact while their key is hot and tracked, and fill the tier from the primary alone', async () => {
    const hot = await proxyFor(cluster.url, { 'hot-threshold': '2', 'hot-window': '10000' });
    const [key] = await keyOfEach(cluster, [masters[1]], 'hot:');
    await untilSpread(hot, [`r:{${key}}`]);
    const [writer, reader] = [await connect(hot), await connect(hot)];
    const hits = async () => (await hot.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
    await writer.ask('SET', key, 'first');
    await waitFor(async () => {
      for (let i = 0; i < 50; i++) await reader.ask('GET', key);
      return (await hits()) > 10;
    });
    const atReplica = await runsDuring([replicas[1]], 'get', async () => {
      for (let i = 0; i < 300; i++) {
        await writer.ask('SET', key, `value ${i}`);
        expect(await reader.say('GET', key)).toContain(`value ${i}`);
        expect(await reader.say('GET', key)).toContain(`value ${i}`);
      }
    });
    expect(atReplica).toEqual([0]);
  });

  it('are right while slots move, and after', async () => {
    const key = `r:moving:{${keys[0]}}`;
    const readers = new Readers(proxy.port, [key]);
    try {
      const wire = await connect(proxy);
      await wire.ask('SET', key, 'moved');
      await wire.ask('WAIT', 1, 2000);
      await readers.more(100);
      const move = await beginSlotMove(cluster, key);
      await move.migrate();
      // Answered by ASK, which tells that the slot is moving.
      expect(await wire.say('SET', key, 'moved')).toBe('+OK');
      for (let i = 0; i < 50; i++) expect(await wire.say('GET', key)).toBe('$5\r\nmoved');
      await move.finish();
      await waitFor(async () => (await wire.say('GET', key)) === '$5\r\nmoved', 5000);
      await readers.stop();
      const kinds = [...readers.replies.keys()].sort();
      // Missing at the replica of the old owner, as long as nobody has been told of the new one.
      expect(kinds.filter((kind) => kind !== '$-1\r\n' && kind !== '$5\r\nmoved\r\n')).toEqual([]);
      for (let i = 0; i < 50; i++) expect(await wire.say('GET', key)).toBe('$5\r\nmoved');
      await waitFor(
        async () => (await runsDuring([replicas[1]], 'get', () => wire.ask('GET', key)))[0] === 1,
        10_000,
      );
      expect(await wire.say('GET', key)).toBe('$5\r\nmoved');
    } finally {
      await readers.stop();
    }
  });
});

describe('users', () => {
  it('of the upstream read from replicas as themselves, and from the primary where a replica does not know them', async () => {
    const proxy = await proxyFor(cluster.url);
    const [key] = await keyOfEach(cluster, [masters[1]], 'r:user:');
    await masters[1].call('SET', key, 'seen');
    const everywhere = cluster.nodes.map((node) =>
      node.call('ACL', 'SETUSER', 'anna', 'on', '>secret', '~*', '+@all'),
    );
    await Promise.all(everywhere);
    const others = masters.map((node) => node.call('ACL', 'SETUSER', 'otto', 'on', '>secret', '~*', '+@all'));
    await Promise.all(others);
    await untilSpread(proxy, [key]);
    const anna = await connect(proxy);
    expect(await anna.say('AUTH', 'anna', 'secret')).toBe('+OK');
    await waitFor(async () => {
      const [runs] = await runsDuring([replicas[1]], 'get', () => anna.ask('GET', key));
      return runs === 1;
    });
    expect(String(await replicas[1].call('CLIENT', 'LIST'))).toMatch(/ cmd=get user=anna /);
    const otto = await connect(proxy);
    expect(await otto.say('AUTH', 'otto', 'secret')).toBe('+OK');
    const runs = await runsDuring([masters[1], replicas[1]], 'get', async () => {
      for (let i = 0; i < 50; i++) expect(await otto.say('GET', key)).toBe('$4\r\nseen');
    });
    expect(runs).toEqual([50, 0]);
  });
});

describe('two workers', () => {
  it('read from replicas, each over connections of its own', async () => {
    const proxy = await proxyFor(cluster.url, { workers: '2' });
    const keys = await keyOfEach(cluster, masters);
    await untilSpread(proxy, keys);
    const readers = new Readers(proxy.port, keys, 8);
    await readers.more(1000);
    const runs = await runsDuring(cluster.nodes, 'get', () => readers.more(2000));
    await readers.stop();
    const [atMasters, atReplicas] = [runs.slice(0, 3), runs.slice(3)].map((part) =>
      part.reduce((a, b) => a + b),
    );
    expect(atReplicas).toBeGreaterThan(2000);
    expect(atMasters).toBeLessThan(atReplicas / 20);
    expect((await proxy.metrics()).sum('heatsink_replica_fit')).toBe(3);
  });
});

describe('without such a rule', () => {
  it('nothing is known of replicas, and nobody connects to them', async () => {
    const proxy = await startReading({ upstream: cluster.url, rules: [{ match: 'r:*', reads: 'primary' }] });
    open.push(() => proxy.close());
    const wire = await connect(proxy);
    const runs = await runsDuring(replicas, 'readonly', async () => {
      for (let i = 0; i < 100; i++) await wire.ask('GET', `r:${i}`);
    });
    expect(runs).toEqual([0, 0, 0]);
    expect((await proxy.metrics()).sum('heatsink_replica_fit')).toBe(0);
  });
});

describe('TLS', () => {
  it('is spoken to replicas as to primaries', async () => {
    const authority = createAuthority();
    open.push(() => authority.remove());
    const tls = authority.issue('127.0.0.1');
    const secured = await startCluster({ masters: 3, replicas: 1, tls: { ca: authority.ca, ...tls } });
    open.push(() => secured.stop());
    const proxy = await proxyFor(secured.url, {
      'nodes-tls-ca': authority.ca,
      'nodes-tls-cert': tls.cert,
      'nodes-tls-key': tls.key,
    });
    await untilSpread(proxy, await keyOfEach(secured, secured.nodes.slice(0, 3)));
  });
});

describe('how late a replica is', () => {
  const master = (offset: number, id = 'abc') =>
    parseReplication(
      `# Replication\r\nrole:master\r\nmaster_replid:${id}\r\nmaster_repl_offset:${offset}\r\n`,
    );
  const replica = (offset: number, id = 'abc') =>
    parseReplication(
      `role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:${offset}\r\nmaster_replid:${id}\r\nmaster_repl_offset:9\r\n`,
    );

  it('is told by the last moment of its primary of which it has everything', () => {
    const offsets = new Offsets();
    offsets.add(1000, master(50));
    offsets.add(2000, master(70));
    offsets.add(3000, master(70));
    expect(offsets.coveredBy(replica(49))).toBe(Number.NEGATIVE_INFINITY);
    expect(offsets.coveredBy(replica(69))).toBe(1000);
    expect(offsets.coveredBy(replica(70))).toBe(3000);
    expect(offsets.coveredBy(replica(71))).toBe(3000);
  });

  it('is not known of one with another history, nor when the primary has another one than before', () => {
    const offsets = new Offsets();
    offsets.add(1000, master(50));
    expect(offsets.coveredBy(replica(50, 'other'))).toBe(Number.NEGATIVE_INFINITY);
    expect(offsets.differsFrom(replica(50, 'other'))).toBe(true);
    expect(offsets.differsFrom(replica(50))).toBe(false);
    offsets.add(2000, master(60, 'new'));
    expect(offsets.coveredBy(replica(55, 'new'))).toBe(Number.NEGATIVE_INFINITY);
    offsets.add(3000, parseReplication('role:slave\r\nmaster_replid:new\r\nslave_repl_offset:60\r\n'));
    expect(offsets.coveredBy(replica(70, 'new'))).toBe(Number.NEGATIVE_INFINITY);
  });

  it('is not told by a server without the words for it', () => {
    const offsets = new Offsets();
    offsets.add(1000, parseReplication('role:master\r\n'));
    expect(offsets.coveredBy(parseReplication(''))).toBe(Number.NEGATIVE_INFINITY);
  });
});
