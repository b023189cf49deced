// TLS on both sides: to redis-server processes that insist on it, and from clients of several kinds.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConfigError, loadConfig } from '../src/config/load.ts';
import { type CertificatePair, createAuthority } from './support/certificates.ts';
import { type RunningProxy, spawnCli, spawnProxy, startProxy } from './support/heatsink.ts';
import {
  freePort,
  type RedisProcess,
  startCluster,
  startRedis,
  type TlsFiles,
  waitFor,
} from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
const authority = createAuthority();
const stranger = createAuthority('another authority');
const server: TlsFiles = { ca: authority.ca, ...authority.issue('server') };
const own = authority.issue('heatsink');
const person = authority.issue('person');

afterAll(async () => {
  for (const close of open.reverse()) await close();
  authority.remove();
  stranger.remove();
});

async function redis(options: Parameters<typeof startRedis>[0] = {}): Promise<RedisProcess> {
  const started = await startRedis(options);
  open.push(() => started.stop());
  return started;
}

async function proxy(upstream: string, flags: Record<string, string>): Promise<RunningProxy> {
  const started = await startProxy({ upstream, flags });
  open.push(() => started.close());
  return started;
}

/** The flags that name a side's files. */
function files(
  side: 'tls' | 'nodes-tls',
  ca: string,
  { cert, key }: CertificatePair,
): Record<string, string> {
  return { [`${side}-ca`]: ca, [`${side}-cert`]: cert, [`${side}-key`]: key };
}

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port);
  open.push(() => wire.close());
  return wire;
}

