// Finds where one client request ends and where its arguments lie, in raw bytes: nothing is decoded or copied.
// The scan resumes where the last chunk ended, so a request in a thousand pieces is still read once.

import { INLINE_MAX, inlineToMultibulk } from './inline.ts';
import { lineEnd, NOT_A_NUMBER, parseLength } from './length.ts';

export { INLINE_MAX } from './inline.ts';

/** `proto-max-bulk-len` of a Redis server, in bytes. */
export const BULK_MAX = 512 * 1024 * 1024;
/** The most arguments of one request. */
export const ARGS_MAX = 1024 * 1024;

/** The most bytes of one request: Redis's `client-query-buffer-limit`. */
export const REQUEST_MAX = 1024 * 1024 * 1024;

/** What Redis takes from a client that must show who it is and has not: arguments of a request, bytes of each. */
const STRANGER_ARGS = 10;
const STRANGER_BULK = 16_384;

export const INCOMPLETE = 0;
export const COMPLETE = 1;
export const INVALID = -1;
export type FrameStatus = typeof INCOMPLETE | typeof COMPLETE | typeof INVALID;

const STAR = 0x2a;
const DOLLAR = 0x24;
/** Of a request that is longer than REQUEST_MAX. */
export const TOO_BIG_REQUEST = 'too big request';
const ARGS_KEPT = 256;
/** What Redis says of a line without end. However it was cut, a line that long gets the same words. */
const TOO_BIG_COUNT = 'too big mbulk count string';
export const TOO_BIG_LENGTH = 'too big bulk count string';
const EMPTY = Buffer.alloc(0);
const EMPTY_VIEW = new DataView(EMPTY.buffer, EMPTY.byteOffset, 0);

/** Who sends requests. */
export interface Sender {
  /** False for one that must show who it is first, and takes no more memory than that needs. */
  readonly authenticated: boolean;
}

const ANYBODY: Sender = { authenticated: true };

/**
 * The request that one client connection is sending. After `read` returned COMPLETE, `buf[start, end)` is the
 * request as a RESP array, and argument i is `buf[start + args[2i], start + args[2i + 1])`.
 * An empty request (blank line, `*0`) is complete with `argc` 0 and gets no reply.
 */
export class RequestFrame {
  buf: Buffer = EMPTY;
  /** `buf` again, for reads of four bytes at a time. */
  view: DataView = EMPTY_VIEW;
  start = 0;
  end = 0;
  argc = 0;
  /** Pairs of offsets from `start`: an argument's first byte and the byte after its last. */
  args = new Int32Array(16);
  /** Where the next request begins in the input that `read` was given. */
  consumed = 0;
  /** Redis's words for what is wrong, without `-ERR `, after INVALID. */
  error = '';
  /** Bytes, counted from the request's start, that must have come before another `read` can get further. */
  needed = 0;
  /** How many arguments have come whole, after INCOMPLETE. */
  found = 0;
  /** Whether what is wrong would be right of a client that has shown who it is. */
  strange = false;

  #started = false;
  #scanned = 0;
  readonly #sender: Sender;

  constructor(sender: Sender = ANYBODY) {
    this.#sender = sender;
  }

  /**
   * Reads one request from `buf[pos, end)`. After INCOMPLETE call it again with the same bytes, wherever they
   * lie by then, and more behind them.
   * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
   */
  read(buf: Buffer, view: DataView, pos: number, end: number): FrameStatus {
    if (pos >= end) return INCOMPLETE;
    this.buf = buf;
    this.view = view;
    this.start = pos;
    let at: number;
    if (this.#started) {
      at = pos + this.#scanned;
    } else {
      if (buf[pos] !== STAR) return this.#inline(pos, end);
      at = this.#header(pos, end);
      if (at <= 0) return at as FrameStatus;
      if (this.argc === 0) return COMPLETE;
    }
    return this.#bulks(at, end);
  }

  /** Forgets a half-read request and releases the input that the last one lies in. */
  reset(): void {
    this.#started = false;
    this.buf = EMPTY;
    this.view = EMPTY_VIEW;
    if (this.args.length > ARGS_KEPT) this.args = new Int32Array(16);
  }

