// Finds where one upstream reply ends, in RESP2 and RESP3, without decoding it. Like the request framer it
// resumes: a large reply in many chunks is scanned once.

import { INLINE_MAX } from './inline.ts';
import { lineEnd, NOT_A_NUMBER, parseLength } from './length.ts';
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

/** The most elements that an aggregate may announce: what Redis's own client accepts (2^32 - 1). */
const ELEMENTS_MAX = 2 ** 32 - 1;

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
  #scanned = 0;

  /** Reads one reply from `buf[pos, end)`; after INCOMPLETE call again with the same bytes and more. */
  read(buf: Buffer, pos: number, end: number): FrameStatus {
    this.start = pos;
    let at = pos + this.#scanned;
    let pending = this.#pending === 0 ? 1 : this.#pending;
    while (pending > 0) {
      if (at >= end) return this.#pause(at - pos, pending, 1);
      const type = buf[at];
      const cr = replyLineEnd(buf, at + 1, end);
      if (cr < 0) {
        // Errors and simple strings may be of any length; lengths and numbers may not.
        if (end - at > INLINE_MAX && type !== TYPE.error && type !== TYPE.simple && type !== TYPE.bigNumber) {
          return this.#invalid('a line without end');
        }
        return this.#pause(at - pos, pending, end - at + 1);
      }
      if (type === TYPE.bulk || type === TYPE.verbatim || type === TYPE.bulkError) {
        const length = parseLength(buf, at + 1, cr);
        if (length < -1 || length > BULK_MAX || (length < 0 && type !== TYPE.bulk)) {
          return this.#invalid('a bad bulk length');
        }
        const next = length < 0 ? cr + 2 : cr + 2 + length + 2;
        if (next > end) return this.#pause(at - pos, pending, next - at);
        if (length >= 0 && (buf[next - 2] !== 13 || buf[next - 1] !== 10)) {
          return this.#invalid('a bulk string without its line end');
        }
        at = next;
        pending--;
        continue;
      }
      const elements = elementsOf(type, buf, at, cr);
      if (elements < 0)
        return this.#invalid(elements === BAD_COUNT ? 'a bad element count' : 'an unknown reply type');
      at = cr + 2;
      pending += elements - 1;
    }
    this.end = at;
    this.#pending = 0;
    this.#scanned = 0;
    return COMPLETE;
  }

  /** Forgets a half-read reply. */
  reset(): void {
    this.#pending = 0;
    this.#scanned = 0;
  }

  #pause(scanned: number, pending: number, needed: number): typeof INCOMPLETE {
    this.#scanned = scanned;
    this.#pending = pending;
    this.needed = scanned + needed;
    return INCOMPLETE;
  }

  #invalid(words: string): typeof INVALID {
    this.error = words;
    return INVALID;
  }
}

const BAD_COUNT = -2;
const BAD_TYPE = -1;

/** How many elements follow the one whose line is `buf[at, cr)`; an attribute stands before the reply itself. */
function elementsOf(type: number, buf: Buffer, at: number, cr: number): number {
  switch (type) {
    case TYPE.simple:
    case TYPE.error:
    case TYPE.integer:
    case TYPE.null:
    case TYPE.boolean:
    case TYPE.double:
    case TYPE.bigNumber:
      return 0;
    case TYPE.array:
    case TYPE.set:
    case TYPE.push: {
      const count = parseLength(buf, at + 1, cr);
      if (count === -1 && type === TYPE.array) return 0;
      return count < 0 || count > ELEMENTS_MAX ? BAD_COUNT : count;
    }
    case TYPE.map:
    case TYPE.attribute: {
      const count = parseLength(buf, at + 1, cr);
      if (count === NOT_A_NUMBER || count < 0 || count > ELEMENTS_MAX) return BAD_COUNT;
      return type === TYPE.map ? count * 2 : count * 2 + 1;
    }
    default:
      return BAD_TYPE;
  }
}

/** As `lineEnd`, with long error lines left to the native search. */
function replyLineEnd(buf: Buffer, pos: number, end: number): number {
  const near = Math.min(end, pos + 32);
  const cr = lineEnd(buf, pos, near);
  if (cr >= 0 || near === end) return cr;
  const newline = buf.subarray(pos, end).indexOf('\r\n', 0, 'latin1');
  return newline < 0 ? -1 : pos + newline;
}
