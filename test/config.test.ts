// The configuration: who wins, what is accepted, and how a mistake is named.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { exampleFile } from '../src/config/example-file.ts';
import { ConfigError, loadConfig, type Sources } from '../src/config/load.ts';
import { envName } from '../src/config/option.ts';
import { configurationPage } from '../src/config/options-table.ts';
import { RULE_SETTINGS } from '../src/config/rule-types.ts';
import { OPTION_ENTRIES, OPTIONS } from '../src/config/schema.ts';
import { parseUpstream } from '../src/config/upstream-url.ts';

const directory = mkdtempSync(join(tmpdir(), 'heatsink-config-'));
const file = join(directory, 'h.yaml');
const projectFile = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');

afterAll(() => rmSync(directory, { recursive: true }));

function load(sources: Partial<Sources> & { yaml?: string }) {
  const { yaml, ...rest } = sources;
  if (yaml !== undefined) writeFileSync(file, yaml);
  return loadConfig({ flags: {}, env: {}, ...(yaml === undefined ? {} : { file }), ...rest });
}

function problems(sources: Parameters<typeof load>[0]): string[] {
  try {
    load(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.lines.map((line) => line.replace(file, 'h.yaml'));
    throw error;
  }
  return [];
}

describe('precedence', () => {
  test('defaults hold where nothing is given', () => {
    expect(load({})).toEqual({
      upstream: null,
      listen: { host: '127.0.0.1', port: 6380 },
      admin: { host: '127.0.0.1', port: 9380 },
      adminToken: null,
      observe: false,
      workers: availableParallelism(),
      shutdownTimeout: 5000,
      shutdownDelay: 0,
      consistency: 'tracked',
      fanOut: 'off',
      rules: [],
      auth: 'auto',
      users: [],
      policy: {},
      client: {
        maxPipeline: 1024,
        maxClients: 10_000,
        idleTimeout: 0,
        requestTimeout: 60_000,
        queryBuffer: 2 ** 30,
        outputBuffer: 2 ** 28,
        protectedMode: true,
        authDelay: 5000,
      },
      shed: { lag: 0 },
      lease: { wait: 1000, hold: 500 },
      nodes: {
        connectTimeout: 2000,
        replyTimeout: 5000,
        retryBudget: 10_000,
        topologyInterval: 10_000,
        lanes: 1,
        maxPinned: 10_000,
        tlsCa: null,
        tlsCert: null,
        tlsKey: null,
        tlsServername: null,
        tlsVerify: true,
        sentinelUsername: null,
        sentinelPassword: null,
      },
      reads: { maxLag: 10_000 },
      drain: {
        redis: null,
        to: null,
        every: 10_000,
        maxFields: 100_000,
        keepBatches: 7 * 86_400_000,
        admin: null,
        jobs: [],
      },
      tls: { cert: null, key: null, ca: null, clientAuth: 'yes', listen: null },
      cluster: { facade: 'auto', announce: null },
      hot: { threshold: 500, window: 1000, steps: 10, cool: 0.5, candidates: 4096, top: 100 },
      tier: {
        enabled: true,
        maxBytes: 64 * 1024 * 1024,
        maxEntryBytes: 256 * 1024,
        maxNegatives: 10_000,
        minHits: 3,
        ttl: 60_000,
        maxStaleness: 1000,
        untrackedTtl: 1000,
        verifyShare: 0.0001,
        staleOnError: 0,
      },
      bigKeys: { bytes: 10_240, elements: 5000, top: 100 },
      slowLog: { slowerThan: 10, maxLen: 128 },
      invalidator: {
        postgres: null,
        channel: [],
        delete: [],
        sweep: null,
        sweepDelete: null,
        margin: 60_000,
        lookback: 3_600_000,
        keepalive: 5000,
        maxPending: 100_000,
      },
      log: { level: 'info', pretty: 'auto' },
    });
  });

  test('a flag wins over the environment, the environment over the file, the file over the default', () => {
    const yaml = 'hot:\n  threshold: 3\n  window: 300\n  steps: 30\n';
    const env = { HEATSINK_HOT_THRESHOLD: '2', HEATSINK_HOT_WINDOW: '200' };
    const { hot } = load({ yaml, env, flags: { 'hot-threshold': '1' } });
    expect(hot).toMatchObject({ threshold: 1, window: 200, steps: 30, top: 100 });
  });

  test('HEATSINK_CONFIG names the file, and a file named by flag wins over it', () => {
    const other = join(directory, 'other.yaml');
    writeFileSync(other, 'shutdownTimeout: 7');
    expect(load({ env: { HEATSINK_CONFIG: other } }).shutdownTimeout).toBe(7);
    expect(load({ env: { HEATSINK_CONFIG: other }, yaml: 'shutdownTimeout: 5' }).shutdownTimeout).toBe(5);
  });

  test('empty values in the file and in the environment count as not given', () => {
    expect(load({ yaml: 'shutdownTimeout:\nhot:\n', env: { HEATSINK_LISTEN: '' } })).toEqual(load({}));
    expect(load({ yaml: '' })).toEqual(load({}));
    expect(load({ yaml: '# nothing but a comment\n' })).toEqual(load({}));
  });

  test('every option with a flag can be given by flag, environment and file alike', () => {
    for (const [path, { flag, default: usual }] of OPTION_ENTRIES) {
      if (flag === null || usual === null) continue;
      expect(load({ flags: { [flag]: `${usual}` } }), path).toEqual(load({}));
      expect(load({ env: { [envName(flag)]: `${usual}` } }), path).toEqual(load({}));
    }
  });
});

describe('values', () => {
  test.each([
    ['1048576', 1_048_576],
    ['100k', 100_000],
    ['100kb', 102_400],
    ['100KiB', 102_400],
    ['3m', 3_000_000],
    ['64MB', 67_108_864],
    ['64 MiB', 67_108_864],
    ['2gb', 2_147_483_648],
  ])('the size %s is %i bytes', (text, bytes) => {
    expect(load({ flags: { 'tier-max-bytes': text } }).tier.maxBytes).toBe(bytes);
    expect(load({ yaml: `tier: { maxBytes: ${text} }` }).tier.maxBytes).toBe(bytes);
  });

  test.each(['64tb', '1.5gb', '-1', '', '1e9', 'mb', '99999999gb'])('%j is no size', (text) => {
    expect(problems({ flags: { 'tier-max-bytes': text } })).toHaveLength(1);
  });

  test.each(['1.5', '-1', '0x10', '1e3', ' ', 'ten', 'NaN'])('%j is no whole number', (text) => {
    expect(problems({ flags: { 'shutdown-timeout': text } })).toHaveLength(1);
  });

  test('a whole number may be negative where that means something', () => {
    expect(load({ flags: { 'slow-log-slower-than': '-1' } }).slowLog.slowerThan).toBe(-1);
    for (const value of ['-2', '--1', '-'])
      expect(problems({ flags: { 'slow-log-slower-than': value } })).toHaveLength(1);
  });

  test('switches are on or off, and true or false in YAML', () => {
    expect(load({ flags: { tier: 'off' } }).tier.enabled).toBe(false);
    expect(load({ yaml: 'tier: { enabled: off }' }).tier.enabled).toBe(false);
    expect(load({ yaml: 'tier: { enabled: false }' }).tier.enabled).toBe(false);
    expect(load({ yaml: 'admin: off' }).admin).toBeNull();
  });

  test('addresses may have port 0, names and IPv6 hosts in brackets', () => {
    expect(load({ flags: { listen: '0.0.0.0:0' } }).listen).toEqual({ host: '0.0.0.0', port: 0 });
    expect(load({ flags: { listen: 'localhost:6380' } }).listen).toEqual({ host: 'localhost', port: 6380 });
    expect(load({ flags: { admin: '[::1]:9380' } }).admin).toEqual({ host: '::1', port: 9380 });
    for (const wrong of ['6380', ':6380', 'host', 'host:65536', '::1:6380', 'a b:1', 'host:-1']) {
      expect(problems({ flags: { listen: wrong } }), wrong).toHaveLength(1);
    }
  });

  test('rules keep their order', () => {
    const rules = [
      { match: 'a:*', consistency: 'off' },
      { match: '*', consistency: 'ttl' },
    ];
    expect(
      load({ yaml: 'rules:\n- { match: "a:*", consistency: off }\n- { match: "*", consistency: ttl }' }),
    ).toEqual({ ...load({}), rules });
  });
});

describe('upstream URLs', () => {
  const node = (host: string, port = 6379) => ({ host, port });

  test.each([
    ['redis://h', { kind: 'standalone', nodes: [node('h')], db: 0 }],
    ['redis://h:7000/', { kind: 'standalone', nodes: [node('h', 7000)], db: 0 }],
    ['redis://h:7000/3', { kind: 'standalone', nodes: [node('h', 7000)], db: 3 }],
    ['redis://[::1]:7000', { kind: 'standalone', nodes: [node('::1', 7000)], db: 0 }],
    ['redis://:pw@h', { kind: 'standalone', nodes: [node('h')], password: 'pw', db: 0 }],
    ['redis://me@h', { kind: 'standalone', nodes: [node('h')], username: 'me', password: '', db: 0 }],
    [
      'redis://me:p%40:/w@h',
      { kind: 'standalone', nodes: [node('h')], username: 'me', password: 'p@:/w', db: 0 },
    ],
    [
      'redis+cluster://a,b:7001,[::2]',
      { kind: 'cluster', nodes: [node('a'), node('b', 7001), node('::2')], db: 0 },
    ],
    [
      'redis+cluster://u:p@a:1',
      { kind: 'cluster', nodes: [node('a', 1)], username: 'u', password: 'p', db: 0 },
    ],
    ['rediss://h/1', { kind: 'standalone', nodes: [node('h')], tls: true, db: 1 }],
    ['rediss+cluster://a:1', { kind: 'cluster', nodes: [node('a', 1)], tls: true, db: 0 }],
    [
      'redis+sentinel://a,b:7/main',
      { kind: 'sentinel', nodes: [node('a', 26379), node('b', 7)], master: 'main', db: 0 },
    ],
    [
      'rediss+sentinel://u:p@[::1]/my%20master/2',
      {
        kind: 'sentinel',
        nodes: [node('::1', 26379)],
        master: 'my master',
        tls: true,
        username: 'u',
        password: 'p',
        db: 2,
      },
    ],
  ])('%s', (url, expected) => {
    const upstream = { tls: false, ...expected };
    expect(parseUpstream(url)).toEqual(upstream);
    expect(load({ flags: { upstream: url } }).upstream).toEqual(upstream);
  });

  test.each([
    ['localhost:6379', 'it is not a URL'],
    ['http://h', 'the scheme http:// is unknown'],
    ['redisss://h', 'the scheme redisss:// is unknown'],
    ['redis+sentinels://h/main', 'the scheme redis+sentinels:// is unknown'],
    ['redis+sentinel://h', 'behind the sentinels the name of the master is missing'],
    ['redis+sentinel://h/main/x', '"x" is no database number'],
    ['redis+sentinel://h/%zz', 'a % in the name of the master must be written as %25'],
    ['redis://', '"" is no host:port'],
    ['redis://a,b', 'several nodes need redis+cluster://'],
    ['redis://h:x', '"h:x" is no host:port'],
    ['redis://h/one', '"one" is no database number'],
    ['redis+cluster://h/1', 'a cluster has database 0 only'],
    ['redis+cluster://h,', '"" is no host:port'],
    ['redis://h?db=1', 'nothing may follow the host and the database, as "?" does'],
    ['redis://u:%zz@h', 'a % in the user or the password must be written as %25'],
  ])('%s is refused: %s', (url, reason) => {
    expect(() => parseUpstream(url)).toThrow(reason);
    expect(problems({ flags: { upstream: url } })[0]).toContain(
      `is not accepted: ${reason}; accepted: redis://`,
    );
  });

  test('a password never shows in a message', () => {
    for (const url of [
      'redis://u:secret@h/x',
      'redis://:secret@h/x',
      'u:secret@h',
      'http://u:sec:secret@x@h',
    ]) {
      expect(problems({ flags: { upstream: url } })[0]).toContain(':***@h');
      expect(problems({ flags: { upstream: url } })[0]).not.toContain('secret');
    }
  });
});

describe('messages', () => {
  const accepted = 'is not accepted; accepted: a whole number from 0 to 600000';

  test('name the flag, the variable or the line and column that held a bad value', () => {
    expect(problems({ flags: { 'shutdown-timeout': '-1' } })).toEqual([
      `--shutdown-timeout: "-1" ${accepted}`,
    ]);
    expect(problems({ env: { HEATSINK_SHUTDOWN_TIMEOUT: 'x' } })).toEqual([
      `HEATSINK_SHUTDOWN_TIMEOUT: "x" ${accepted}`,
    ]);
    expect(problems({ yaml: 'hot:\n  top: 5\nshutdownTimeout:   -5\n' })).toEqual([
      `h.yaml:3:20: -5 ${accepted}`,
    ]);
    expect(problems({ yaml: 'shutdownTimeout: [1, 2]' })).toEqual([`h.yaml:1:18: [1,2] ${accepted}`]);
  });

  test('say how many workers there may be', () => {
    expect(problems({ flags: { workers: 'many' } })).toEqual([
      '--workers: "many" is not accepted; accepted: auto or a whole number from 1 to 256',
    ]);
  });

  test('say what the words of a choice are', () => {
    expect(problems({ flags: { consistency: 'strict' } })).toEqual([
      '--consistency: "strict" is not accepted; accepted: off, coalesce, tracked or ttl',
    ]);
    expect(problems({ env: { HEATSINK_TIER: 'maybe' } })).toEqual([
      'HEATSINK_TIER: "maybe" is not accepted; accepted: on or off',
    ]);
  });

  test('list every problem of every source at once, also of values that a flag overrides', () => {
    const yaml = 'hot:\n  threshold: 0\n  treshold: 1\nlog: loud\n';
    const env = { HEATSINK_HOT_COOL: '2', HEATSINK_HOT_COLD: '1' };
    expect(problems({ yaml, env, flags: { 'hot-threshold': '5', lanes: 'many' } }).sort()).toEqual([
      '--lanes: "many" is not accepted; accepted: a whole number from 1 to 64',
      'HEATSINK_HOT_COLD: unknown environment variable (did you mean "HEATSINK_HOT_COOL"?)',
      'HEATSINK_HOT_COOL: "2" is not accepted; accepted: a number above 0 and up to 1',
      'h.yaml:2:14: 0 is not accepted; accepted: a whole number from 1 to 1000000000',
      'h.yaml:3:3: unknown key "hot.treshold" (did you mean "hot.threshold"?)',
      'h.yaml:4:6: "loud" is not accepted for log; accepted: a mapping with level, pretty',
    ]);
  });

  test('point from a key that is a flag name to its place in the file', () => {
    expect(problems({ yaml: 'hot-window: 5' })).toEqual([
      'h.yaml:1:1: unknown key "hot-window" (did you mean "hot.window"?)',
    ]);
    expect(problems({ yaml: 'colour: red' })).toEqual(['h.yaml:1:1: unknown key "colour"']);
    expect(problems({ yaml: '__proto__: { a: 1 }' })).toEqual(['h.yaml:1:1: unknown key "__proto__"']);
  });

  test('point into the list of rules', () => {
    const settings = Object.keys(RULE_SETTINGS).join(', ');
    const yaml = [
      'rules:',
      '  - { match: a, consistency: strict }',
      '  - { consistency: off }',
      '  - { match: b, consistency: off, ttl: 5 }',
      '  - all',
      '  - { match: c, reads: secondary }',
    ];
    expect(problems({ yaml: yaml.join('\n') })).toEqual([
      'h.yaml:2:30: "strict" is not accepted for rules[0].consistency; accepted: off, coalesce, tracked or ttl',
      'h.yaml:3:5: nothing is not accepted for rules[1].match; accepted: a glob pattern for keys',
      'h.yaml:4:5: rules[2] has no key "ttl"',
      `h.yaml:5:5: "all" is not accepted for rules[3]; accepted: a mapping with match and one or more of ${settings}`,
      'h.yaml:6:24: "secondary" is not accepted for rules[4].reads; accepted: primary or replicas',
    ]);
    expect(problems({ yaml: 'rules: off' })[0]).toContain(
      'h.yaml:1:8: "off" is not accepted; accepted: a list',
    );
  });

  test('name the place of broken YAML', () => {
    expect(problems({ yaml: 'hot:\n  top: 1\n top: 2\n' })[0]).toMatch(/^h\.yaml:3:1: /);
    expect(problems({ yaml: 'workers: 1\nworkers: 2\n' })).toEqual(['h.yaml:2:1: Map keys must be unique']);
    expect(problems({ yaml: '- workers\n' })).toEqual([
      'h.yaml:1:1: the file must hold a mapping of options',
    ]);
  });

  test('name who asked for a file that cannot be read', () => {
    const reason = 'cannot read "/no/h.yaml": there is no such file';
    expect(problems({ file: '/no/h.yaml' })).toEqual([reason]);
    expect(problems({ env: { HEATSINK_CONFIG: '/no/h.yaml' } })).toEqual([`HEATSINK_CONFIG: ${reason}`]);
    expect(problems({ file: directory })[0]).toContain('EISDIR');
  });

  test('leave alone the variables that Kubernetes and Docker set for a service named heatsink', () => {
    const names = [
      'SERVICE_HOST',
      'SERVICE_PORT',
      'SERVICE_PORT_REDIS',
      'PORT',
      'PORT_6380_TCP',
      'PORT_6380_TCP_ADDR',
    ];
    const env = Object.fromEntries(
      names.flatMap((name) => [`HEATSINK_${name}`, `HEATSINK_ADMIN_${name}`]).map((n) => [n, 'x']),
    );
    expect(load({ env })).toEqual(load({}));
  });
});

describe('access', () => {
  const hash = `#${'a'.repeat(64)}`;

  test('users have what is not said at its default', () => {
    const yaml = `users:\n  - { name: a, password: '${hash}' }\n  - { name: b, nopass: true, keys: 'b:*', admin: true }\n`;
    const rest = { readOnly: false, admin: false };
    expect(load({ yaml }).users).toEqual([
      { name: 'a', passwords: [hash], nopass: false, keys: null, ...rest },
      { name: 'b', passwords: [], nopass: true, keys: ['b:*'], ...rest, admin: true },
    ]);
  });

  test.each([
    ["{ name: a, password: 'hunter2' }", /password; accepted: a hash as `heatsink hash-password` prints it/],
    [`\n      name: a\n      password: ${hash}`, /password; accepted: a hash .*, in quotes/],
    ['{ name: a, password: [] }', /password; accepted: a hash/],
    ['{ name: a }', /password; accepted: a hash .* or nopass: true instead/],
    [`{ name: a, nopass: true, password: '${hash}' }`, /password; accepted: .* or nopass: true instead/],
    ['{ name: a b, nopass: true }', /name; accepted: a name without spaces/],
    ['{ nopass: true }', /name; accepted: a name without spaces/],
    ['{ name: a, nopass: true, keys: [] }', /keys; accepted: a glob pattern for keys, or a list of them/],
    ['{ name: a, nopass: true, readonly: true }', /has no key "readonly"/],
    ['{ name: a, nopass: maybe }', /nopass; accepted: true or false/],
    ['a', /users\[0\]; accepted: a mapping with name and password/],
  ])('the user %s is refused', (user, reason) => {
    const found = problems({ yaml: `users:\n  - ${user}\n` });
    expect(found[0]).toMatch(reason);
    expect(found.join('\n')).not.toContain('hunter2');
  });

  test('two users may not have one name, nor users go with auth: upstream', () => {
    const user = '{ name: a, nopass: true }';
    expect(problems({ yaml: `users: [${user}, ${user}]` })[0]).toMatch(
      /users\[1\]\.name; accepted: a name that no other/,
    );
    expect(problems({ yaml: `users: [${user}]\nauth: upstream` })[0]).toMatch(/exclude each other/);
  });

  test('a policy has groups, commands and subcommands, in any case, and three levels', () => {
    const yaml = "policy: { keyspace: deny, FLUSHALL: allow, 'Config|Set': admin }";
    expect(load({ yaml }).policy).toEqual({ keyspace: 'deny', flushall: 'allow', 'config|set': 'admin' });
    expect(problems({ yaml: 'policy: { keys: no }' })[0]).toMatch(
      /policy\.keys; accepted: allow, admin or deny/,
    );
    expect(problems({ yaml: "policy: { 'config set': deny }" })[0]).toMatch(
      /accepted: a group \(keyspace, admin, topology\)/,
    );
    expect(problems({ yaml: 'policy: [flushall]' })[0]).toMatch(/accepted: a mapping of /);
  });
});

describe('files made from the schema', () => {
  test('config.example.yaml and docs/configuration.md are up to date (npm run docs)', () => {
    expect(projectFile('config.example.yaml')).toBe(exampleFile());
    expect(projectFile('docs/configuration.md')).toBe(configurationPage());
  });

  test('the example file is valid and holds every option with its default', () => {
    const example = parse(projectFile('config.example.yaml'));
    const held = Object.entries(example).flatMap(([first, value]) =>
      first in OPTIONS
        ? [[first, value]]
        : Object.entries(value as object).map(([rest, v]) => [`${first}.${rest}`, v]),
    );
    expect(Object.fromEntries(held)).toEqual(
      Object.fromEntries(OPTION_ENTRIES.map(([path, option]) => [path, option.default])),
    );
    expect(load({ yaml: projectFile('config.example.yaml') })).toEqual(load({}));
  });

  test('the lines that the example file comments out are valid too', () => {
    const yaml = projectFile('config.example.yaml')
      .replace(/^(upstream:|rules: \[\]|users: \[\]|policy: \{\})\n/gm, '')
      .replace(/^# ((upstream|rules|users|policy):| {2}\S)/gm, '$1');
    const config = load({ yaml });
    expect(config.upstream?.kind).toBe('cluster');
    expect(config.rules).toHaveLength(2);
    expect(config.users.map(({ name }) => name)).toEqual(['default', 'app', 'ops']);
    expect(config.policy).toEqual({ keyspace: 'admin', 'config|set': 'deny' });
  });
});
