// Finds where a request ends whose bytes are not kept, but passed on as they come. It takes what RequestFrame takes
// and refuses the rest in the same words, so that both read the same bytes as the same requests.

import { lineEnd, parseLength } from './length.ts';
import {
  BULK_MAX,
  INLINE_MAX,
  lengthError,
  REQUEST_MAX,
  TOO_BIG_LENGTH,
  TOO_BIG_REQUEST,
} from './request-frame.ts';

export class RequestTail {
  /** Whether the request's last byte was taken. */
  ended = false;
  /** Redis's words for what is wrong, without `-ERR `; empty while nothing is. */
  error = '';
  /** Of the arguments that have come, or begun to come, all together. */
  bytes = 0;

  /** Arguments still to come, -1 before their number is known; bytes of the present one and its line end. */
  #arguments = -1;
  #left = 0;
  /** Bytes of the request up to the end of the present argument. */
  #size = 0;

  /**
   * Takes bytes of the request from `buf[pos, end)`, from its first byte on; the line of its first one must be whole.
   * Returns where it stopped: behind the request, or before bytes that it must see again with more behind them.
   */
  take(buf: Buffer, pos: number, end: number): number {
    let at = pos;
    if (this.#arguments < 0) {
      const cr = lineEnd(buf, pos, end);
      this.#arguments = parseLength(buf, pos + 1, cr);
      at = cr + 2;
      this.#size = at - pos;
    }
    for (;;) {
      const step = Math.min(this.#left, end - at);
      at += step;
      this.#left -= step;
      if (this.#left > 0) break;
      this.ended = this.#arguments === 0;
      if (this.ended || at >= end) break;
      const next = this.#length(buf, at, end);
      if (next < 0) break;
      at = next;
    }
    return at;
  }

  /** Reads the length of an argument; where its first byte is, -1 when that has not come or cannot be. */
  #length(buf: Buffer, at: number, end: number): number {
    const cr = lineEnd(buf, at, end);
    if (cr < 0) return end - at > INLINE_MAX ? this.#invalid(TOO_BIG_LENGTH) : -1;
    const length = parseLength(buf, at + 1, cr);
    if (buf[at] !== DOLLAR || length < 0 || length > BULK_MAX) return this.#invalid(lengthError(buf, at, cr));
    const header = cr + 2 - at;
    if (this.#size + header + length > REQUEST_MAX) return this.#invalid(TOO_BIG_REQUEST);
    this.#left = length + 2;
    this.bytes += length;
    this.#size += header + this.#left;
    this.#arguments--;
    return cr + 2;
  }

  #invalid(words: string): -1 {
    this.error = `Protocol error: ${words}`;
    return -1;
  }
}

const DOLLAR = 0x24;