describe('TLS to the upstream', () => {
  const toNodes = files('nodes-tls', authority.ca, own);

  it('carries forwarded requests, fills and invalidations, in RESP2 and RESP3', async () => {
    const upstream = await redis({ tls: server });
    const heatsink = await proxy(upstream.url, { ...toNodes, 'hot-threshold': '1' });
    const large = Buffer.alloc(300_000, 'large ').toString();
    for (const protocol of [2, 3] as const) {
      const client = await Wire.open(heatsink.port, protocol);
      open.push(() => client.close());
      expect(await client.say('SET', 'large', large)).toBe('+OK');
      expect(await client.say('GET', 'large')).toBe(`$${large.length}\r\n${large}`);
      await upstream.call('SET', 'k', 'first');
      const hits = async () =>
        (await heatsink.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
      const before = await hits();
      await waitFor(async () => {
        expect(await client.say('GET', 'k')).toBe('$5\r\nfirst');
        return (await hits()) > before;
      });
      await upstream.call('SET', 'k', 'other');
      await waitFor(async () => (await client.say('GET', 'k')) === '$5\r\nother');
    }
  });

  it('carries everything to a cluster', async () => {
    const cluster = await startCluster({ tls: server });
    open.push(() => cluster.stop());
    const client = wireTo(await proxy(cluster.url, toNodes));
    const keys = Array.from({ length: 50 }, (_, i) => `key:${i}`);
    for (const key of keys) expect(await client.say('SET', key, key)).toBe('+OK');
    expect(await client.say('EXISTS', ...keys)).toBe(':50');
  });

  it('refuses a server of another authority, says why, and goes on once the server is the right one', async () => {
    const upstream = await redis({ tls: server });
    const client = wireTo(await proxy(upstream.url, toNodes));
    expect(await client.say('SET', 'k', 'v')).toBe('+OK');
    await upstream.stop();
    const { cert, key } = stranger.issue('server');
    const impostor = await redis({ tls: { ca: authority.ca, cert, key }, port: upstream.port });
    await waitFor(async () => {
      const reply = await client.say('GET', 'k');
      return /^-ERR heatsink: cannot reach \S+ \((self-signed|unable to).* certificate.*\); the command was not sent$/.test(
        reply,
      );
    });
    await impostor.stop();
    await redis({ tls: server, port: upstream.port });
    await waitFor(async () => (await client.say('GET', 'k')) === '$-1');
  });

  it('is refused by a server that wants a certificate, which clients are told', async () => {
    const upstream = await redis({ tls: server });
    const child = await spawnCli(
      [
        '--upstream',
        upstream.url,
        '--nodes-tls-ca',
        authority.ca,
        '--listen',
        '127.0.0.1:0',
        '--admin',
        'off',
      ],
      { ready: (output) => output.includes('waiting for the upstream') },
    );
    expect(child.output()).toMatch(/certificate required|wants another certificate/);
    expect(await child.stop('SIGTERM')).toBe(0);
  });

  it('expects the name of the host, or the name that it is told to expect', async () => {
    const elsewhere = { ca: authority.ca, ...authority.issue('elsewhere', 'DNS:redis.example') };
    const upstream = await redis({ tls: elsewhere });
    const flags = ['--upstream', upstream.url, '--nodes-tls-ca', authority.ca, '--admin', 'off'];
    const child = await spawnCli(
      [...flags, '--nodes-tls-cert', own.cert, '--nodes-tls-key', own.key, '--listen', '127.0.0.1:0'],
      { ready: (output) => output.includes('waiting for the upstream') },
    );
    expect(child.output()).toContain("IP: 127.0.0.1 is not in the cert's list");
    await child.stop();
    const client = wireTo(await proxy(upstream.url, { ...toNodes, 'nodes-tls-servername': 'redis.example' }));
    expect(await client.say('SET', 'k', 'v')).toBe('+OK');
    const other = wireTo(await proxy(upstream.url, { ...toNodes, 'nodes-tls-verify': 'off' }));
    expect(await other.say('GET', 'k')).toBe('$1\r\nv');
  });
});

describe('TLS from clients', () => {
  const secured = { ...files('tls', authority.ca, authority.issue('door')), 'tls-client-auth': 'no' };
  const trust = { ca: readFileSync(authority.ca), host: '127.0.0.1' };
  let upstream: RedisProcess;
  let heatsink: RunningProxy;
  beforeAll(async () => {
    upstream = await redis();
    heatsink = await proxy(upstream.url, secured);
  });

  const failures = async ({ metrics } = heatsink) =>
    (await metrics()).sum('heatsink_tls_handshake_failures_total');

  it('serves ioredis, node-redis and redis-cli', async () => {
    const io = new Redis({ port: heatsink.port, host: trust.host, tls: trust });
    open.push(() => io.disconnect());
    expect(await io.set('k', 'v')).toBe('OK');
    const many = io.pipeline();
    for (let i = 0; i < 500; i++) many.incr('n');
    expect((await many.exec())?.at(-1)).toEqual([null, 500]);
    for (const RESP of [2, 3] as const) {
      const socket = { port: heatsink.port, host: trust.host, tls: true, ca: trust.ca } as const;
      const node = await createClient({ RESP, socket }).connect();
      expect(await node.get('n')).toBe('500');
      const large = 'x'.repeat(3_000_000);
      await node.set('large', large);
      expect(await node.get('large')).toBe(large);
      await node.close();
    }
    const args = ['-p', `${heatsink.port}`, '--tls', '--cacert', authority.ca, 'GET', 'k'];
    expect((await promisify(execFile)('redis-cli', args)).stdout).toBe('v\n');
  });

  it('answers all that a client sent before it closed its side', async () => {
    const socket = await tlsTo(heatsink.port);
    const { bytes } = collected(socket);
    socket.end('PING\r\nECHO end\r\n'.repeat(200));
    await once(socket, 'end');
    expect(bytes()).toBe('+PONG\r\n$3\r\nend\r\n'.repeat(200));
  });

  it.each([
    ['no', true, true, true],
    ['optional', true, true, false],
    ['yes', true, false, false],
  ])(
    'with client-auth %s, a good certificate, none, and a bad one are welcome: %s, %s, %s',
    async (auth, ...due) => {
      const guarded = await proxy(upstream.url, { ...secured, 'tls-client-auth': auth });
      const shown = [person, null, stranger.issue('person')];
      const welcome = await Promise.all(shown.map((pair) => answers(guarded.port, pair)));
      expect(welcome).toEqual(due);
      await waitFor(async () => (await failures(guarded)) === due.filter((expected) => !expected).length);
      expect(await answers(guarded.port, person)).toBe(true);
    },
  );

  it('closes connections that speak no TLS, and counts them, while others go on', async () => {
    const good = await tlsTo(heatsink.port);
    const { bytes } = collected(good);
    const before = await failures();
    for (const nonsense of [
      '*1\r\n$4\r\nPING\r\n',
      'PING\r\n',
      'GET / HTTP/1.1\r\n\r\n',
      '\x16\x03\x01\x00\x05junk!',
    ])
      expect(await afterSending(heatsink.port, nonsense)).not.toContain('PONG');
    await waitFor(async () => (await failures()) === before + 4);
    good.write('PING\r\n');
    await waitFor(() => bytes() === '+PONG\r\n');
  });

  it('is not kept from closing by clients amid their handshake', async () => {
    const closing = await startProxy({ upstream: upstream.url, flags: secured });
    const silent = connectPlain(closing.port, '127.0.0.1');
    silent.on('error', () => {});
    await once(silent, 'connect');
    silent.write('\x16\x03', 'latin1');
    expect(await answers(closing.port, null)).toBe(true);
    const closed = once(silent, 'close');
    await closing.close();
    await closed;
  });

  it('leaves --listen plain when it has an address of its own', async () => {
    await upstream.call('SET', 'k', 'v');
    const child = await spawnCli(
      [
        ...[
          '--upstream',
          upstream.url,
          '--listen',
          '127.0.0.1:0',
          '--tls-listen',
          '127.0.0.1:0',
          '--admin',
          'off',
        ],
        ...Object.entries(secured).flatMap(([flag, value]) => [`--${flag}`, value]),
      ],
      { ready: (output) => output.includes('heatsink is ready') },
    );
    open.push(() => child.stop());
    const ready = JSON.parse(
      child
        .output()
        .split('\n')
        .find((line) => line.includes('is ready')) ?? '{}',
    );
    const [plain, tls] = [ready.address, ready.tls].map((address: string) => Number(address.split(':')[1]));
    expect(await wireTo({ port: plain }).say('GET', 'k')).toBe('$1\r\nv');
    expect(await answers(tls, null)).toBe(true);
  });
});

describe('SIGHUP', () => {
  it('gives clients to come the new certificate, keeps the others connected, and survives bad files', async () => {
    const upstream = await redis();
    const port = await freePort();
    const [cert, key] = ['live.crt', 'live.key'].map((name) => join(authority.dir, name));
    const use = (pair: CertificatePair) => {
      copyFileSync(pair.cert, cert);
      copyFileSync(pair.key, key);
    };
    use(authority.issue('before'));
    const flags = { 'tls-cert': cert, 'tls-key': key, 'tls-client-auth': 'no', 'log-level': 'info' };
    const child = await spawnProxy({
      upstream: upstream.url,
      flags: { ...flags, 'tls-listen': `127.0.0.1:${port}` },
    });
    open.push(() => child.close());
    const old = await tlsTo(port);
    const { bytes } = collected(old);
    expect(old.getPeerCertificate().subject.CN).toBe('before');

    use(authority.issue('after'));
    child.kill('SIGHUP');
    await waitFor(async () => (await tlsTo(port)).getPeerCertificate().subject.CN === 'after');

    writeFileSync(key, readFileSync(own.key));
    child.kill('SIGHUP');
    await waitFor(() => child.output().includes('the certificates stay as they are'));
    expect(child.output()).toContain(`it is not the key of the certificate in ${cert}`);
    writeFileSync(cert, 'rubbish');
    child.kill('SIGHUP');
    await waitFor(() => child.output().includes('it holds no certificate in PEM form'));
    expect((await tlsTo(port)).getPeerCertificate().subject.CN).toBe('after');

    old.write('PING\r\n');
    await waitFor(() => bytes() === '+PONG\r\n');
    expect(await child.stop()).toBe(0);
  });

  it('makes new connections to the upstream trust its new authority', async () => {
    const ca = join(authority.dir, 'live-ca.crt');
    copyFileSync(authority.ca, ca);
    const upstream = await redis({ tls: server });
    const child = await spawnProxy({ upstream: upstream.url, flags: files('nodes-tls', ca, own) });
    open.push(() => child.close());
    const client = wireTo(child);
    expect(await client.say('SET', 'k', 'v')).toBe('+OK');
    await upstream.stop();
    // The other way round it still trusts the first one, whose certificate heatsink shows.
    await redis({ tls: { ca: authority.ca, ...stranger.issue('successor') }, port: upstream.port });
    await waitFor(async () => (await client.say('GET', 'k')).includes('certificate'));
    copyFileSync(stranger.ca, ca);
    child.kill('SIGHUP');
    await waitFor(async () => (await client.say('GET', 'k')) === '$-1');
  });

  it('ends heatsink when there are no certificates', async () => {
    const child = await spawnProxy({ upstream: (await redis()).url });
    expect(await child.stop('SIGHUP')).toBe('SIGHUP');
  });
});

describe('options that do not fit together', () => {
  const problems = (flags: Record<string, string>, env = {}) => {
    try {
      loadConfig({ flags, env });
    } catch (error) {
      return (error as ConfigError).lines.map((line) => line.replaceAll(authority.dir, ''));
    }
    return [];
  };
  const { cert, key } = own;
  const ca = authority.ca;
  const written = (name: string, text: string) => {
    const file = join(authority.dir, name);
    writeFileSync(file, text);
    return file;
  };

  it('are named with what they need', () => {
    expect(problems({ 'tls-cert': cert })).toEqual([
      '--tls-cert: it needs --tls-key as well',
      '--tls-cert: clients must show a certificate: name its authorities with --tls-ca, or set --tls-client-auth no',
    ]);
    expect(problems({ 'tls-key': key, 'tls-listen': '127.0.0.1:1' }, { HEATSINK_TLS_CA: ca })).toEqual([
      '--tls-key: it needs --tls-cert as well',
      'HEATSINK_TLS_CA: it needs --tls-cert as well',
      '--tls-listen: it needs --tls-cert as well',
    ]);
    expect(problems({ 'nodes-tls-ca': ca, 'nodes-tls-verify': 'off', upstream: 'redis://h' })).toEqual([
      '--nodes-tls-ca: it needs an upstream with TLS, such as rediss://',
      '--nodes-tls-verify: it needs an upstream with TLS, such as rediss://',
    ]);
    expect(problems({ 'nodes-tls-cert': cert, upstream: 'rediss://h' })).toEqual([
      '--nodes-tls-cert: it needs --nodes-tls-key as well',
    ]);
    expect(problems({ 'sentinel-password': 'secret', upstream: 'redis://h' })).toEqual([
      '--sentinel-password: it needs an upstream with sentinels: redis+sentinel://',
    ]);
    expect(problems({ 'tls-ca': ca, 'tls-cert': cert, 'tls-key': key })).toEqual([]);
  });

  it('are files that cannot be used, each with its flag, name and reason', () => {
    const rubbish = written('rubbish.pem', 'rubbish');
    const broken = written('broken.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    const locked = written('locked.pem', '-----BEGIN ENCRYPTED PRIVATE KEY-----\n');
    const of = (flags: Record<string, string>) =>
      problems({ 'tls-ca': ca, 'tls-cert': cert, 'tls-key': key, ...flags });
    expect(of({ 'tls-cert': '/none.crt' })).toEqual([
      '--tls-cert: "/none.crt" is no use: there is no such file',
    ]);
    expect(of({ 'tls-ca': rubbish })).toEqual([
      '--tls-ca: "/rubbish.pem" is no use: it holds no certificate in PEM form',
    ]);
    expect(of({ 'tls-cert': broken })[0]).toMatch(
      /^--tls-cert: "\/broken.pem" is no use: it holds a broken certificate \(.+\)$/,
    );
    expect(of({ 'tls-key': cert })[0]).toMatch(
      /^--tls-key: "\/heatsink.crt" is no use: it holds no private key in PEM form/,
    );
    expect(of({ 'tls-key': locked })).toEqual([
      '--tls-key: "/locked.pem" is no use: it is locked by a passphrase, which heatsink cannot ask for',
    ]);
    expect(of({ 'tls-key': person.key })).toEqual([
      '--tls-key: "/person.key" is no use: it is not the key of the certificate in /heatsink.crt',
    ]);
    expect(problems({ 'nodes-tls-ca': authority.dir, upstream: 'rediss://h' })[0]).toMatch(
      /^--nodes-tls-ca: "" is no use: EISDIR/,
    );
  });

  it('end the command line with exit code 2', async () => {
    const child = await spawnCli(['--tls-cert', '/none.crt', '--tls-key', key, '--tls-client-auth', 'no']);
    expect(await child.exited).toBe(2);
    expect(child.output()).toBe('heatsink: --tls-cert: "/none.crt" is no use: there is no such file\n');
  });
});

/** A connection by TLS that trusts the test's authority, and shows a certificate if there is one. */
async function tlsTo(port: number, pair: CertificatePair | null = null): Promise<TLSSocket> {
  const options: ConnectionOptions = { port, host: '127.0.0.1', ca: readFileSync(authority.ca) };
  if (pair !== null) Object.assign(options, { cert: readFileSync(pair.cert), key: readFileSync(pair.key) });
  const socket = connect(options);
  open.push(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

function collected(socket: TLSSocket): { bytes(): string } {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  return { bytes: () => text };
}

/** Whether a client with that certificate gets an answer. */
async function answers(port: number, pair: CertificatePair | null): Promise<boolean> {
  try {
    const socket = await tlsTo(port, pair);
    socket.write('PING\r\n');
    const { bytes } = collected(socket);
    await Promise.race([once(socket, 'data'), once(socket, 'end'), once(socket, 'close')]);
    return bytes() === '+PONG\r\n';
  } catch {
    return false;
  }
}

/** What a plain connection gets before the other side closes it. */
async function afterSending(port: number, text: string): Promise<string> {
  const socket = connectPlain(port, '127.0.0.1');
  open.push(() => socket.destroy());
  socket.write(text, 'latin1');
  let got = '';
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  await once(socket, 'close');
  return got;
}
