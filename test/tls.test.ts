import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type ConfigError, loadConfig } from '../src/config/load.ts';
import { type CertificatePair, createAuthority } from './support/certificates.ts';
import { type RunningProxy, spawnCli, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startCluster, startRedis, type TlsFiles, waitFor } from './support/redis.ts';
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
    expect(problems({ 'nodes-tls-ca': ca, 'nodes-tls-verify': 'off', upstream: 'redis://h' })).toEqual([
      '--nodes-tls-ca: it needs an upstream with TLS, such as rediss://',
      '--nodes-tls-verify: it needs an upstream with TLS, such as rediss://',
    ]);
    expect(problems({ 'nodes-tls-cert': cert, upstream: 'rediss://h' })).toEqual([
      '--nodes-tls-cert: it needs --nodes-tls-key as well',
    ]);
    const together = { 'nodes-tls-ca': ca, 'nodes-tls-cert': cert, 'nodes-tls-key': key };
    expect(problems({ ...together, upstream: 'rediss://h' })).toEqual([]);
  });

  it('are files that cannot be used, each with its flag, name and reason', () => {
    const rubbish = written('rubbish.pem', 'rubbish');
    const broken = written('broken.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    const locked = written('locked.pem', '-----BEGIN ENCRYPTED PRIVATE KEY-----\n');
    const of = (flags: Record<string, string>) =>
      problems({ ...files('nodes-tls', ca, own), upstream: 'rediss://h', ...flags });
    expect(of({ 'nodes-tls-cert': '/none.crt' })).toEqual([
      '--nodes-tls-cert: "/none.crt" is no use: there is no such file',
    ]);
    expect(of({ 'nodes-tls-ca': rubbish })).toEqual([
      '--nodes-tls-ca: "/rubbish.pem" is no use: it holds no certificate in PEM form',
    ]);
    expect(of({ 'nodes-tls-cert': broken })[0]).toMatch(
      /^--nodes-tls-cert: "\/broken.pem" is no use: it holds a broken certificate \(.+\)$/,
    );
    expect(of({ 'nodes-tls-key': cert })[0]).toMatch(
      /^--nodes-tls-key: "\/heatsink.crt" is no use: it holds no private key in PEM form/,
    );
    expect(of({ 'nodes-tls-key': locked })).toEqual([
      '--nodes-tls-key: "/locked.pem" is no use: it is locked by a passphrase, which heatsink cannot ask for',
    ]);
    expect(of({ 'nodes-tls-key': person.key })).toEqual([
      '--nodes-tls-key: "/person.key" is no use: it is not the key of the certificate in /heatsink.crt',
    ]);
    expect(problems({ 'nodes-tls-ca': authority.dir, upstream: 'rediss://h' })[0]).toMatch(
      /^--nodes-tls-ca: "" is no use: EISDIR/,
    );
  });

  it('end the command line with exit code 2', async () => {
    const child = await spawnCli([
      '--upstream',
      'rediss://h',
      '--nodes-tls-cert',
      '/none.crt',
      '--nodes-tls-key',
      key,
    ]);
    expect(await child.exited).toBe(2);
    expect(child.output()).toBe('heatsink: --nodes-tls-cert: "/none.crt" is no use: there is no such file\n');
  });
});
