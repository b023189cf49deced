// Finds where a reply ends whose bytes are not kept, but passed on as they come: for replies that are larger than
// anybody should hold in memory.

import { parseLength } from './length.ts';
import { LENGTH_LINE_MAX, SHAPE, SHAPES, TYPE, valuesIn } from './reply-frame.ts';
import { BULK_MAX } from './request-frame.ts';

export class ReplyTail {
  /** Whether the reply's last byte was taken. */
  ended = false;
  /** What is wrong with the bytes; empty while they are a reply. */
  error = '';

  /** Values still to come, bytes of the present one's body, and whether its line end comes behind them. */
  #values = 1;
  #left = 0;
  #closing = false;

  /**
   * Takes bytes of the reply from `buf[pos, end)`, from its first byte on. Returns where it stopped: behind the reply,
   * or before bytes that it must see again with more behind them.
   */
  take(buf: Buffer, pos: number, end: number): number {
    let at = pos;
    while (this.error === '') {
      const step = Math.min(this.#left, end - at);
      at += step;
      this.#left -= step;
      if (this.#left > 0) break;
      if (this.#closing) {
        if (at + 2 > end) break;
        if (buf[at] !== 13 || buf[at + 1] !== 10) this.error = 'a bulk string without its line end';
        this.#closing = false;
        at += 2;
      }
      this.ended = this.#values === 0;
      if (this.ended || at >= end) break;
      const next = this.#line(buf, at, end);
      if (next < 0) break;
      at = next;
    }
    return at;
  }

  /** Reads the line of a value at `at`; -1 when its end has not come. */
  #line(buf: Buffer, at: number, end: number): number {
    const shape = SHAPE[buf[at]];
    const cr = buf.indexOf(13, at);
    if (cr < 0 || cr + 1 >= end) {
      if (shape !== SHAPES.line && end - at > LENGTH_LINE_MAX) this.error = 'a length without end';
      return -1;
    }
    if (buf[cr + 1] !== 10) this.error = 'half a line end';
    this.#values--;
    if (shape === SHAPES.bytes) {
      const length = parseLength(buf, at + 1, cr);
      if (length >= 0 && length <= BULK_MAX) {
        this.#left = length;
        this.#closing = true;
      } else if (length !== -1 || buf[at] !== TYPE.bulk) {
        this.error = 'a bad bulk length';
      }
    } else if (shape !== SHAPES.line) {
      const values = shape === SHAPES.values ? valuesIn(buf[at], parseLength(buf, at + 1, cr)) : -1;
      if (values < 0) this.error = shape === 0 ? 'an unknown reply type' : 'a bad element count';
      this.#values += values;
    }
    return cr + 2;
  }
}
