// The framers of requests and replies: wherever chunks end, they find what redis-parser, a plain decoder and a
// real server find. HEATSINK_CHUNKINGS says how many random chunkings to try, 40,000 when it says nothing.

import fc from 'fast-check';
import RedisParser from 'redis-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Argument, encodeRequest } from '../src/resp3/encode.ts';
import { ReplyFrame } from '../src/resp3/reply-frame.ts';
import { ARGS_MAX, BULK_MAX, COMPLETE, INLINE_MAX, RequestFrame } from '../src/resp3/request-frame.ts';
import { type ChunkSizes, frameReplies, frameRequests } from './support/chunked.ts';
import {
  chunkings,
  damaged,
  harmlessPipeline,
  noise,
  replies2,
  replies3,
  requestPipeline,
} from './support/random-frames.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { decodeReplies, encodeValue } from './support/reference-decoder.ts';
import { Wire } from './support/wire.ts';

const CHUNKINGS = Number(process.env.HEATSINK_CHUNKINGS ?? 40_000);
/** Ways in which each random input is cut. */
const CUTS = 10;
const PATIENCE = 30_000 + CHUNKINGS;

let chunkingsTried = 0;

/** Tries random inputs, each cut in CUTS ways, for this share of all chunkings. */
function tryCut<T>(
  share: number,
  input: fc.Arbitrary<T>,
  check: (input: T, sizes: ChunkSizes) => void,
): void {
  const numRuns = Math.ceil((CHUNKINGS * share) / CUTS);
  fc.assert(
    fc.property(input, chunkings(CUTS), (bytes, cuts) => {
      for (const sizes of cuts) check(bytes, sizes);
      chunkingsTried += cuts.length;
    }),
    { numRuns },
  );
}

describe('wherever chunks end', () => {
  it('finds every argument of a pipeline of requests, and forwards them as arrays', {
    timeout: PATIENCE,
  }, () => {
    tryCut(0.25, requestPipeline, ({ bytes, requests }, sizes) => {
      const framed = frameRequests(bytes, sizes);
      expect(framed.error).toBe('');
      expect(framed.requests).toEqual(requests);
      const arrays = requests.map((args) => encodeRequest(args.map((arg) => Buffer.from(arg, 'latin1'))));
      expect(Buffer.concat(framed.forwarded).equals(Buffer.concat(arrays))).toBe(true);
    });
  });

  it('finds the same in damaged requests, down to the words of the error', { timeout: PATIENCE }, () => {
    const input = fc.oneof(damaged(requestPipeline.map(({ bytes }) => bytes)), noise);
    tryCut(0.2, input, (bytes, sizes) => {
      const cut = frameRequests(bytes, sizes);
      const whole = frameRequests(bytes, [64 * 1024]);
      expect(cut.requests).toEqual(whole.requests);
      expect(cut.error).toBe(whole.error);
    });
  });

  it('finds the RESP2 replies that redis-parser finds, when it finds them', { timeout: PATIENCE }, () => {
    const tail = fc.constantFrom('', '', 'x', '\r\n', '@1\r\n');
    tryCut(0.25, fc.tuple(replies2, tail, fc.nat({ max: 3 })), ([values, wrong, missing], sizes) => {
      const whole = Buffer.concat([...values.map(encodeValue), Buffer.from(wrong)]);
      compareWithRedisParser(whole.subarray(0, whole.length - missing), sizes);
    });
  });

  it('finds the RESP3 replies that the reference decoder finds', { timeout: PATIENCE }, () => {
    const known = new WeakMap<object, Buffer>();
    tryCut(0.15, replies3, (values, sizes) => {
      let bytes = known.get(values);
      if (bytes === undefined) {
        bytes = Buffer.concat(values.map(encodeValue));
        known.set(values, bytes);
        // The reference itself must be right.
        expect(decodeReplies(bytes).values).toEqual(values);
      }
      compareWithReference(bytes, sizes);
    });
  });

  it('calls broken what the reference decoder calls broken, and waits when it waits', {
    timeout: PATIENCE,
  }, () => {
    const valid = fc.oneof(replies2, replies3).map((values) => Buffer.concat(values.map(encodeValue)));
    tryCut(0.15, fc.oneof(damaged(valid), noise), compareWithReference);
  });

  it(`has tried all of ${CHUNKINGS} chunkings`, () => {
    expect(chunkingsTried).toBeGreaterThanOrEqual(CHUNKINGS);
  });
});

