// The framers of requests and replies: wherever chunks end, they find what was sent, and what redis-parser and a
// plain decoder find. HEATSINK_CHUNKINGS says how many random chunkings to try, 40,000 when it says nothing.

import fc from 'fast-check';
import RedisParser from 'redis-parser';
import { describe, expect, it } from 'vitest';
import { type Argument, encodeRequest } from '../src/resp3/encode.ts';
import { viewOf } from '../src/resp3/hash.ts';
import { READ_SIZE } from '../src/resp3/input.ts';
import { ReplyFrame } from '../src/resp3/reply-frame.ts';
import { ReplyTail } from '../src/resp3/reply-tail.ts';
import { COMPLETE, type FrameStatus, INCOMPLETE, RequestFrame } from '../src/resp3/request-frame.ts';
import { RequestTail } from '../src/resp3/request-tail.ts';
import { type ChunkSizes, frameReplies, frameRequests } from './support/chunked.ts';
import { chunkings, damaged, noise, replies2, replies3, requestPipeline } from './support/random-frames.ts';
import { decodeReplies, encodeValue } from './support/reference-decoder.ts';

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
      const whole = frameRequests(bytes, [READ_SIZE]);
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

  /** Reads in chunks until the status is another than INCOMPLETE, or all bytes have come. */
  function inChunks(length: number, read: (end: number) => FrameStatus): FrameStatus {
    for (let end = CHUNK; end < length; end += CHUNK) {
      const status = read(end);
      if (status !== INCOMPLETE) return status;
    }
    return read(length);
  }

  it('is looked at once, as a reply', () => {
    const { buf, looks } = watched(arrayOfBulks);
    const frame = new ReplyFrame();
    expect(inChunks(arrayOfBulks.length, (end) => frame.read(buf, 0, end))).toBe(COMPLETE);
    expect(frame.end).toBe(arrayOfBulks.length);
    expect(looks()).toBeLessThan(arrayOfBulks.length * 3);
  });

  it('is looked at once, as a reply of one long line', () => {
    const line = Buffer.from(`-ERR ${'x'.repeat(1_000_000)}\r\n`);
    const { buf, looks } = watched(line);
    const frame = new ReplyFrame();
    expect(inChunks(line.length, (end) => frame.read(buf, 0, end))).toBe(COMPLETE);
    expect(looks()).toBeLessThan(line.length * 2);
  });

  it('is looked at once, as a request', () => {
    const { buf, looks } = watched(arrayOfBulks);
    const view = viewOf(arrayOfBulks);
    const frame = new RequestFrame();
    expect(inChunks(arrayOfBulks.length, (end) => frame.read(buf, view, 0, end))).toBe(COMPLETE);
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

  it('is whole when it outgrows the room for what is kept of it, whatever the last byte there is', () => {
    const values = Array.from({ length: 10_000 }, () => 'value');
    for (let first = 0; first < 12; first++) {
      const bytes = encodeRequest(['x'.repeat(first), ...values]);
      const sizes = [READ_SIZE, 1, 1, 1, READ_SIZE];
      expect(frameReplies(bytes, sizes).ends).toEqual([bytes.length]);
      expect(frameRequests(bytes, sizes).requests).toEqual([['x'.repeat(first), ...values]]);
    }
  });
});

describe('the end of what is passed on', () => {
  /** Lets bytes come in pieces of these sizes; where the scanner stopped, once it says that it has seen the end. */
  function endOf(
    tail: ReplyTail | RequestTail,
    bytes: Buffer,
    first: number,
    sizes: readonly number[],
  ): number {
    let [at, come] = [0, Math.min(first, bytes.length)];
    for (let i = 0; ; i++) {
      at = tail.take(bytes.subarray(0, come), at, come);
      expect(tail.error).toBe('');
      if (tail.ended) return at;
      expect(come).toBeLessThan(bytes.length);
      come = Math.min(bytes.length, come + sizes[i % sizes.length]);
    }
  }

  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });

  it('is found in replies, wherever pieces end', () => {
    fc.assert(
      fc.property(replies3, sizes, ([value], pieces) => {
        const bytes = encodeValue(value);
        const behind = Buffer.concat([bytes, Buffer.from('+behind\r\n')]);
        expect(endOf(new ReplyTail(), behind, 1, pieces)).toBe(bytes.length);
      }),
      { numRuns: 2000 },
    );
  });

  it('is found in requests, wherever pieces end', () => {
    fc.assert(
      fc.property(requestPipeline, sizes, ({ requests }, pieces) => {
        fc.pre(requests.length > 0);
        const bytes = encodeRequest(requests[0].map((argument) => Buffer.from(argument, 'latin1')));
        const behind = Buffer.concat([bytes, encodeRequest(['PING'])]);
        const line = bytes.indexOf(10) + 1;
        expect(endOf(new RequestTail(), behind, line, pieces)).toBe(bytes.length);
      }),
      { numRuns: 2000 },
    );
  });
});
