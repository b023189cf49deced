// Lines of Twitter's cache traces: timestamp,anonymized key,key size,value size,client id,operation,TTL, with the
// timestamp in whole seconds. https://github.com/twitter/cache-trace

import { viewOf } from '../resp3/hash.ts';
import {
  Access,
  KEEPABLE,
  MALFORMED,
  NOTHING,
  REQUEST,
  type Seen,
  type TraceReader,
  WRITE,
} from './access.ts';

const COMMA = 0x2c;
const FIELDS = 7;
const WRITES = new Set(['set', 'add', 'replace', 'cas', 'append', 'prepend', 'delete', 'incr', 'decr']);
/** `*2 $3 GET $nn` with line ends, and one behind the key. */
const GET_OVERHEAD = 20;

export class TwitterReader implements TraceReader {
  readonly access = new Access();
  /** Where fields end. */
  readonly #ends = new Int32Array(FIELDS);
  #second = -1;
  /** Of the first second nobody knows how many it has. */
  #count = 1000;
  /** Requests of the second before. */
  #before = 1;

  read(buf: Buffer, start: number, end: number): Seen {
    const { access } = this;
    const ends = this.#ends;
    const last = buf[end - 1] === 13 ? end - 1 : end;
    if (last === start) return NOTHING;
    let found = 0;
    for (let at = start; at < last; at++) {
      if (buf[at] !== COMMA) continue;
      if (found === FIELDS - 1) return MALFORMED;
      ends[found++] = at;
    }
    if (found !== FIELDS - 1) return MALFORMED;
    const second = numberIn(buf, start, ends[0]);
    const keyBytes = numberIn(buf, ends[1] + 1, ends[2]);
    const valueBytes = numberIn(buf, ends[2] + 1, ends[3]);
    if (Number.isNaN(second + keyBytes + valueBytes)) return MALFORMED;
    const reads = isGet(buf, ends[4] + 1, ends[5]);
    if (!reads && !WRITES.has(buf.toString('latin1', ends[4] + 1, ends[5]))) return MALFORMED;
    access.ms = this.#spread(second);
    access.kind = reads ? KEEPABLE : WRITE;
    access.buf = buf;
    if (access.view.buffer !== buf.buffer || access.view.byteOffset !== buf.byteOffset)
      access.view = viewOf(buf);
    access.start = ends[0] + 1;
    access.end = ends[1];
    access.keyCount = 0;
    access.addKey(ends[0] + 1, ends[1]);
    // The anonymized key is not as long as the key was.
    access.bytes = valueBytes + keyBytes + GET_OVERHEAD - (ends[1] - access.start);
    return REQUEST;
  }

  /** Requests of one second are spread over it, as evenly as if they were as many as in the second before. */
  #spread(second: number): number {
    if (second !== this.#second) {
      this.#before = Math.max(1, this.#count);
      this.#second = second;
      this.#count = 0;
    }
    return second * 1000 + Math.min(999, (this.#count++ * 1000) / this.#before);
  }
}

/** get or gets. */
function isGet(buf: Buffer, start: number, end: number): boolean {
  const length = end - start;
  return (
    buf[start] === 0x67 &&
    buf[start + 1] === 0x65 &&
    buf[start + 2] === 0x74 &&
    (length === 3 || (length === 4 && buf[start + 3] === 0x73))
  );
}

/** The whole number written there, or NaN. */
export function numberIn(buf: Buffer, start: number, end: number): number {
  if (start >= end) return Number.NaN;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = buf[at] - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}