/** After every chunk both must have found the same number of replies, or an error. */
function compareWithRedisParser(bytes: Buffer, sizes: ChunkSizes): void {
  let replies = 0;
  let broken = false;
  const count = () => {
    replies++;
  };
  const parser = new RedisParser({
    returnReply: count,
    returnError: count,
    returnFatalError: () => {
      broken = true;
    },
    returnBuffers: true,
  });
  frameReplies(bytes, sizes, (chunk, found) => {
    parser.execute(chunk);
    if ((broken ? -1 : replies) !== found)
      expect.fail(`${found} instead of ${broken ? -1 : replies} replies`);
  });
}

function compareWithReference(bytes: Buffer, sizes: ChunkSizes): void {
  const { ends, rest } = decodeReplies(bytes);
  const framed = frameReplies(bytes, sizes);
  expect(framed.ends).toEqual(ends);
  expect(framed.rest).toBe(rest);
}

describe('beside a real server', () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  /** How many replies the server gives before it finds an error of the protocol, and its words. */
  async function askServer(bytes: Buffer): Promise<{ replies: number; error: string }> {
    const wire = new Wire(redis.port);
    wire.send(bytes);
    wire.end();
    const { values } = decodeReplies(await wire.rest());
    wire.close();
    const last = values.at(-1);
    const failed = last?.type === '-' && last.text?.startsWith('ERR Protocol error');
    if (!failed) return { replies: values.length, error: '' };
    return { replies: values.length - 1, error: String(last.text).slice('ERR '.length) };
  }

  const text = (string: string) => Buffer.from(string, 'latin1');
  const PING = '*1\r\n$4\r\nPING\r\n';
  it.each<[string, string]>([
    ['a count with a sign', '*+1\r\n'],
    ['a count of minus zero', '*-0\r\n'],
    ['a count with a leading zero', '*01\r\n'],
    ['a count of nothing', '*\r\n'],
    ['a count that is none', '*1a\r\n'],
    ['a count past all integers', '*9223372036854775808\r\n'],
    ['a negative count', `*-5\r\n${PING}`],
    ['a length with a sign', '*1\r\n$+4\r\nPING\r\n'],
    ['a length with a leading zero', '*1\r\n$04\r\nPING\r\n'],
    ['a negative length', '*1\r\n$-1\r\n'],
    ['a length of nothing', '*1\r\n$\r\n'],
    ['a length with a space', '*1\r\n$4 \r\nPING\r\n'],
    ['a bulk string of 512 MB', `*2\r\n$4\r\nPING\r\n$${BULK_MAX}\r\n`],
    ['a bulk string of more than 512 MB', `*2\r\n$4\r\nPING\r\n$${BULK_MAX + 1}\r\n`],
    ['another type in the place of an argument', '*1\r\n:4\r\nPING\r\n'],
    ['a line end in the place of an argument', '*1\r\n\r\n'],
    ['a newline in the place of an argument', '*1\r\n\n12\r\n'],
    ['a byte that is not ASCII in the place of an argument', '*1\r\n\xff\r\n'],
    ['other bytes in the place of line ends', '*1\rX$4\rXPINGXXPING\r\n'],
    ['a count line as long as may be', `*${'1'.repeat(INLINE_MAX - 1)}`],
    ['a count line that is too long', `*${'1'.repeat(INLINE_MAX)}`],
    ['a length line as long as may be', `*1\r\n$${'1'.repeat(INLINE_MAX - 1)}`],
    ['a length line that is too long', `*1\r\n$${'1'.repeat(INLINE_MAX)}`],
    ['a wrong length line that is too long', `*1\r\nx${'1'.repeat(INLINE_MAX)}`],
    ['an inline request as long as may be', `PING ${'x'.repeat(INLINE_MAX - 5)}\n`],
    ['an inline request that is too long', `PING ${'x'.repeat(INLINE_MAX - 4)}`],
    ['double quotes without end', 'PING "a\r\nPING\r\n'],
    ['single quotes without end', "PING 'a\\'\r\nPING\r\n"],
    ['an argument that goes on behind its quotes', 'PING "a"b\r\n'],
    ['a backslash at the end of quotes', 'PING "a\\"\r\n'],
    ['an inline request with a NUL', 'PING a\0b\r\nPING\r\n'],
    ['a first line of HTTP', 'GET / HTTP/1.1\r\n'],
  ])('takes %s as Redis does', async (_, bytes) => {
    const server = await askServer(text(`${PING}${bytes}`));
    const small = bytes.length > 1000 ? [999] : [1];
    for (const sizes of [[64 * 1024], small, [7, 300]]) {
      const { requests, error } = frameRequests(text(`${PING}${bytes}`), sizes);
      expect({ replies: requests.length, error }).toEqual(server);
    }
  });

  it('refuses more arguments than 1,048,576 in the words of Redis', () => {
    expect(frameRequests(text(`*${ARGS_MAX}\r\n`), [64]).error).toBe('');
    const tooMany = frameRequests(text(`*${ARGS_MAX + 1}\r\n`), [64]).error;
    expect(tooMany).toBe(frameRequests(text('*x\r\n'), [64]).error);
    expect(tooMany).toBe('Protocol error: invalid multibulk length');
  });

  it('splits inline requests as Redis does', async () => {
    const lines = [
      'a\vb',
      '\v\fa',
      '"a"\vb',
      'a\rb',
      'a\r',
      'a\xa0b',
      '"\\x41\\x4g\\n\\q"',
      `'\\n\\'' "\\""`,
      'a"b c"',
    ];
    const wire = new Wire(redis.port);
    for (const line of lines) {
      const script = 'return ARGV';
      const bytes = text(`EVAL "${script}" 0 ${line}\r\n`);
      wire.send(bytes);
      const [reply] = await wire.replies(1);
      const [request] = frameRequests(bytes, [3]).requests;
      expect(decodeReplies(reply).values[0].items.map((item) => item.text)).toEqual(request.slice(3));
    }
    wire.close();
  });

  it('finds as many requests as Redis in damaged pipelines, and the same error', async () => {
    const runs = Math.min(3000, Math.ceil(CHUNKINGS / 100));
    await fc.assert(
      // Where a NUL is in a line of lengths Redis waits for ever; see inline requests for the other lines.
      fc.asyncProperty(damaged(harmlessPipeline, 0), async (bytes) => {
        const { requests, error } = frameRequests(bytes, [5, 2, 11]);
        expect({ replies: requests.length, error }).toEqual(await askServer(bytes));
      }),
      { numRuns: runs },
    );
  });
});

