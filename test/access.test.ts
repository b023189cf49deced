// Who may do what: heatsink's own users, and those of the upstream handed through to it.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { Identities } from '../src/access/identities.ts';
import { KeyPatterns } from '../src/access/key-patterns.ts';
import type { Identity } from '../src/upstream/space.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, type RedisProcess, startCluster, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
const directory = mkdtempSync(join(tmpdir(), 'heatsink-access-'));
const HOT = { 'hot-threshold': '2', 'hot-window': '10000' };
const NOAUTH = '-NOAUTH Authentication required.';
const WRONGPASS = '-WRONGPASS invalid username-password pair or user is disabled.';
const NOT_THESE_KEYS = '-NOPERM this user has no permissions to access one of the keys used as arguments';
const notTo = (name: string) => `-NOPERM this user has no permissions to run the '${name}' command`;

afterAll(async () => {
  for (const close of open.reverse()) await close();
  rmSync(directory, { recursive: true });
});

const sha = (password: string) => `#${createHash('sha256').update(password).digest('hex')}`;

let files = 0;
async function proxyWith(upstream: string, config: object): Promise<RunningProxy> {
  const file = join(directory, `${++files}.yaml`);
  writeFileSync(file, stringify(config));
  const proxy = await startProxy({ upstream, flags: HOT, file });
  open.push(() => proxy.close());
  return proxy;
}

function connect(to: { port: number }): Wire {
  const wire = new Wire(to.port);
  open.push(() => wire.close());
  return wire;
}

async function loggedIn(to: { port: number }, ...login: string[]): Promise<Wire> {
  const wire = connect(to);
  expect(await wire.say('AUTH', ...login)).toBe('+OK');
  return wire;
}

