// The limits of what clients may take: each of them, over real connections.

import { networkInterfaces } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ProxyOptions, type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

let redis: RedisProcess;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  redis = await startRedis();
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

afterAll(() => redis.stop());

async function proxyWith(flags: ProxyOptions['flags'] = {}): Promise<RunningProxy> {
  const proxy = await startProxy({ upstream: redis.url, flags });
  closing.push(() => proxy.close());
  return proxy;
}

function wireTo({ port }: { port: number }, host?: string): Wire {
  const wire = new Wire(port, undefined, host);
  closing.push(() => wire.close());
  return wire;
}

const text = async (bytes: Promise<Buffer>) => (await bytes).toString('latin1');

describe('client.maxClients', () => {
  it.each(['1', '3'])('refuses a client too many in the words of Redis, with %s workers', async (workers) => {
    const proxy = await proxyWith({ 'max-clients': '3', workers });
    // The harness may still be closing the connection by which it saw that heatsink is up.
    const inside = Array.from({ length: 3 }, () => wireTo(proxy));
    for (const wire of inside) expect(await wire.say('PING')).toBe('+PONG');
    const outside = wireTo(proxy);
    expect(await text(outside.rest())).toBe('-ERR max number of clients reached\r\n');
    expect((await proxy.metrics()).sum('heatsink_client_rejections_total', { reason: 'max_clients' })).toBe(
      1,
    );
    inside[0].close();
    await waitFor(async () => (await wireTo(proxy).say('PING')) === '+PONG');
  });

  it('is changed by CONFIG SET, and shown by INFO', async () => {
    const proxy = await proxyWith({ 'max-clients': '2' });
    const [first, second] = [wireTo(proxy), wireTo(proxy)];
    await Promise.all([first.say('PING'), second.say('PING')]);
    expect(await text(wireTo(proxy).rest())).toContain('max number of clients');
    expect(await first.say('CONFIG', 'SET', 'heatsink.client.maxClients', '3')).toBe('+OK');
    expect(await wireTo(proxy).say('PING')).toBe('+PONG');
    expect(await first.say('INFO', 'clients')).toContain('\r\nmaxclients:3\r\n');
  });
});

describe('client.protectedMode', () => {
  const outer = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

  it.skipIf(outer === undefined)('refuses clients that are not on loopback until it is off', async () => {
    const proxy = await proxyWith({ listen: '0.0.0.0:0' });
    expect(await text(wireTo(proxy, outer).rest())).toMatch(
      /^-DENIED heatsink is running in protected mode .*\r\n$/,
    );
    const local = wireTo(proxy);
    expect(await local.say('PING')).toBe('+PONG');
    const reason = { reason: 'protected_mode' };
    expect((await proxy.metrics()).sum('heatsink_client_rejections_total', reason)).toBe(1);
    expect(await local.say('CONFIG', 'SET', 'heatsink.client.protectedMode', 'off')).toBe('+OK');
    expect(await wireTo(proxy, outer).say('PING')).toBe('+PONG');
  });

  it.skipIf(outer === undefined)('lets clients in that somebody asks for a password', async () => {
    const proxy = await proxyWith({ listen: '0.0.0.0:0', auth: 'upstream' });
    expect(await wireTo(proxy, outer).say('PING')).toBe('+PONG');
  });
});
