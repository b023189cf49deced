// Values that are larger than any buffer: they pass through as they come, whole and in order, and nobody else waits.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRequest } from '../src/resp3/encode.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { hashOfBulk, LargeClient, piecesOf } from './support/large-client.ts';
import {
  type Cluster,
  cmdstat,
  type RedisProcess,
  startCluster,
  startRedis,
  waitFor,
} from './support/redis.ts';
import { beginSlotMove } from './support/slot-move.ts';
import { Wire } from './support/wire.ts';

const MB = 1024 * 1024;
/** Larger than all buffers on the way together. */
const LARGE = 24 * MB;
const open: (() => unknown)[] = [];

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port, 20_000);
  open.push(() => wire.close());
  return wire;
}

function clientOf(server: { port: number }): LargeClient {
  const client = new LargeClient(server);
  open.push(() => client.close());
  return client;
}

async function redis(port?: number): Promise<RedisProcess> {
  const server = await startRedis(port === undefined ? {} : { port });
  open.push(() => server.stop());
  return server;
}

/** A value of that size in one piece. */
const whole = (size: number) => Buffer.concat([...piecesOf(size)]);

const request = (...words: string[]) => encodeRequest(words);

/** A client of that protocol. */
async function greeted(server: { port: number }, protocol: string): Promise<LargeClient> {
  const client = clientOf(server);
  await client.send(Buffer.concat([request('HELLO', protocol), request('ECHO', 'ready')]));
  while ((await client.line()) !== 'ready');
  return client;
}

