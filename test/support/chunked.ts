// Bytes that come in chunks, read through the input buffer and the framers as a connection reads them.

import { Input, READ_AREA } from '../../src/resp3/input.ts';
import { ReplyFrame } from '../../src/resp3/reply-frame.ts';
import { COMPLETE, INCOMPLETE, INVALID, RequestFrame } from '../../src/resp3/request-frame.ts';

/** Sizes of chunks, 1 to READ_SIZE bytes; they are taken in turn, over and over. */
export type ChunkSizes = readonly number[];

/** Lets the bytes come, chunk by chunk. `arrived` says whether more is wanted. */
function deliver(bytes: Buffer, sizes: ChunkSizes, arrived: (size: number, end: number) => boolean): void {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + sizes[i % sizes.length]);
    bytes.copy(READ_AREA, 0, at, end);
    const wanted = arrived(end - at, end);
    // Other connections read into the same memory.
    READ_AREA.fill(0x2a, 0, end - at);
    if (!wanted) return;
    at = end;
  }
}

export interface FramedRequests {
  /** The arguments of each request, as latin1 text. */
  readonly requests: string[][];
  /** Each request as it would go on to a server. */
  readonly forwarded: Buffer[];
  /** Redis's words for what is wrong with the request behind them, or ''. */
  readonly error: string;
  /** How often a frame was looked at. */
  readonly reads: number;
}

/** A table of arguments larger than this is given up between chunks. */
const MANY_ARGS = 128;

/** The requests in a client's bytes. */
export function frameRequests(bytes: Buffer, sizes: ChunkSizes): FramedRequests {
  const input = new Input();
  const frame = new RequestFrame();
  const requests: string[][] = [];
  const forwarded: Buffer[] = [];
  let error = '';
  let reads = 0;
  deliver(bytes, sizes, (size) => {
    if (!input.take(size)) return true;
    const { buf, view, end } = input;
    let pos = input.pos;
    let needed = 0;
    while (pos < end) {
      reads++;
      const status = frame.read(buf, view, pos, end);
      if (status === INVALID) {
        error = frame.error;
        return false;
      }
      if (status === INCOMPLETE) {
        needed = frame.needed;
        break;
      }
      if (frame.argc > 0) {
        requests.push(argumentsOf(frame));
        forwarded.push(Buffer.from(frame.buf.subarray(frame.start, frame.end)));
      }
      pos = frame.consumed;
    }
    if (frame.argc > MANY_ARGS && needed === 0) frame.reset();
    input.keep(pos, needed);
    return true;
  });
  return { requests, forwarded, error, reads };
}

function argumentsOf({ buf, view, start, args, argc }: RequestFrame): string[] {
  if (view.byteLength !== buf.length || view.byteOffset !== buf.byteOffset)
    throw new Error('view and buf differ');
  return Array.from({ length: argc }, (_, i) =>
    buf.toString('latin1', start + args[2 * i], start + args[2 * i + 1]),
  );
}

export interface FramedReplies {
  /** Where each reply ends, in all the bytes. */
  readonly ends: number[];
  readonly rest: 'nothing' | 'part' | 'broken';
  readonly reads: number;
}

/**
 * The replies in a server's bytes. `afterChunk` is called with the bytes of each chunk and how many replies were
 * whole by then, or -1 when the bytes were found to be broken.
 */
export function frameReplies(
  bytes: Buffer,
  sizes: ChunkSizes,
  afterChunk: (chunk: Buffer, replies: number) => void = () => {},
): FramedReplies {
  const input = new Input();
  const frame = new ReplyFrame();
  const ends: number[] = [];
  let rest: FramedReplies['rest'] = 'nothing';
  let reads = 0;
  let done = 0;
  deliver(bytes, sizes, (size, total) => {
    const chunk = bytes.subarray(total - size, total);
    if (!input.take(size)) {
      rest = 'part';
      afterChunk(chunk, ends.length);
      return true;
    }
    const { buf, end } = input;
    let pos = input.pos;
    rest = 'nothing';
    while (pos < end) {
      reads++;
      const status = frame.read(buf, pos, end);
      if (status !== COMPLETE) {
        rest = status === INVALID ? 'broken' : 'part';
        break;
      }
      if (frame.start !== pos) throw new Error('a reply that does not start where the one before it ended');
      done += frame.end - pos;
      ends.push(done);
      pos = frame.end;
    }
    afterChunk(chunk, rest === 'broken' ? -1 : ends.length);
    if (rest === 'broken') return false;
    input.keep(pos, frame.needed);
    return true;
  });
  return { ends, rest, reads };
}