  #header(pos: number, end: number): number {
    const buf = this.buf;
    // Nearly every request has one digit of arguments: skip the general number parser.
    let count = buf[pos + 1] - 48;
    let next: number;
    if (pos + 3 < end && count > 0 && count <= 9 && buf[pos + 2] === 13) {
      next = pos + 4;
    } else {
      const cr = lineEnd(buf, pos + 1, end);
      if (cr < 0) return this.#lineMissing(pos, end, TOO_BIG_COUNT);
      count = parseLength(buf, pos + 1, cr);
      if (count === NOT_A_NUMBER || count > ARGS_MAX) {
        return this.#invalid(cr - pos >= INLINE_MAX ? TOO_BIG_COUNT : 'invalid multibulk length');
      }
      if (count > STRANGER_ARGS && !this.#sender.authenticated)
        return this.#refuse('unauthenticated multibulk length');
      next = cr + 2;
    }
    if (count <= 0) {
      this.argc = 0;
      this.end = this.consumed = next;
      return next;
    }
    this.argc = count;
    this.#started = true;
    this.found = 0;
    this.#scanned = next - pos;
    return next;
  }

  #bulks(from: number, end: number): FrameStatus {
    const { buf, start, argc } = this;
    let args = this.args;
    let at = from;
    let found = this.found;
    while (found < argc) {
      const bulk = at;
      let length = buf[at + 1] - 48;
      if (at + 3 < end && length >= 0 && length <= 9 && buf[at + 2] === 13 && buf[at] === DOLLAR) {
        at += 4;
      } else {
        const cr = lineEnd(buf, at, end);
        if (cr < 0) {
          this.#pause(found, at - start);
          return this.#lineMissing(at, end, TOO_BIG_LENGTH);
        }
        length = parseLength(buf, at + 1, cr);
        if (buf[at] !== DOLLAR || length < 0 || length > BULK_MAX) {
          return this.#invalid(lengthError(buf, at, cr));
        }
        if (length > STRANGER_BULK && !this.#sender.authenticated)
          return this.#refuse('unauthenticated bulk length');
        at = cr + 2;
      }
      // Redis takes any two bytes behind a bulk string for its line end, and so must we: another reading of
      // the same bytes would let one request hide in another.
      if (at + length - start > REQUEST_MAX) return this.#invalid(TOO_BIG_REQUEST);
      if (at + length + 2 > end) {
        this.#pause(found, bulk - start);
        this.needed = at + length + 2 - start;
        return INCOMPLETE;
      }
      if (found * 2 === args.length) args = this.#moreArgs();
      args[found * 2] = at - start;
      at += length;
      args[found * 2 + 1] = at - start;
      at += 2;
      found++;
    }
    this.#started = false;
    this.end = this.consumed = at;
    return COMPLETE;
  }

  #pause(found: number, scanned: number): void {
    this.found = found;
    this.#scanned = scanned;
  }

  #moreArgs(): Int32Array<ArrayBuffer> {
    const more = new Int32Array(this.args.length * 2);
    more.set(this.args);
    this.args = more;
    return more;
  }

  #lineMissing(pos: number, end: number, tooBig: string): FrameStatus {
    if (end - pos > INLINE_MAX) return this.#invalid(tooBig);
    this.needed = end - this.start + 1;
    return INCOMPLETE;
  }

  #invalid(words: string): typeof INVALID {
    this.error = `Protocol error: ${words}`;
    this.#started = false;
    this.strange = false;
    return INVALID;
  }

  /** It is read from its beginning again, if its sender turns out to be known. */
  #refuse(words: string): typeof INVALID {
    const status = this.#invalid(words);
    this.strange = true;
    return status;
  }

  #inline(pos: number, end: number): FrameStatus {
    const line = this.buf.subarray(pos, Math.min(end, pos + INLINE_MAX + 1));
    const newline = line.indexOf(10);
    // Redis looks for the newline as in a C string, so a line with a NUL in it never ends.
    if (newline < 0 || line.subarray(0, newline).includes(0)) {
      return this.#lineMissing(pos, end, 'too big inline request');
    }
    const bytes = inlineToMultibulk(line.subarray(0, newline));
    if (bytes === null) return this.#invalid('unbalanced quotes in request');
    const consumed = pos + newline + 1;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.read(bytes, view, 0, bytes.length);
    this.consumed = consumed;
    return COMPLETE;
  }
}

/** Redis's words for a line `[at, cr)` that is not the length of a bulk string. */
export function lengthError(buf: Buffer, at: number, cr: number): string {
  if (cr - at >= INLINE_MAX) return TOO_BIG_LENGTH;
  if (buf[at] === DOLLAR) return 'invalid bulk length';
  return `expected '$', got '${String.fromCharCode(buf[at]).replace(/[\r\n]/, ' ')}'`;
}
