// What the request framer makes of wrong and unusual requests, beside what a real server makes of them: the same
// number of requests, and the same words for what is wrong.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { READ_SIZE } from '../src/resp3/input.ts';
import { ARGS_MAX, BULK_MAX, INLINE_MAX } from '../src/resp3/request-frame.ts';
import { frameRequests } from './support/chunked.ts';
import { damaged, harmlessPipeline } from './support/random-frames.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { decodeReplies } from './support/reference-decoder.ts';
import { Wire } from './support/wire.ts';

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
  for (const sizes of [[READ_SIZE], small, [7, 300]]) {
    const { requests, error } = frameRequests(text(`${PING}${bytes}`), sizes);
    expect({ replies: requests.length, error }).toEqual(server);
  }
});

it.each([
  ['*', 'too big mbulk count string'],
  ['*1\r\n$', 'too big bulk count string'],
  ['*1\r\nx', 'too big bulk count string'],
  ['PING ', 'too big inline request'],
])('refuses a long line behind %j even when its end came with it', (before, words) => {
  const bytes = text(`${before}${'1'.repeat(INLINE_MAX)}\r\n`);
  for (const sizes of [[READ_SIZE], [999]]) {
    expect(frameRequests(bytes, sizes).error).toBe(`Protocol error: ${words}`);
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
    const bytes = text(`EVAL "return ARGV" 0 ${line}\r\n`);
    wire.send(bytes);
    const [reply] = await wire.replies(1);
    const [request] = frameRequests(bytes, [3]).requests;
    expect(decodeReplies(reply).values[0].items.map((item) => item.text)).toEqual(request.slice(3));
  }
  wire.close();
});

it('finds as many requests as Redis in damaged pipelines, and the same error', async () => {
  await fc.assert(
    // No NUL: where one is in the line of a length Redis waits for ever, and heatsink answers.
    fc.asyncProperty(damaged(harmlessPipeline, 0), async (bytes) => {
      const { requests, error } = frameRequests(bytes, [5, 2, 11]);
      expect({ replies: requests.length, error }).toEqual(await askServer(bytes));
    }),
    { numRuns: 500 },
  );
});
