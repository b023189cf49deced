// The commands that are not for everybody: what is refused to whom by default, and how the configuration changes it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Level } from '../src/access/guarded.ts';
import { isLoopback } from '../src/access/login.ts';
import { Permit } from '../src/access/permit.ts';
import { Policy } from '../src/access/policy.ts';
import { EVERYTHING } from '../src/access/rights.ts';
import { Users } from '../src/access/users.ts';
import { ADMIN_ONLY, ALLOWED, DENIED } from '../src/commands/command.ts';
import { CommandTable } from '../src/commands/table.ts';
import { startProxy } from './support/heatsink.ts';
import { frameOf } from './support/raw-redis.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
const directory = mkdtempSync(join(tmpdir(), 'heatsink-policy-'));
let server: RedisProcess;
let commands: unknown;

beforeAll(async () => {
  server = await startRedis({ args: ['--enable-debug-command', 'yes'] });
  open.push(() => server.stop());
  commands = await server.call('COMMAND');
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
  rmSync(directory, { recursive: true });
});

/** What a client gets for that line: the refusal, or null. */
function refusal(line: string, admin: boolean, rules: Record<string, Level> = {}): string | null {
  const policy = new Policy(rules);
  const table = CommandTable.from(commands, (name, flagged) => policy.guardOf(name, flagged));
  const frame = frameOf(...line.split(' '));
  const reply = new Permit(policy).refusal({ ...EVERYTHING, admin }, frame, table.find(frame));
  return reply?.toString().slice(0, -2) ?? null;
}

const ADMINISTRATIVE = [
  ...[
    'CONFIG SET maxmemory 1',
    'config rewrite',
    'CONFIG RESETSTAT',
    'MONITOR',
    'DEBUG SLEEP 0',
    'DEBUG JMAP',
  ],
  ...['SAVE', 'BGSAVE', 'BGREWRITEAOF', 'ACL SETUSER x', 'ACL LIST', 'MODULE LOAD x', 'SLOWLOG RESET'],
  ...['LATENCY RESET', 'SCRIPT KILL', 'FUNCTION KILL', 'CLIENT KILL x', 'CLIENT PAUSE 1', 'MEMORY PURGE'],
  ...['REPLICAOF NO ONE', 'SLAVEOF NO ONE', 'SYNC', 'PSYNC ? -1', 'REPLCONF x 1'],
  ...['MIGRATE h 1 k 0 1', 'RESTORE-ASKING k 0 x'],
  ...['CONFIG GET requirepass', 'CONFIG GET *', 'CONFIG GET maxmemory m*', 'PFDEBUG ENCODING k'],
];
const FATAL = ['SHUTDOWN', 'FAILOVER', 'DEBUG SEGFAULT', 'debug panic', 'CLUSTER RESET', 'CLUSTER MEET h 1'];
const HARMLESS = [
  ...[
    'GET k',
    'KEYS *',
    'FLUSHALL',
    'FLUSHDB',
    'SWAPDB 0 1',
    'CLIENT SETINFO LIB-NAME x',
    'CONFIG GET maxmemory',
  ],
  ...[
    'CONFIG GET save',
    'INFO',
    'COMMAND',
    'COMMAND DOCS',
    'CLUSTER SLOTS',
    'CLUSTER SHARDS',
    'CLIENT LIST',
    'CLIENT ID',
  ],
  ...[
    'SLOWLOG GET',
    'LATENCY LATEST',
    'MEMORY USAGE k',
    'ACL WHOAMI',
    'SCRIPT LOAD x',
    'FUNCTION LIST',
    'MODULE LIST',
  ],
  ...['CLIENT NO-EVICT on', 'CONFIG HELP', 'OBJECT ENCODING k', 'READONLY', 'ROLE', 'WAIT 0 0', 'LASTSAVE'],
];