async function hits(proxy: RunningProxy): Promise<number> {
  return (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
}

/** Reads until the reply comes from the tier. */
async function heat(proxy: RunningProxy, reader: Wire, ...command: string[]): Promise<void> {
  const before = await hits(proxy);
  await waitFor(async () => {
    for (let i = 0; i < 20; i++) await reader.ask(...command);
    return (await hits(proxy)) > before;
  });
}

let upstream: RedisProcess;

beforeAll(async () => {
  upstream = await startRedis();
  open.push(() => upstream.stop());
});

describe("heatsink's own users", () => {
  let proxy: RunningProxy;

  beforeAll(async () => {
    proxy = await proxyWith(upstream.url, {
      users: [
        { name: 'default', password: sha('secret') },
        { name: 'app', password: [sha('old'), sha('new')], keys: ['app:*', 'shared'] },
        { name: 'viewer', nopass: true, readOnly: true },
        { name: 'ops', password: sha('ops'), admin: true },
      ],
    });
  });

  it('must show who they are first, in words of a server with a password', async () => {
    const server = await startRedis({ args: ['--requirepass', 'secret'] });
    open.push(() => server.stop());
    const lines: string[][] = [
      ['GET', 'k'],
      ['PING'],
      ['MULTI'],
      ['CLIENT', 'ID'],
      ['SELECT', '1'],
      ['HELLO'],
      ['HELLO', '3'],
      ['HELLO', '9'],
      ['HELLO', '3', 'AUTH', 'default', 'wrong'],
      ['HELLO', '3', 'AUTH', 'nobody', 'secret'],
      ['AUTH', 'wrong'],
      ['AUTH', 'default', 'wrong'],
      ['AUTH', 'a', 'b', 'c'],
      ['AUTH'],
      ['RESET'],
      ['GET', 'k'],
      ['AUTH', 'secret'],
      ['GET', 'k'],
      ['RESET'],
      ['GET', 'k'],
      ['AUTH', 'default', 'secret'],
      ['PING'],
      ['QUIT'],
    ];
    const [here, there] = [connect(proxy), connect(server)];
    for (const line of lines) {
      expect([line, await here.say(...line)]).toEqual([line, await there.say(...line)]);
    }
  });

  it('log in by HELLO too, and ACL WHOAMI and CLIENT INFO name them', async () => {
    const wire = connect(proxy);
    expect(await wire.say('HELLO', '3', 'AUTH', 'ops', 'ops', 'SETNAME', 'me')).toContain('server');
    expect(await wire.say('ACL', 'WHOAMI')).toBe('$3\r\nops');
    expect(await wire.say('CLIENT', 'INFO')).toContain(' user=ops ');
    expect(await wire.say('AUTH', 'ops', 'no')).toBe(WRONGPASS);
    expect(await wire.say('ACL', 'WHOAMI')).toBe('$3\r\nops');
  });

  it('may have several passwords, or none', async () => {
    await loggedIn(proxy, 'app', 'old');
    await loggedIn(proxy, 'app', 'new');
    await loggedIn(proxy, 'viewer', 'anything');
    expect(await connect(proxy).say('AUTH', 'app', sha('new'))).toBe(WRONGPASS);
  });

  it('touch the keys of their patterns only', async () => {
    const wire = await loggedIn(proxy, 'app', 'new');
    await upstream.call('SET', 'other', 'hidden');
    expect(await wire.say('SET', 'app:1', 'x')).toBe('+OK');
    expect(await wire.say('GET', 'other')).toBe(NOT_THESE_KEYS);
    expect(await wire.say('MGET', 'app:1', 'other')).toBe(NOT_THESE_KEYS);
    expect(await wire.say('RENAME', 'app:1', 'other')).toBe(NOT_THESE_KEYS);
    expect(await wire.say('SORT', 'app:1', 'STORE', 'other')).toBe(NOT_THESE_KEYS);
    expect(await wire.say('SORT', 'app:1', 'BY', 'other*', 'GET', '#')).toMatch(
      /^-ERR BY option of SORT denied/,
    );
    expect(await wire.say('SORT', 'app:1', 'GET', 'other*')).toMatch(/^-ERR GET option of SORT denied/);
    expect(await wire.say('BLPOP', 'app:1', 'other', '1')).toBe(NOT_THESE_KEYS);
    expect(await wire.say('WATCH', 'other')).toBe(NOT_THESE_KEYS);
    expect(await wire.say('MGET', 'app:1', 'shared')).toMatch(/^\*2/);
    expect(await wire.say('GET')).toBe("-ERR wrong number of arguments for 'get' command");
  });

  it('restricted to keys, send nothing that shows or changes others', async () => {
    const wire = await loggedIn(proxy, 'app', 'new');
    const refused = [
      ...['KEYS *', 'SCAN 0', 'RANDOMKEY', 'DBSIZE', 'FLUSHALL', 'FLUSHDB', 'SWAPDB 0 1', 'SCRIPT FLUSH'],
      ...[
        'EVAL return(1) 0',
        'EVAL return(1) 1 app:1',
        'EVAL_RO x 1 app:1',
        'FCALL f 1 app:1',
        'SLOWLOG GET',
      ],
      ...['CLIENT LIST', 'CLUSTER GETKEYSINSLOT 1 1', 'SCRIPT LOAD x', 'FUNCTION LIST'],
    ];
    for (const line of refused) {
      const [name, sub] = line.toLowerCase().split(' ');
      const full = ['script', 'slowlog', 'client', 'cluster', 'function'].includes(name)
        ? `${name}|${sub}`
        : name;
      expect([line, await wire.say(...line.split(' '))]).toEqual([line, notTo(full)]);
    }
    expect(await wire.say('MONITOR')).toMatch(/^-NOPERM heatsink: MONITOR is for admins only/);
    expect(await wire.say('CLIENT', 'TRACKING', 'ON', 'BCAST')).toBe(NOT_THESE_KEYS);
    expect(await wire.say('MODULE.THING', 'x')).toBe(notTo('module.thing'));
    for (const line of [
      'PING',
      'TIME',
      'INFO server',
      'CLIENT ID',
      'COMMAND COUNT',
      'SELECT 0',
      'PUBLISH c m',
    ])
      expect([line, await wire.say(...line.split(' '))]).toEqual([line, expect.not.stringMatching(/^-/)]);
  });

  it('that are read-only write nothing', async () => {
    const wire = await loggedIn(proxy, 'viewer', '');
    await upstream.call('SET', 'seen', 'x');
    for (const line of [
      'SET k v',
      'EVAL return(1) 1 k',
      'FLUSHALL',
      'SCRIPT FLUSH',
      'SORT k STORE l',
      'GETEX k',
    ]) {
      const [name, sub] = line.toLowerCase().split(' ');
      expect([line, await wire.say(...line.split(' '))]).toEqual([
        line,
        notTo(name === 'script' ? `${name}|${sub}` : name),
      ]);
    }
    expect(await wire.say('GET', 'seen')).toBe('$1\r\nx');
    expect(await wire.say('WATCH', 'seen')).toBe('+OK');
    expect(await wire.say('UNWATCH')).toBe('+OK');
    expect(await wire.say('KEYS', 'seen')).toBe('*1\r\n$4\r\nseen');
  });

  it('fail their transaction with what they may not send', async () => {
    const wire = await loggedIn(proxy, 'app', 'new');
    wire.sendAll([['MULTI'], ['SET', 'app:t', '1'], ['SET', 'other', '1'], ['EXEC'], ['GET', 'app:t']]);
    const replies = (await wire.replies(5)).map((reply) => reply.toString('latin1').slice(0, -2));
    expect(replies[2]).toBe(NOT_THESE_KEYS);
    expect(replies[3]).toMatch(/^-EXECABORT /);
    expect(replies[4]).toBe('$-1');
  });

  it('share the tier, each within its keys', async () => {
    const [all, app] = [await loggedIn(proxy, 'secret'), await loggedIn(proxy, 'app', 'new')];
    await all.say('SET', 'app:hot', 'warm');
    await all.say('SET', 'hidden:hot', 'warm');
    await heat(proxy, all, 'GET', 'app:hot');
    await heat(proxy, all, 'GET', 'hidden:hot');
    const before = await hits(proxy);
    expect(await app.say('GET', 'app:hot')).toBe('$4\r\nwarm');
    expect(await hits(proxy)).toBe(before + 1);
    expect(await app.say('GET', 'hidden:hot')).toBe(NOT_THESE_KEYS);
    expect(await connect(proxy).say('GET', 'hidden:hot')).toBe(NOAUTH);
    expect(await all.say('RESET')).toBe('+RESET');
    expect(await all.say('GET', 'hidden:hot')).toBe(NOAUTH);
  });
});

it('a user default without password is who everybody begins as', async () => {
  const users = [
    { name: 'default', nopass: true, keys: 'public:*' },
    { name: 'app', password: sha('pw') },
  ];
  const proxy = await proxyWith(upstream.url, { users });
  const wire = connect(proxy);
  expect(await wire.say('GET', 'public:1')).toBe('$-1');
  expect(await wire.say('GET', 'private')).toBe(NOT_THESE_KEYS);
  expect(await wire.say('AUTH', 'x')).toMatch(/^-ERR AUTH <password> called without any password/);
  expect(await wire.say('HELLO', '2', 'AUTH', 'app', 'pw')).toMatch(/^\*14/);
  expect(await wire.say('GET', 'private')).toBe('$-1');
});

describe('users of the upstream', () => {
  let server: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    server = await startRedis();
    open.push(() => server.stop());
    await server.call('ACL', 'SETUSER', 'alice', 'on', '>a', '~a:*', '~shared', '+@all');
    await server.call(
      'ACL',
      'SETUSER',
      'bob',
      'on',
      '>b',
      '~b:*',
      '~shared',
      '+@all',
      '-config',
      '-client|tracking',
    );
    await server.call('ACL', 'SETUSER', 'heatsink', 'on', '>h', '~*', '+@all');
    proxy = await proxyWith(server.url.replace('//', '//heatsink:h@'), { auth: 'upstream' });
  });

  it('are let in and refused by its words alone', async () => {
    const [here, there] = [connect(proxy), connect(server)];
    const lines: string[][] = [
      ['AUTH', 'x'],
      ['AUTH', 'alice', 'wrong'],
      ['AUTH', 'carol', 'x'],
      ['AUTH', 'a', 'b', 'c'],
      ['AUTH', 'alice', 'a'],
      ['ACL', 'WHOAMI'],
      ['GET', 'b:1'],
      ['GET', 'a:1'],
      ['AUTH', 'bob', 'nonsense'],
      ['ACL', 'WHOAMI'],
      ['HELLO', '3', 'AUTH', 'bob', 'x'],
      ['RESET'],
      ['ACL', 'WHOAMI'],
    ];
    for (const line of lines)
      expect([line, await here.say(...line)]).toEqual([line, await there.say(...line)]);
    expect(await here.say('HELLO', '3', 'AUTH', 'bob', 'b', 'SETNAME', 'n')).toMatch(/^%7/);
    expect(await here.say('ACL', 'WHOAMI')).toBe('$3\r\nbob');
    expect(await here.say('GET', 'a:1')).toMatch(/^-NOPERM /);
    expect(await here.say('CLIENT', 'INFO')).toContain(' user=bob ');
  });

  it('keep the order of what they pipeline behind AUTH', async () => {
    const wire = connect(proxy);
    wire.sendAll([
      ['AUTH', 'alice', 'a'],
      ['SET', 'a:order', '1'],
      ['AUTH', 'bob', 'b'],
      ['GET', 'a:order'],
      ['AUTH', 'alice', 'a'],
      ['GET', 'a:order'],
    ]);
    const replies = (await wire.replies(6)).map((reply) => reply.toString('latin1').slice(0, -2));
    expect(replies).toEqual(['+OK', '+OK', '+OK', expect.stringMatching(/^-NOPERM /), '+OK', '$1\r\n1']);
  });

  it('never get what was kept for another, and are served from the tier themselves', async () => {
    const [alice, bob] = [await loggedIn(proxy, 'alice', 'a'), await loggedIn(proxy, 'bob', 'b')];
    const nobody = connect(proxy);
    await alice.say('SET', 'a:hot', 'secret');
    await heat(proxy, alice, 'GET', 'a:hot');
    expect(await bob.say('GET', 'a:hot')).toMatch(/^-NOPERM /);
    expect(await nobody.say('GET', 'a:hot')).toBe('$6\r\nsecret');
    await server.call('ACL', 'SETUSER', 'alice', 'resetkeys', '~shared');
    await waitFor(async () => (await alice.say('GET', 'a:hot')).startsWith('-NOPERM'), 2500);
    await server.call('ACL', 'SETUSER', 'alice', '~a:*');
    await heat(proxy, alice, 'GET', 'a:hot');
    await server.call('SET', 'a:hot', 'changed');
    await waitFor(async () => (await alice.say('GET', 'a:hot')).endsWith('changed'), 500, 1);
  });

  it('that may not be tracked are only not kept for', async () => {
    const bob = await loggedIn(proxy, 'bob', 'b');
    await bob.say('SET', 'b:hot', 'x');
    const before = await hits(proxy);
    for (let i = 0; i < 50; i++) expect(await bob.say('GET', 'b:hot')).toBe('$1\r\nx');
    expect(await hits(proxy)).toBe(before);
  });

  it('are themselves in transactions, subscriptions and on connections of their own', async () => {
    const alice = await loggedIn(proxy, 'alice', 'a');
    alice.sendAll([['MULTI'], ['SET', 'a:m', '1'], ['ACL', 'WHOAMI'], ['EXEC']]);
    expect((await alice.replies(4))[3].toString()).toBe('*2\r\n+OK\r\n$5\r\nalice\r\n');
    expect(await alice.say('WATCH', 'a:m')).toBe('+OK');
    expect(await alice.say('AUTH', 'bob', 'b')).toBe('+OK');
    expect(await alice.say('GET', 'a:m')).toMatch(/^-NOPERM /);
    expect(await alice.say('ACL', 'WHOAMI')).toBe('$3\r\nbob');
    expect(await alice.say('BLPOP', 'a:list', '1')).toMatch(/^-NOPERM /);
  });

  it('are admins where the server lets them read its CONFIG', async () => {
    const [alice, bob] = [await loggedIn(proxy, 'alice', 'a'), await loggedIn(proxy, 'bob', 'b')];
    expect(await alice.say('CONFIG', 'RESETSTAT')).toBe('+OK');
    expect(await bob.say('CONFIG', 'RESETSTAT')).toMatch(
      /^-NOPERM heatsink: CONFIG RESETSTAT is for admins only/,
    );
  });
});

