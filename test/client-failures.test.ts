// Clients that leave in the middle, break the protocol or do not read: they get what is theirs, and nobody else
// notices.

import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Argument, encodeRequest } from '../src/resp3/encode.ts';
import { type RunningProxy, spawnProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis, waitFor } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

async function redis(): Promise<RedisProcess> {
  const server = await startRedis();
  open.push(() => server.stop());
  return server;
}

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port);
  open.push(() => wire.close());
  return wire;
}

describe('a client', () => {
  let upstream: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    upstream = await redis();
    proxy = await startProxy({ upstream: upstream.url });
    open.push(() => proxy.close());
  });

  it('that leaves in the middle of a request or a pipeline harms nobody', async () => {
    const other = wireTo(proxy);
    await other.say('SET', 'shared', 'value');
    const set = encodeRequest(['SET', 'k', 'x'.repeat(100_000)]);
    const pipeline = Array.from({ length: 500 }, (_, i) => [
      ['SET', `k${i}`, 'x'],
      ['GET', 'shared'],
      ['MGET', 'a', 'b'],
    ]);
    for (let i = 0; i < 50; i++) {
      const leaver = wireTo(proxy);
      leaver.sendAll(pipeline.flat());
      leaver.send(set.subarray(0, i * 2000 + 1));
      const reply = other.say('GET', 'shared');
      await sleep(i % 5);
      if (i % 2 === 0) leaver.close();
      else leaver.socket.resetAndDestroy();
      expect(await reply).toBe('$5\r\nvalue');
    }
    expect(await other.say('EXISTS', 'k')).toBe(':0');
  });

  it('that leaves before its read is answered leaves the answer to those who share it', async () => {
    const [leader, second, third] = [wireTo(proxy), wireTo(proxy), wireTo(proxy)];
    await leader.say('SET', 'cold', 'value');
    await Promise.all([second.say('PING'), third.say('PING')]);
    upstream.kill('SIGSTOP');
    leader.sendAll([
      ['GET', 'cold'],
      ['GET', 'cold'],
    ]);
    const reply = second.say('GET', 'cold');
    third.sendAll([['GET', 'cold']]);
    await sleep(50);
    leader.close();
    third.close();
    await sleep(50);
    upstream.kill('SIGCONT');
    expect(await reply).toBe('$5\r\nvalue');
    expect(await second.say('GET', 'cold')).toBe('$5\r\nvalue');
  });

  it('that says nothing more after its commands gets all its replies, then the end', async () => {
    const commands: Argument[][] = Array.from({ length: 3000 }, (_, i) => [
      ['INCR', 'half'],
      ['ECHO', `${i}`],
    ]).flat();
    commands.push(['NONSENSE'], ['CLIENT', 'GETNAME'], ['PING', 'last']);
    for (const held of [false, true]) {
      await upstream.call('DEL', 'half');
      const client = wireTo(proxy);
      await client.say('PING');
      if (held) upstream.kill('SIGSTOP');
      client.sendAll(commands);
      client.end();
      await sleep(50);
      upstream.kill('SIGCONT');
      const replies = await client.replies(commands.length);
      replies.slice(0, 6000).forEach((reply, i) => {
        const n = `${i >> 1}`;
        const due = i % 2 === 0 ? `:${(i >> 1) + 1}` : `$${n.length}\r\n${n}`;
        if (reply.toString() !== `${due}\r\n`) expect(reply.toString(), `reply ${i}`).toBe(due);
      });
      expect(replies.at(-1)?.toString()).toBe('$4\r\nlast\r\n');
      expect(await client.rest()).toHaveLength(0);
    }
  });

  it('that breaks the protocol gets the replies so far, the words of Redis, and the end', async () => {
    const before = Buffer.concat([['SET', 'k', 'v'], ['GET', 'k'], ['PING']].map(encodeRequest)).toString();
    const broken = [
      '*1\r\n:5\r\n',
      '*x\r\n',
      '*2147483648\r\n',
      '*1\r\n$-1\r\n',
      '*1\r\n$x\r\n',
      '*1\r\n$536870913\r\n',
    ];
    broken.push(
      'GET "k\r\n',
      "GET 'k\r\n",
      '*2\r\n$3\r\nGET\r\n%1\r\n',
      `*${'1'.repeat(70_000)}`,
      'x'.repeat(70_000),
    );
    for (const bytes of broken) {
      const [expected, got] = await Promise.all(
        [upstream, proxy].map(async (to) => {
          const client = wireTo(to);
          client.send(before + bytes);
          return (await client.rest()).toString('latin1');
        }),
      );
      expect(got).toBe(expected);
      expect(got).toMatch(/^\+OK\r\n\$1\r\nv\r\n\+PONG\r\n-ERR Protocol error: .+\r\n$/);
    }
  });

  it('that has gone is not counted any more, however it went', async () => {
    const connected = async () => (await proxy.metrics()).sum('heatsink_connected_clients');
    const before = await connected();
    for (let round = 0; round < 5; round++) {
      const clients = Array.from({ length: 200 }, () => wireTo(proxy));
      await Promise.all(clients.map((client) => client.say('PING')));
      expect(await connected()).toBeGreaterThanOrEqual(200);
      clients.forEach((client, i) => {
        if (i % 4 === 0) client.close();
        else if (i % 4 === 1) client.socket.resetAndDestroy();
        else if (i % 4 === 2) client.end();
        else client.sendAll([['QUIT']]);
      });
    }
    await waitFor(async () => (await connected()) <= before, 3000);
  });
});

describe('a client that does not read', () => {
  it.each([
    ['100,000 values of 1 KB that are not hot', 1000, 100_000, { tier: 'off' }],
    ['100,000 values of 1 KB that are hot', 1000, 100_000, { 'hot-threshold': '20' }],
    ['2,500 values of 200 KB that are hot', 200_000, 2500, { 'hot-threshold': '20' }],
  ])('keeps nobody waiting and no memory, having asked for %s', async (_, size, count, flags) => {
    const upstream = await redis();
    const proxy = await spawnProxy({ upstream: upstream.url, flags: flags as Record<string, string> });
    open.push(() => proxy.close());
    const other = wireTo(proxy);
    await other.say('SET', 'k', 'v'.repeat(size));
    for (let i = 0; i < 100; i++) await other.ask('GET', 'k');
    const memory = async () => (await proxy.metrics()).sum('process_resident_memory_bytes');
    const before = await memory();

    const slow = connect(proxy.port, '127.0.0.1').pause();
    open.push(() => slow.destroy());
    const get = encodeRequest(['GET', 'k']);
    slow.write(Buffer.concat(Array.from({ length: count }, () => get)));
    await sleep(300);
    const began = performance.now();
    for (let i = 0; i < 100; i++) expect(await other.say('SET', 'other', 'x')).toBe('+OK');
    expect(performance.now() - began).toBeLessThan(1000);
    expect(((await memory()) - before) / 2 ** 20).toBeLessThan(100);

    // Once it reads, it gets everything.
    const due = count * (`$${size}\r\n`.length + size + 2);
    let got = 0;
    slow.on('data', (chunk) => {
      got += chunk.length;
    });
    slow.resume();
    await waitFor(() => got === due, 10_000);
  });
});