describe('by default', () => {
  it.each(ADMINISTRATIVE)('%s is for admins only', (line) => {
    expect(refusal(line, false)).toMatch(/^-NOPERM heatsink: .+ is for admins only: see ".+" under policy/);
    expect(refusal(line, true)).toBeNull();
  });

  it.each(FATAL)('%s is for nobody', (line) => {
    expect(refusal(line, true)).toMatch(
      /^-NOPERM heatsink: .+ is denied: see ".+" or "topology" under policy/,
    );
  });

  it.each(HARMLESS)('%s is for everybody', (line) => {
    expect(refusal(line, false)).toBeNull();
  });

  it('a command that the server calls administrative, and nobody has heard of, is for admins', () => {
    const policy = new Policy({});
    expect(policy.guardOf('hotpatch', true)).toBe(ADMIN_ONLY);
    expect(policy.guardOf('hotpatch', false)).toBe(ALLOWED);
  });

  it('every administrative command of this server is in a group, or known to do no harm', () => {
    const policy = new Policy({});
    const table = CommandTable.from(commands, (name, flagged) => policy.guardOf(name, flagged));
    const open = [...table.all()].filter(({ guard, flaggedAdmin }) => flaggedAdmin && guard === ALLOWED);
    expect(open.map(({ name }) => name).sort()).toEqual([
      ...[
        'client|list',
        'client|no-evict',
        'cluster|count-failure-reports',
        'cluster|replicas',
        'cluster|slaves',
      ],
      ...['latency|doctor', 'latency|graph', 'latency|histogram', 'latency|history', 'latency|latest'],
      ...['module|list', 'slowlog|get', 'slowlog|len'],
    ]);
  });

  it('ordinary commands meet no guard at all', () => {
    const policy = new Policy({});
    for (const name of ['get', 'set', 'flushall', 'eval', 'ping', 'subscribe', 'mget'])
      expect(policy.guardOf(name, false)).toBe(ALLOWED);
  });

  it('without users a client is an admin over loopback alone', () => {
    const nobody = new Users([]);
    expect(nobody.unnamed(true).admin).toBe(true);
    expect(nobody.unnamed(false).admin).toBe(false);
    for (const own of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1'])
      expect(isLoopback(own)).toBe(true);
    for (const other of ['10.0.0.1', '::ffff:10.0.0.1', '::11', '1127.0.0.1', undefined])
      expect(isLoopback(other)).toBe(false);
  });
});

describe('the configured policy', () => {
  it('changes a group, a container or one command, the narrowest rule first', () => {
    const rules: Record<string, Level> = {
      keyspace: 'deny',
      keys: 'allow',
      config: 'deny',
      'config|get': 'allow',
    };
    expect(refusal('FLUSHALL', true, rules)).toMatch(/is denied: see "flushall" or "keyspace"/);
    expect(refusal('KEYS *', false, rules)).toBeNull();
    expect(refusal('CONFIG SET a b', true, rules)).toMatch(
      /^-NOPERM heatsink: CONFIG SET is denied: see "config\|set" /,
    );
    expect(refusal('CONFIG GET maxmemory', false, rules)).toBeNull();
    expect(refusal('CONFIG GET masterauth', false, rules)).toMatch(/is for admins only/);
    expect(refusal('DEBUG SLEEP 0', false, { 'debug|sleep': 'allow' })).toBeNull();
    expect(refusal('DEBUG JMAP', false, { 'debug|sleep': 'allow' })).toMatch(/is for admins only/);
    expect(refusal('DEBUG SEGFAULT', true, { admin: 'allow' })).toMatch(/is denied/);
    expect(refusal('SHUTDOWN', false, { topology: 'admin' })).toMatch(/is for admins only/);
    expect(refusal('GET k', true, { get: 'deny' })).toMatch(/GET is denied: see "get" under policy/);
  });

  it('holds in the forms of old servers, which list no subcommands', () => {
    const flagged = (name: string, arity: number) => [
      name,
      arity,
      ['admin', 'noscript'],
      0,
      0,
      0,
      ['@admin'],
    ];
    const old = [flagged('config', -2), flagged('slowlog', -2), flagged('client', -2)];
    const policy = new Policy({});
    const table = CommandTable.from(old, (name, is) => policy.guardOf(name, is));
    const decide = (...args: string[]) => {
      const frame = frameOf(...args);
      const command = table.find(frame);
      return command === null || command.guard === ALLOWED ? ALLOWED : policy.decide(command, frame);
    };
    expect(decide('CONFIG', 'GET', 'maxmemory')).toBe(ALLOWED);
    expect(decide('CONFIG', 'GET', 'requirepass')).toBe(ADMIN_ONLY);
    expect(decide('CONFIG', 'SET', 'a', 'b')).toBe(ADMIN_ONLY);
    expect(decide('SLOWLOG', 'GET')).toBe(ALLOWED);
    expect(decide('SLOWLOG', 'RESET')).toBe(ADMIN_ONLY);
    expect(
      new Policy({ 'client|list': 'deny' }).decide(table.named('client') as never, frameOf('CLIENT', 'LIST')),
    ).toBe(DENIED);
  });

  it('names rules for which the server has no command', () => {
    const policy = new Policy({
      flushal: 'deny',
      'config|set': 'deny',
      topology: 'deny',
      'debug|sleep': 'deny',
      'ft.drop': 'admin',
    });
    expect(policy.unknown(CommandTable.from(commands))).toEqual(['flushal', 'ft.drop']);
  });

  it('decides at the wire, inside transactions too', async () => {
    const file = join(directory, 'h.yaml');
    writeFileSync(file, stringify({ policy: { flushall: 'deny', 'debug|sleep': 'allow' } }));
    const proxy = await startProxy({ upstream: server.url, file });
    open.push(() => proxy.close());
    const wire = new Wire(proxy.port);
    open.push(() => wire.close());
    expect(await wire.say('CONFIG', 'SET', 'maxmemory-samples', '7')).toBe('+OK');
    expect(await wire.say('DEBUG', 'SLEEP', '0')).toBe('+OK');
    wire.sendAll([
      ['MULTI'],
      ['SET', 'k', 'v'],
      ['FLUSHALL'],
      ['EXEC'],
      ['GET', 'k'],
      ['SHUTDOWN'],
      ['PING'],
    ]);
    const replies = (await wire.replies(7)).map((reply) => reply.toString().slice(0, -2));
    const denied = (name: string) => expect.stringMatching(`^-NOPERM heatsink: ${name} is denied`);
    const aborted = expect.stringMatching(/^-EXECABORT /);
    expect(replies).toEqual([
      '+OK',
      '+QUEUED',
      denied('FLUSHALL'),
      aborted,
      '$-1',
      denied('SHUTDOWN'),
      '+PONG',
    ]);
    const refused = (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'refused' });
    expect(refused).toBe(2);
  });
});