describe('a frame in very many chunks', () => {
  const BULKS = 100_000;
  const CHUNK = 64;
  const arrayOfBulks = encodeRequest(Array.from({ length: BULKS }, (_, i): Argument => `value ${i}`));

  /** The same bytes, with a count of how often one of them is looked at. */
  function watched(bytes: Buffer): { buf: Buffer; looks: () => number } {
    let looks = 0;
    const buf = new Proxy(bytes, {
      get(target, property) {
        looks++;
        return target[property as unknown as number];
      },
    });
    return { buf, looks: () => looks };
  }

  it('is looked at once, as a reply', () => {
    const { buf, looks } = watched(arrayOfBulks);
    const frame = new ReplyFrame();
    let end = 0;
    do end = Math.min(end + CHUNK, buf.length);
    while (frame.read(buf, 0, end) !== COMPLETE);
    expect(frame.end).toBe(arrayOfBulks.length);
    expect(looks()).toBeLessThan(arrayOfBulks.length * 3);
  });

  it('is looked at once, as a reply of one long line', () => {
    const line = Buffer.from(`-ERR ${'x'.repeat(1_000_000)}\r\n`);
    const { buf, looks } = watched(line);
    const frame = new ReplyFrame();
    let end = 0;
    do end = Math.min(end + CHUNK, line.length);
    while (frame.read(buf, 0, end) !== COMPLETE);
    expect(looks()).toBeLessThan(line.length * 2);
  });

  it('is looked at once, as a request', () => {
    const { buf, looks } = watched(arrayOfBulks);
    const view = new DataView(arrayOfBulks.buffer, arrayOfBulks.byteOffset, arrayOfBulks.length);
    const frame = new RequestFrame();
    let end = 0;
    do end = Math.min(end + CHUNK, arrayOfBulks.length);
    while (frame.read(buf, view, 0, end) !== COMPLETE);
    expect(frame.argc).toBe(BULKS);
    expect(looks()).toBeLessThan(arrayOfBulks.length * 3);
  });

  it('is not looked at before it can be whole, when its size is known', () => {
    const value = 'x'.repeat(1_000_000);
    const reply = frameReplies(Buffer.from(`$${value.length}\r\n${value}\r\n`), [CHUNK]);
    const request = frameRequests(encodeRequest(['SET', 'key', value]), [CHUNK]);
    expect(reply.ends).toHaveLength(1);
    expect(request.requests).toEqual([['SET', 'key', value]]);
    expect([reply.reads, request.reads]).toEqual([2, 2]);
  });
});