it('an upstream with a password is asked what it says to who gives none', async () => {
  const server = await startRedis({ args: ['--requirepass', 'secret'] });
  open.push(() => server.stop());
  const proxy = await proxyWith(server.url.replace('//', '//:secret@'), { auth: 'upstream' });
  const [here, there] = [connect(proxy), connect(server)];
  const lines: string[][] = [
    ['GET', 'k'],
    ['CLIENT', 'GETNAME'],
    ['SELECT', '0'],
    ['MULTI'],
    ['CONFIG', 'SET', 'maxmemory', '0'],
    ['SUBSCRIBE', 'c'],
    ['HELLO', '3'],
    ['HELLO'],
    ['AUTH', 'wrong'],
    ['HELLO', '3', 'AUTH', 'default', 'wrong'],
    ['GET', 'k'],
    ['AUTH', 'secret'],
    ['GET', 'k'],
    ['CLIENT', 'GETNAME'],
    ['RESET'],
    ['GET', 'k'],
  ];
  for (const line of lines) expect([line, await here.say(...line)]).toEqual([line, await there.say(...line)]);
  const operator = await loggedIn(server, 'secret');
  expect(await operator.say('CONFIG', 'SET', 'requirepass', '')).toBe('+OK');
  expect(await here.say('CLIENT', 'GETNAME')).toBe('$-1');
});

