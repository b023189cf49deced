// Finds where one upstream reply ends, in RESP2 and RESP3, without decoding it. Like the request framer it
// resumes: a large reply in many chunks is scanned once.

import { parseLength } from './length.ts';
import { BULK_MAX, COMPLETE, type FrameStatus, INCOMPLETE, INVALID } from './request-frame.ts';

/** First bytes of the reply types: https://redis.io/docs/latest/develop/reference/protocol-spec/ */
export const TYPE = {
  simple: 0x2b, // +
  error: 0x2d, // -
  integer: 0x3a, // :
  bulk: 0x24, // $
  array: 0x2a, // *
  null: 0x5f, // _
  boolean: 0x23, // #
  double: 0x2c, // ,
  bigNumber: 0x28, // (
  bulkError: 0x21, // !
  verbatim: 0x3d, // =
  map: 0x25, // %
  set: 0x7e, // ~
  push: 0x3e, // >
  attribute: 0x7c, // |
} as const;

/** How a type goes on behind its first byte: a line alone, a length and bytes, or a count and values. */
const LINE = 1;
const BYTES = 2;
const VALUES = 3;
export const SHAPES = { line: LINE, bytes: BYTES, values: VALUES } as const;
/** By first byte; 0 for none that begins a reply. */
export const SHAPE = new Uint8Array(256);
for (const type of Buffer.from('+-:_#,(')) SHAPE[type] = LINE;
for (const type of Buffer.from('$=!')) SHAPE[type] = BYTES;
for (const type of Buffer.from('*~>%|')) SHAPE[type] = VALUES;

/** The most elements that an aggregate may announce: what Redis's own client accepts (2^32 - 1). */
const ELEMENTS_MAX = 2 ** 32 - 1;
/** No length or count needs more bytes; the lines of other types may have any number. */
export const LENGTH_LINE_MAX = 32;

/** The reply that one upstream connection is sending. After COMPLETE it is `[start, end)` of the bytes given. */
export class ReplyFrame {
  start = 0;
  end = 0;
  /** What is wrong with the bytes, after INVALID. */
  error = '';
  /** Bytes, counted from the reply's start, that must have come before another `read` can get further. */
  needed = 0;

  /** Elements still to come; nesting needs no stack, as an aggregate only adds its elements to the count. */
  #pending = 0;
  /** Bytes of the reply up to the element that is cut, and bytes of that one known to hold no line end. */
  #scanned = 0;
  #searched = 0;

  /** Reads one reply from `buf[pos, end)`; after INCOMPLETE call again with the same bytes and more. */
  read(buf: Buffer, pos: number, end: number): FrameStatus {
    this.start = pos;
    let at = pos + this.#scanned;
    let searched = this.#searched;
    let pending = this.#pending === 0 ? 1 : this.#pending;
    while (pending > 0) {
      if (at >= end) return this.#pause(at - pos, 0, pending, at - pos + 1);
      const shape = SHAPE[buf[at]];
      // Here and not in a function: for short replies this loop is most of the work.
      let cr = at + 1 + searched;
      searched = 0;
      while (cr < end && buf[cr] !== 13) cr++;
      if (cr + 1 >= end) {
        if (shape === 0) return this.#invalid('an unknown reply type');
        if (shape !== LINE && cr - at > LENGTH_LINE_MAX) return this.#invalid('a length without end');
        return this.#pause(at - pos, cr - at - 1, pending, end - pos + 1);
      }
      if (buf[cr + 1] !== 10) return this.#invalid('half a line end');
      let next = cr + 2;
      if (shape === BYTES) {
        const length = parseLength(buf, at + 1, cr);
        if (length >= 0 && length <= BULK_MAX) {
          next += length + 2;
          if (next > end) return this.#pause(at - pos, 0, pending, next - pos);
          if (buf[next - 2] !== 13 || buf[next - 1] !== 10) {
            return this.#invalid('a bulk string without its line end');
          }
        } else if (length !== -1 || buf[at] !== TYPE.bulk) {
          return this.#invalid('a bad bulk length');
        }
      } else if (shape !== LINE) {
        const values = shape === VALUES ? valuesIn(buf[at], parseLength(buf, at + 1, cr)) : -1;
        if (values < 0) return this.#invalid(shape === 0 ? 'an unknown reply type' : 'a bad element count');
        pending += values;
      }
      at = next;
      pending--;
    }
    this.end = at;
    if (this.#pending > 0) this.reset();
    return COMPLETE;
  }

  /** Forgets a half-read reply. */
  reset(): void {
    this.#pending = 0;
    this.#scanned = 0;
    this.#searched = 0;
  }

  #pause(scanned: number, searched: number, pending: number, needed: number): typeof INCOMPLETE {
    this.#scanned = scanned;
    this.#searched = searched;
    this.#pending = pending;
    this.needed = needed;
    return INCOMPLETE;
  }

  #invalid(words: string): typeof INVALID {
    this.error = words;
    return INVALID;
  }
}

/** How many values follow the header of an aggregate; -1 for a count that cannot be. */
export function valuesIn(type: number, count: number): number {
  if (count === -1 && type === TYPE.array) return 0;
  if (count < 0 || count > ELEMENTS_MAX) return -1;
  if (type === TYPE.map) return count * 2;
  // Attributes stand before the value that they belong to.
  return type === TYPE.attribute ? count * 2 + 1 : count;
}