describe('a large value', () => {
  let upstream: RedisProcess;
  let proxy: RunningProxy;

  beforeAll(async () => {
    upstream = await redis();
    proxy = await startProxy({ upstream: upstream.url, flags: { 'hot-threshold': '20' } });
    open.push(() => proxy.close());
  });

  it('holds up nobody else while its reader does not read', async () => {
    const [slow, other] = [clientOf(proxy), wireTo(proxy)];
    await slow.sendLarge(['SET', 'unread'], LARGE);
    expect(await slow.line()).toBe('+OK');
    await slow.send(request('GET', 'unread'));
    await slow.bytes(1);
    for (let i = 0; i < 50; i++) {
      expect(await other.say('SET', 'small', `${i}`)).toBe('+OK');
      expect(await other.say('GET', 'small')).toBe(`$${`${i}`.length}\r\n${i}`);
    }
    const rest = `${LARGE}\r\n`.length + LARGE + 2;
    const expected = Buffer.concat([Buffer.from(`${LARGE}\r\n`), whole(LARGE), Buffer.from('\r\n')]);
    expect((await slow.bytes(rest)).equals(expected)).toBe(true);
  });

  it('is read by many at once, whoever asks first, and however hot it is', async () => {
    const size = 3 * MB;
    const hash = hashOfBulk(size);
    const clients = Array.from({ length: 12 }, () => clientOf(proxy));
    await clients[0].sendLarge(['SET', 'many'], size);
    expect(await clients[0].line()).toBe('+OK');
    for (let round = 0; round < 4; round++) {
      const reads = clients.map(async (client) => {
        await client.send(Buffer.concat([request('GET', 'many'), request('GET', 'many')]));
        return [await client.hashOfReply(size), await client.hashOfReply(size)];
      });
      expect(new Set((await Promise.all(reads)).flat())).toEqual(new Set([hash]));
    }
    expect((await proxy.metrics()).sum('heatsink_large_values_total', { direction: 'read' })).toBeGreaterThan(
      50,
    );
  });

  it('is kept in the tier when that may keep replies of its size', async () => {
    const size = 2 * MB;
    const flags = { 'hot-threshold': '1', 'tier-max-entry-bytes': '4MiB' };
    const keeping = await startProxy({ upstream: upstream.url, flags });
    open.push(() => keeping.close());
    const client = clientOf(keeping);
    await client.sendLarge(['SET', 'kept'], size);
    expect(await client.line()).toBe('+OK');
    await waitFor(async () => {
      await client.send(request('GET', 'kept'));
      expect(await client.hashOfReply(size)).toBe(hashOfBulk(size));
      return (await keeping.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' }) > 3;
    }, 20_000);
  });

  it('is gathered where no connection may be pinned for it any more', async () => {
    const size = 3 * MB;
    const full = await startProxy({ upstream: upstream.url, flags: { 'max-pinned': '1', workers: '1' } });
    open.push(() => full.close());
    expect(await wireTo(full).ask('SUBSCRIBE', 'channel')).toBeTruthy();
    const client = clientOf(full);
    await client.sendLarge(['SET', 'gathered'], size);
    expect(await client.line()).toBe('+OK');
    for (let i = 0; i < 2; i++) {
      await client.send(request('GET', 'gathered'));
      expect(await client.hashOfReply(size)).toBe(hashOfBulk(size));
    }
    expect((await full.metrics()).sum('heatsink_large_values_total')).toBe(0);
  });

  it('is never older than one that was read before, while it is written and read by many', async () => {
    const size = 2 * MB;
    const letters = 'abcdefgh';
    const readers = Array.from({ length: 4 }, () => clientOf(proxy));
    const writer = clientOf(proxy);
    let done = false;
    const write = async () => {
      for (const letter of letters) {
        await writer.send(`*3\r\n$3\r\nSET\r\n$5\r\nfresh\r\n$${size}\r\n`);
        await writer.send(Buffer.alloc(size, letter));
        await writer.send('\r\n');
        expect(await writer.line()).toBe('+OK');
        await sleep(20);
      }
      done = true;
    };
    const read = async (client: LargeClient) => {
      let last = '';
      while (!done) {
        await client.send(request('GET', 'fresh'));
        const head = await client.line();
        if (head === '$-1') continue;
        expect(head).toBe(`$${size}`);
        const value = await client.bytes(size + 2);
        const letter = String.fromCharCode(value[0]);
        expect(value.subarray(0, size).equals(Buffer.alloc(size, letter))).toBe(true);
        expect(letter >= last).toBe(true);
        last = letter;
      }
    };
    await Promise.all([write(), ...readers.map(read)]);
  });

  it('keeps its place among the commands before and behind it', async () => {
    const value = whole(LARGE / 4);
    const large = (...words: string[]) => encodeRequest([...words.map((word) => Buffer.from(word)), value]);
    const pipeline = Buffer.concat([
      request('SET', 'n', '1'),
      request('GET', 'n'),
      large('SET', 'first'),
      request('GET', 'first'),
      request('INCR', 'n'),
      request('GET', 'first'),
      request('GET', 'n'),
      large('APPEND', 'first'),
      request('STRLEN', 'first'),
      large('SETEX', 'second', '100'),
      large('HSET', 'hash', 'field'),
      request('HGET', 'hash', 'field'),
      large('RPUSH', 'list', 'a'),
      request('GET', 'first'),
      request('SET', 'first', 'small'),
      request('GET', 'first'),
      large('GETSET', 'first'),
      large('SET', 'first'),
      request('GET', 'n'),
      request('DEL', 'first', 'second', 'hash', 'list', 'n'),
      request('QUIT'),
    ]);
    for (const protocol of ['2', '3']) {
      const expected = await answers(upstream, protocol, pipeline);
      expect(expected.length).toBeGreaterThan(LARGE);
      expect((await answers(proxy, protocol, pipeline)).equals(expected)).toBe(true);
    }
  });

  it('is not overtaken by what its client writes while it is still reading', async () => {
    const [slow, other] = [clientOf(proxy), wireTo(proxy)];
    await slow.sendLarge(['SET', 'overtaken'], LARGE);
    expect(await slow.line()).toBe('+OK');
    for (let round = 0; round < 2; round++) {
      await slow.send(request('GET', 'overtaken'));
      await slow.bytes(1);
      await slow.send(Buffer.concat([request('SET', 'behind', `${round}`), request('GET', 'behind')]));
      await sleep(50);
      await slow.bytes(`${LARGE}\r\n`.length + LARGE + 2);
      expect(await slow.line()).toBe('+OK');
      expect(await other.say('GET', 'behind')).toBe(`$1\r\n${round}`);
      expect(await slow.bytes(7)).toEqual(Buffer.from(`$1\r\n${round}\r\n`));
    }
  });

  it('may be a list of many elements', async () => {
    const client = wireTo(proxy);
    const [elements, size] = [480, 64 * 1024];
    for (let i = 0; i < elements; i += 16)
      await client.ask('RPUSH', 'elements', ...Array.from({ length: 16 }, () => Buffer.alloc(size, 'e')));
    const small = await client.ask('LRANGE', 'elements', 0, 0);
    const element = small.subarray('*1\r\n'.length);
    for (const read of [
      ['LRANGE', 'elements', '0', '-1'],
      ['SORT', 'elements', 'BY', 'none'],
    ]) {
      const reader = clientOf(proxy);
      await reader.send(Buffer.concat([request(...read), request('LLEN', 'elements')]));
      expect(await reader.line()).toBe(`*${elements}`);
      for (let i = 0; i < elements; i++)
        expect((await reader.bytes(element.length)).equals(element)).toBe(true);
      expect(await reader.line()).toBe(`:${elements}`);
    }
  });

  it('is given once by a command that takes it away, to a client that is slow, too', async () => {
    const client = clientOf(proxy);
    for (const [write, read] of [
      ['SET', ['GETDEL', 'once']],
      ['RPUSH', ['LPOP', 'once']],
      ['SET', ['GETSET', 'once', 'small']],
    ] as const) {
      await client.send(request('DEL', 'once'));
      await client.line();
      await client.sendLarge([write, 'once'], LARGE);
      await client.line();
      const calls = await cmdstat(upstream, read[0].toLowerCase());
      await client.send(
        Buffer.concat([request('EXISTS', 'other'), request(...read), request('STRLEN', 'once')]),
      );
      expect(await client.line()).toBe(':0');
      await client.bytes(1);
      await sleep(50);
      expect((await client.bytes(`${LARGE}\r\n`.length + LARGE + 2)).subarray(-1002, -2)).toEqual(
        whole(LARGE).subarray(-1000),
      );
      expect(await client.line()).toBe(read[0] === 'GETSET' ? ':5' : ':0');
      expect(await cmdstat(upstream, read[0].toLowerCase())).toBe(calls + 1);
    }
  });

  it('may be written and read in a transaction', async () => {
    const size = 3 * MB;
    const client = clientOf(proxy);
    await client.send(request('MULTI'));
    await client.sendLarge(['SET', 'inside'], size);
    await client.send(Buffer.concat([request('GET', 'inside'), request('EXEC'), request('GET', 'inside')]));
    for (const line of ['+OK', '+QUEUED', '+QUEUED', '*2', '+OK']) expect(await client.line()).toBe(line);
    for (let i = 0; i < 2; i++) expect(await client.hashOfReply(size)).toBe(hashOfBulk(size));
  });

  it('is passed on to a client with connections of its own', async () => {
    const size = 3 * MB;
    const client = await greeted(proxy, '3');
    await client.send(Buffer.concat([request('CLIENT', 'TRACKING', 'ON'), request('SUBSCRIBE', 'channel')]));
    expect(await client.line()).toBe('+OK');
    await client.bytes('>3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n'.length);
    await client.sendLarge(['SET', 'own'], size);
    expect(await client.line()).toBe('+OK');
    await client.send(Buffer.concat([request('GET', 'own'), request('ECHO', 'behind')]));
    expect(await client.hashOfReply(size)).toBe(hashOfBulk(size));
    expect(await client.bytes(12)).toEqual(Buffer.from('$6\r\nbehind\r\n'));
  });

  it('is kept from a client that wants no replies, and from no other', async () => {
    const [silent, other] = [clientOf(proxy), clientOf(proxy)];
    await silent.sendLarge(['SET', 'silent'], 3 * MB);
    expect(await silent.line()).toBe('+OK');
    for (let i = 0; i < 2; i++) {
      await silent.send(Buffer.concat([request('CLIENT', 'REPLY', 'SKIP'), request('GET', 'silent')]));
      await silent.send(request('GET', 'nothing'));
      await other.send(request('GET', 'silent'));
      expect(await silent.line()).toBe('$-1');
      expect(await other.hashOfReply(3 * MB)).toBe(hashOfBulk(3 * MB));
    }
  });

  it('is written by nobody who leaves before its end', async () => {
    const before = await upstreamConnections();
    for (const leave of [
      (client: LargeClient) => client.close(),
      (client: LargeClient) => client.socket.end(),
    ]) {
      const client = clientOf(proxy);
      await client.sendLarge(['SET', 'left'], LARGE, LARGE - 1);
      leave(client);
      if (!client.socket.destroyed) expect(await client.bytes(1)).toHaveLength(0);
    }
    expect(await wireTo(proxy).say('EXISTS', 'left')).toBe(':0');
    await waitFor(async () => (await upstreamConnections()) <= before);
  });

  it('is refused in the words of a server when what follows it is no request', async () => {
    for (const wrong of ['$x\r\n', '$-1\r\n', '+OK\r\n', `$${'1'.repeat(70_000)}`]) {
      const heard: string[] = [];
      for (const server of [upstream, proxy]) {
        const client = clientOf(server);
        await client.send('*4\r\n$4\r\nHSET\r\n$5\r\nwrong\r\n');
        await client.send(`$${2 * MB}\r\n`);
        for (const piece of piecesOf(2 * MB)) await client.send(piece);
        await client.send(`\r\n${wrong}`);
        heard.push((await client.bytes(Number.POSITIVE_INFINITY)).toString('latin1'));
      }
      expect(heard[0]).toMatch(/^-ERR Protocol error: /);
      expect(heard[1]).toBe(heard[0]);
    }
    expect(await wireTo(proxy).say('EXISTS', 'wrong')).toBe(':0');
  });

  it('waits with its last bytes while clients are paused', async () => {
    const [client, other] = [clientOf(proxy), wireTo(proxy)];
    await client.sendLarge(['SET', 'paused'], 3 * MB, 2 * MB);
    await other.say('CLIENT', 'PAUSE', 10_000, 'WRITE');
    const rest = client.send(Buffer.concat([whole(MB), Buffer.from('\r\n'), request('STRLEN', 'paused')]));
    await sleep(50);
    expect(await other.say('EXISTS', 'paused')).toBe(':0');
    await other.say('CLIENT', 'UNPAUSE');
    await rest;
    expect(await client.line()).toBe('+OK');
    expect(await client.line()).toBe(`:${3 * MB}`);
  });

  async function upstreamConnections(): Promise<number> {
    return String(await upstream.call('CLIENT', 'LIST')).split('\n').length;
  }

  /** All replies to a pipeline that ends with QUIT. */
  async function answers(server: { port: number }, protocol: string, pipeline: Buffer): Promise<Buffer> {
    const client = await greeted(server, protocol);
    const [replies] = await Promise.all([client.bytes(Number.POSITIVE_INFINITY), client.send(pipeline)]);
    return replies;
  }
});

describe('a server that is killed', () => {
  it('in the middle of a large write has not executed it, and the rest of it is no request', async () => {
    const upstream = await redis();
    const proxy = await startProxy({ upstream: upstream.url });
    open.push(() => proxy.close());
    const client = clientOf(proxy);
    await client.sendLarge(['SET', 'k'], LARGE, LARGE / 2);
    await upstream.stop();
    expect(await client.line()).toMatch(/^-ERR heatsink: cannot reach .*; the command was not sent$/);
    const again = await redis(upstream.port);
    // As a value it is as good as any; as a request it would be one.
    const rest = Buffer.alloc(LARGE / 2, request('SET', 'k', 'smuggled'));
    await client.send(Buffer.concat([rest, Buffer.from('\r\n')]));
    await waitFor(async () => (await wireTo(proxy).say('PING')) === '+PONG');
    await client.send(request('EXISTS', 'k'));
    await waitFor(async () => {
      const line = await client.line();
      if (line !== ':0') await client.send(request('EXISTS', 'k'));
      return line === ':0';
    });
    expect(await again.call('EXISTS', 'k')).toBe(0);
  });

  it('in the middle of a large reply ends the connection of the client that was reading it', async () => {
    const upstream = await redis();
    const proxy = await startProxy({ upstream: upstream.url });
    open.push(() => proxy.close());
    for (let round = 0; round < 2; round++) {
      const [client, other] = [clientOf(proxy), wireTo(proxy)];
      await waitFor(async () => (await other.say('EXISTS', 'k')).startsWith(':'));
      await client.sendLarge(['SET', 'k'], LARGE);
      expect(await client.line()).toBe('+OK');
      await client.send(Buffer.concat([request('GET', 'k'), request('PING')]));
      await client.bytes(MB);
      if (round === 0) await upstream.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      else await upstream.stop();
      const rest = await client.bytes(Number.POSITIVE_INFINITY);
      expect(rest.length).toBeLessThan(LARGE);
      expect(
        whole(LARGE)
          .subarray(MB - `$${LARGE}\r\n`.length)
          .subarray(0, rest.length)
          .equals(rest),
      ).toBe(true);
      expect(await other.say('PING')).toMatch(/^(\+PONG|-ERR heatsink: cannot reach)/);
    }
  });
});

describe('on a cluster', () => {
  let cluster: Cluster;
  let proxy: RunningProxy;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3 });
    open.push(() => cluster.stop());
    proxy = await startProxy({ upstream: cluster.url });
    open.push(() => proxy.close());
  });

  it('a large write finds a slot that is moving, or has moved', async () => {
    const client = clientOf(proxy);
    const write = async () => {
      await client.sendLarge(['SET', '{moving}new'], 3 * MB);
      return client.line();
    };
    const move = await beginSlotMove(cluster, '{moving}');
    expect(await write()).toBe('+OK');
    expect(await move.source.call('DBSIZE')).toBe(0);
    await move.finish();
    expect(await write()).toBe('+OK');
    await client.send(request('GET', '{moving}new'));
    expect(await client.hashOfReply(3 * MB)).toBe(hashOfBulk(3 * MB));
  });

  it('one whose slot moves while it is on its way is not executed, and the next try is', async () => {
    const client = clientOf(proxy);
    const begun = async () =>
      (await proxy.metrics()).sum('heatsink_large_values_total', { direction: 'write' });
    const before = await begun();
    await client.sendLarge(['SET', '{late}k'], 3 * MB, 2 * MB);
    // Before the move it must be on its way to the old owner.
    await waitFor(async () => (await begun()) > before);
    const move = await beginSlotMove(cluster, '{late}');
    await move.finish();
    await client.send(Buffer.concat([whole(3 * MB).subarray(2 * MB), Buffer.from('\r\n')]));
    expect(await client.line()).toBe(
      '-TRYAGAIN heatsink: the slot moved while a large value for it was on its way; the command was not executed',
    );
    await client.send(request('EXISTS', '{late}k'));
    expect(await client.line()).toBe(':0');
    await client.sendLarge(['SET', '{late}k'], 3 * MB);
    expect(await client.line()).toBe('+OK');
    expect(await move.target.call('EXISTS', '{late}k')).toBe(1);
  });
});
