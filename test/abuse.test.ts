// Clients that mean harm, or speak another language: they are cut off as Redis does it, and nobody else notices.

import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeRequest } from '../src/resp3/encode.ts';
import { type ProxyProcess, spawnProxy } from './support/heatsink.ts';
import { damaged, harmlessPipeline } from './support/random-frames.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
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

const MIB = 2 ** 20;
const memory = async () => (await proxy.metrics()).sum('process_resident_memory_bytes');
const connected = async () => (await proxy.metrics()).sum('heatsink_connected_clients');
const set = (option: string, value: string) =>
  wireTo(proxy).say('CONFIG', 'SET', `heatsink.client.${option}`, value);

/** That many connections, all of which are open. */
async function crowd(count: number): Promise<Wire[]> {
  const all = Array.from({ length: count }, () => wireTo(proxy));
  await Promise.all(all.map((wire) => wire.say('PING')));
  return all;
}

/** Somebody else who goes on working; `stop` fails unless all was answered as it should be. */
function bystander(): { stop: () => Promise<void> } {
  const wire = wireTo(proxy);
  let going = true;
  const work = (async () => {
    for (let i = 0; going || i < 50; i++) {
      expect(await wire.say('SET', 'bystander', `${i}`)).toBe('+OK');
      expect(await wire.say('GET', 'bystander')).toBe(`$${`${i}`.length}\r\n${i}`);
    }
  })();
  return {
    async stop() {
      going = false;
      await work;
    },
  };
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

describe('nobody else notices', () => {
  it('random bytes, and requests that are damaged', async () => {
    const other = bystander();
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 3000 }), damaged(harmlessPipeline, 0));
    await fc.assert(
      fc.asyncProperty(bytes, async (sent) => {
        const wire = wireTo(proxy);
        wire.send(Buffer.from(sent));
        wire.end();
        await wire.rest();
        wire.close();
      }),
      { numRuns: 200 },
    );
    await other.stop();
  });

  it('requests that announce more than they bring', async () => {
    const other = bystander();
    const before = await memory();
    const beyond = wireTo(proxy);
    beyond.send(`*2\r\n$3\r\nGET\r\n$${2 ** 30}\r\n`);
    expect(await text(beyond.rest())).toBe('-ERR Protocol error: invalid bulk length\r\n');
    for (const wire of await crowd(50)) {
      wire.send(`*2\r\n$3\r\nGET\r\n$${2 ** 29}\r\nx`);
      wire.send('x');
    }
    for (const wire of await crowd(50)) wire.send('*1048576\r\n$3\r\nDEL\r\n$1\r\n');
    await other.stop();
    expect((await memory()) - before).toBeLessThan(50 * MIB);
  });

  it('arrays in arrays in arrays', async () => {
    const other = bystander();
    for (const bytes of ['*1\r\n'.repeat(100_000), `*2\r\n$3\r\nGET\r\n${'*1\r\n'.repeat(100_000)}`]) {
      const wire = wireTo(proxy);
      wire.send(bytes);
      expect(await text(wire.rest())).toBe("-ERR Protocol error: expected '$', got '*'\r\n");
    }
    // As an argument it is only bytes.
    const nested = '*1\r\n'.repeat(100_000);
    expect(await wireTo(proxy).say('ECHO', nested)).toBe(`$${nested.length}\r\n${nested}`);
    await other.stop();
  });

  it('a million commands of one client that never reads', async () => {
    const other = bystander();
    await wireTo(proxy).say('SET', 'value', 'x'.repeat(1000));
    const before = await memory();
    const greedy = wireTo(proxy);
    await greedy.say('PING');
    greedy.socket.pause();
    const some = Buffer.concat(new Array(10_000).fill(encodeRequest(['GET', 'value'])));
    for (let i = 0; i < 100; i++) greedy.send(some);
    // Nothing of it moves any more: neither are commands taken, nor replies.
    let sent = -1;
    await waitFor(
      () => {
        const moved = greedy.socket.writableLength !== sent;
        sent = greedy.socket.writableLength;
        return !moved;
      },
      10_000,
      300,
    );
    expect(sent).toBeGreaterThan(10 * MIB);
    await other.stop();
    expect((await memory()) - before).toBeLessThan(64 * MIB);
    await waitFor(async () => (await redis.call('PING')) === 'PONG');
  });

  it('clients that say half a word, or half a word and goodbye', async () => {
    await set('requestTimeout', '500');
    const other = bystander();
    const halves = await crowd(200);
    const leaving = await crowd(200);
    for (const wire of [...halves, ...leaving]) wire.send('*2\r\n$3\r\nGET\r\n$5\r\nab');
    for (const wire of leaving) wire.end();
    await Promise.all([...halves, ...leaving].map((wire) => wire.rest()));
    await other.stop();
    expect(await set('requestTimeout', '60000')).toBe('+OK');
  });

  it('more clients than there may be', async () => {
    const before = await connected();
    const other = bystander();
    await set('maxClients', `${before + 100}`);
    const all = Array.from({ length: 400 }, () => wireTo(proxy));
    const replies = await Promise.all(all.map((wire) => wire.say('PING').catch(() => 'closed')));
    expect(replies.filter((reply) => reply === '+PONG').length).toBeLessThanOrEqual(100);
    expect(replies.filter((reply) => reply !== '+PONG').length).toBeGreaterThanOrEqual(300);
    await other.stop();
    for (const wire of all) wire.close();
    await waitFor(async () => (await set('maxClients', '10000')) === '+OK');
    await crowd(200);
  });

  it('4,000 clients that do nothing, each of which takes less than 12 KB', async () => {
    // What the first ones need is there for all.
    for (const wire of await crowd(500)) wire.close();
    await waitFor(async () => (await connected()) < 100);
    const before = await memory();
    const other = bystander();
    await crowd(4000);
    await other.stop();
    expect(((await memory()) - before) / 4000).toBeLessThan(12 * 1024);
  });
});