describe('on a cluster, users of the upstream', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 2 });
    open.push(() => cluster.stop());
  });

  it('are themselves on every node', async () => {
    for (const node of cluster.nodes) await node.call('ACL', 'SETUSER', 'alice', 'on', '>a', '~a:*', '+@all');
    const proxy = await proxyWith(cluster.url, { auth: 'upstream' });
    const alice = await loggedIn(proxy, 'alice', 'a');
    for (let i = 0; i < 20; i++) {
      expect(await alice.say('SET', `a:${i}`, 'x')).toBe('+OK');
      expect(await alice.say('GET', `b:${i}`)).toMatch(/^-NOPERM /);
    }
    await heat(proxy, alice, 'GET', 'a:1');
  });
});

it('connections of a user of the upstream are closed a while after its last client, and bounded in number', () => {
  const closed: Identity[] = [];
  const identities = new Identities({ most: 2, idle: 100, close: (identity) => closed.push(identity) });
  const [a, again, b] = [identities.take('a', '1'), identities.take('a', '1'), identities.take('b', '1')];
  if (a === null || b === null) throw new Error('refused');
  expect(again).toBe(a);
  expect(identities.take('a', '2')).toBeNull();
  identities.give(a, 0);
  identities.sweep(1000);
  expect(identities.take('c', '')).toBeNull();
  identities.give(a, 1000);
  identities.sweep(1099);
  expect(closed).toEqual([]);
  identities.sweep(1100);
  expect(closed).toEqual([a]);
  expect(identities.take('a', '1')).not.toBe(a);
  identities.give(b, 1200);
  expect(identities.take('c', '')).not.toBeNull();
  expect(closed).toEqual([a, b]);
  expect(identities.size).toBe(2);
});

