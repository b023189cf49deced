// The framers of resp3/, which only find where frames end, beside redis-parser, which decodes the same bytes.
// Prints a Markdown section; `npm run bench` runs it as a part.

import RedisParser from 'redis-parser';
import { ReplyFrame } from '../src/resp3/reply-frame.ts';
import { COMPLETE, RequestFrame } from '../src/resp3/request-frame.ts';
import { type Contender, nanosEach } from './micro.ts';
import { short, table } from './table.ts';

/** About what a busy socket gives in one read. */
const CHUNK_BYTES = 64 * 1024;

interface Sample {
  readonly name: string;
  readonly kind: 'request' | 'reply';
  readonly frame: string;
}

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const array = (items: string[]): string => `*${items.length}\r\n${items.join('')}`;
const VALUE = 'x'.repeat(100);

const SAMPLES: readonly Sample[] = [
  { name: 'request GET key', kind: 'request', frame: array(['GET', 'key:000000123456'].map(bulk)) },
  { name: 'reply, bulk of 100 bytes', kind: 'reply', frame: bulk(VALUE) },
  { name: 'reply, integer', kind: 'reply', frame: ':123456\r\n' },
  { name: 'reply, array of 100 bulks', kind: 'reply', frame: array(Array(100).fill(bulk(VALUE))) },
];

/** A chunk of whole frames, and how many they are. */
function chunkOf(frame: string): [chunk: Buffer, frames: number] {
  const frames = Math.max(1, Math.floor(CHUNK_BYTES / frame.length));
  return [Buffer.from(frame.repeat(frames), 'latin1'), frames];
}

function requestFramer(chunk: Buffer): () => number {
  const framer = new RequestFrame();
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
  return () => {
    let args = 0;
    let at = 0;
    while (framer.read(chunk, view, at, chunk.length) === COMPLETE) {
      args += framer.argc;
      at = framer.consumed;
    }
    return at === chunk.length ? args : Number.NaN;
  };
}

function replyFramer(chunk: Buffer): () => number {
  const framer = new ReplyFrame();
  return () => {
    let at = 0;
    while (framer.read(chunk, at, chunk.length) === COMPLETE) at = framer.end;
    return at === chunk.length ? at : Number.NaN;
  };
}

function redisParser(chunk: Buffer, frames: number): () => number {
  let decoded = 0;
  const count = () => {
    decoded++;
  };
  // Buffers, not strings: a proxy must not damage bytes that are no UTF-8.
  const parser = new RedisParser({ returnReply: count, returnError: count, returnBuffers: true });
  return () => {
    decoded = 0;
    parser.execute(chunk);
    return decoded === frames ? decoded : Number.NaN;
  };
}

const rows = SAMPLES.map(({ name, kind, frame }) => {
  const [chunk, frames] = chunkOf(frame);
  const ours = kind === 'request' ? requestFramer(chunk) : replyFramer(chunk);
  const contenders: Contender[] = [
    { name: 'heatsink', run: ours, units: frames },
    { name: 'redis-parser', run: redisParser(chunk, frames), units: frames },
  ];
  const [own, parser] = nanosEach(contenders);
  const speed = (nanos: number): string => short((frame.length * 1000) / nanos);
  return [
    name,
    String(frame.length),
    short(own),
    speed(own),
    short(parser),
    speed(parser),
    `${short(parser / own)} x`,
  ];
});

const header = ['frame', 'bytes', 'ns/frame', 'MB/s', 'redis-parser ns', 'its MB/s', 'faster'];
console.log(`## Framing

Finding the end of a frame, beside redis-parser decoding it to buffers, in chunks of ${CHUNK_BYTES / 1024} KB. One
thread, medians of rounds in turn.

${table(header, rows)}`);
