// Clients that mean harm, or speak another language: they are cut off as Redis does it, and nobody else notices.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ProxyProcess, spawnProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { Wire } from './support/wire.ts';

let redis: RedisProcess;
let proxy: ProxyProcess;
const wires: Wire[] = [];

beforeAll(async () => {
  redis = await startRedis();
  proxy = await spawnProxy({ upstream: redis.url, flags: { workers: '1' } });
});

afterEach(() => {
  for (const wire of wires.splice(0)) wire.close();
});

afterAll(async () => {
  await proxy.stop();
  await redis.stop();
});

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port);
  wires.push(wire);
  return wire;
}

const text = async (bytes: Promise<Buffer>) => (await bytes).toString('latin1');

describe('HTTP', () => {
  it.each([
    ['GET', 'GET /k HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n'],
    ['POST', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nFLUSHALL\r\n'],
    ['a header in lower case', 'host: localhost\r\nSET http yes\r\n'],
    ['POST as an array', '*1\r\n$4\r\nPOST\r\nSET http yes\r\n'],
    ['POST amid a transaction', 'MULTI\r\nPOST / HTTP/1.1\r\nSET http yes\r\nEXEC\r\n'],
    ['POST beside subscriptions', 'SUBSCRIBE channel\r\nPOST / HTTP/1.1\r\n'],
  ])('%s ends the connection as Redis does', async (_, bytes) => {
    const said = [];
    for (const server of [redis, proxy]) {
      const wire = wireTo(server);
      await wire.say('SET', 'http', 'no');
      wire.send(bytes);
      said.push(await text(wire.rest()));
      expect(await wireTo(server).say('GET', 'http')).toBe('$2\r\nno');
    }
    expect(said[1]).toBe(said[0]);
  });

  it('is counted, and logged once in a while', async () => {
    const closed = async () => (await proxy.metrics()).sum('heatsink_cross_protocol_total');
    const before = await closed();
    for (let i = 0; i < 3; i++) {
      const wire = wireTo(proxy);
      wire.send('POST / HTTP/1.1\r\n\r\n');
      expect(await text(wire.rest())).toBe('');
    }
    expect(await closed()).toBe(before + 3);
    expect(proxy.output().match(/possible attack/g)).toHaveLength(1);
  });
});