it('key patterns match as those of the server do', async () => {
  const patterns = [
    ...[
      '*',
      'a*',
      '*a',
      'a*b*c',
      '?',
      'a?c',
      '[abc]',
      '[^a]x',
      '[a-c]1',
      '[c-a]1',
      '\\*',
      'a\\',
      '[\\]]',
      '[a',
      '**',
    ],
    ...['é*', '*[0-9]', '[^', 'x[a-', '[a-]', '[]', 'h[^e]llo', '*a*b', '[^]'],
  ];
  // Not the empty key: in Redis `*` matches it, and `**` does not.
  const keys = 'a b ab abc aXbYc a1 c1 bx ax * a\\ ] é1 hello hallo -'.split(' ');
  for (const pattern of patterns) {
    await upstream.call('ACL', 'SETUSER', 'glob', 'reset', 'on', 'nopass', '+@all', `~${pattern}`);
    const own = new KeyPatterns([pattern]);
    for (const key of keys) {
      const verdict = await upstream.call('ACL', 'DRYRUN', 'glob', 'GET', key);
      const bytes = Buffer.from(key);
      expect([pattern, key, own.match(bytes, 0, bytes.length)]).toEqual([pattern, key, verdict === 'OK']);
    }
  }
});

it('a key made to cost a pattern of many stars dear does not', () => {
  const key = Buffer.alloc(200_000, 'a');
  expect(new KeyPatterns(['*a*a*a*a*a*a*a*b']).match(key, 0, key.length)).toBe(false);
});
