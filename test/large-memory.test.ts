// What a large value costs in memory while it is written and read: less than it has itself, by far.

import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRequest } from '../src/resp3/encode.ts';
import { createAuthority } from './support/certificates.ts';
import { type ProxyProcess, spawnProxy } from './support/heatsink.ts';
import { hashOfBulk, LargeClient } from './support/large-client.ts';
import { freePort, startRedis } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const MB = 1024 * 1024;
const open: (() => unknown)[] = [];

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

function clientOf(server: { port: number }): LargeClient {
  const client = new LargeClient(server);
  open.push(() => client.close());
  return client;
}

const request = (...words: string[]) => encodeRequest(words);

/** Memory that heatsink may take more while any value passes through. */
const MOST = 64 * MB;

/** Resident bytes of a process now, or at the most since `forgetPeak`. */
function memoryOf({ pid }: { pid: number }, which: 'VmRSS' | 'VmHWM'): number {
  const line = readFileSync(`/proc/${pid}/status`, 'latin1').match(`${which}:\\s+(\\d+) kB`);
  return Number(line?.[1]) * 1024;
}

/** https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html */
function forgetPeak({ pid }: { pid: number }): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

describe('the memory of heatsink', () => {
  const SIZE = 200 * MB;
  let proxy: ProxyProcess;

  beforeAll(async () => {
    const upstream = await startRedis();
    open.push(() => upstream.stop());
    proxy = await spawnProxy({ upstream: upstream.url });
    open.push(() => proxy.close());
  });

  it('grows by less than 64 MB while 200 MB are written and read, in RESP2 and RESP3', async () => {
    const hash = hashOfBulk(SIZE);
    for (const protocol of ['2', '3']) {
      const client = clientOf(proxy);
      await client.send(Buffer.concat([request('HELLO', protocol), request('ECHO', 'ready')]));
      while ((await client.line()) !== 'ready');
      const before = memoryOf(proxy, 'VmRSS');
      forgetPeak(proxy);
      await client.sendLarge(['SET', `big${protocol}`], SIZE);
      expect(await client.line()).toBe('+OK');
      await client.send(request('GET', `big${protocol}`));
      expect(await client.hashOfReply(SIZE)).toBe(hash);
      expect(memoryOf(proxy, 'VmHWM') - before).toBeLessThan(MOST);
    }
  }, 120_000);

  it('grows no more for clients that read slowly, or stop in the middle of what they send', async () => {
    const before = memoryOf(proxy, 'VmRSS');
    forgetPeak(proxy);
    const readers = Array.from({ length: 4 }, () => clientOf(proxy));
    for (const reader of readers) {
      await reader.send(request('GET', 'big2'));
      await reader.bytes(MB);
    }
    const writers = Array.from({ length: 4 }, () => clientOf(proxy));
    for (const writer of writers) await writer.sendLarge(['SET', 'half'], SIZE, 16 * MB);
    expect(memoryOf(proxy, 'VmHWM') - before).toBeLessThan(MOST);
    for (const client of [...readers, ...writers]) client.close();
    const other = new Wire(proxy.port);
    open.push(() => other.close());
    expect(await other.say('EXISTS', 'half')).toBe(':0');
  }, 120_000);
});

describe('over TLS on both sides', () => {
  const size = 96 * MB;
  const authority = createAuthority();
  const server = { ca: authority.ca, ...authority.issue('server') };
  afterAll(() => authority.remove());

  it('a large value passes through as it comes, too', async () => {
    const upstream = await startRedis({ tls: server });
    open.push(() => upstream.stop());
    const port = await freePort();
    const secured = await spawnProxy({
      upstream: upstream.url,
      flags: {
        'tls-listen': `127.0.0.1:${port}`,
        'tls-cert': server.cert,
        'tls-key': server.key,
        'tls-client-auth': 'no',
        'nodes-tls-ca': server.ca,
        'nodes-tls-cert': server.cert,
        'nodes-tls-key': server.key,
      },
    });
    open.push(() => secured.close());
    const socket = tlsConnect({ port, host: '127.0.0.1', ca: readFileSync(server.ca) });
    const client = new LargeClient(socket);
    open.push(() => client.close());
    // Node takes memory for each TLS record and collects it in its own time: first until that levels off.
    for (let i = 0; i < 2; i++) {
      await client.sendLarge(['SET', 'big'], size / 3);
      expect(await client.line()).toBe('+OK');
    }
    const before = memoryOf(secured, 'VmRSS');
    forgetPeak(secured);
    await client.sendLarge(['SET', 'big'], size);
    expect(await client.line()).toBe('+OK');
    await client.send(request('GET', 'big'));
    await client.bytes(1);
    await sleep(200);
    expect(memoryOf(secured, 'VmHWM') - before).toBeLessThan(MOST);
    expect((await client.hash(`${size}\r\n`.length + size)).length).toBe(40);
    expect(await client.bytes(2)).toEqual(Buffer.from('\r\n'));
    expect(memoryOf(secured, 'VmHWM') - before).toBeLessThan(MOST);
  }, 120_000);
});
