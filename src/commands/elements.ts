// Walks over a reply's bytes, RESP2 and RESP3, to tell where each value ends: for merging, nothing is decoded.

import { lineEnd, NOT_A_NUMBER, parseLength } from '../resp3/length.ts';

const ARRAY = 0x2a;
const SET = 0x7e;
const MAP = 0x25;
const PUSH = 0x3e;
const ATTRIBUTE = 0x7c;
const BULK = 0x24;
const VERBATIM = 0x3d;
const BULK_ERROR = 0x21;
const LINES = new Set(Buffer.from('+-:_,#('));

/** The values directly inside an array, set, map or push. */
export interface Elements {
  /** The byte that tells the type. */
  readonly type: number;
  /** Keys and values of a map count one each. */
  readonly count: number;
  /** Offsets in the reply: value i lies in [bounds[i], bounds[i + 1]). */
  readonly bounds: Int32Array;
}

/**
 * Where the value that begins at `pos` ends, with all that is nested in it and the attributes before it; -1
 * when it is cut off or is no value.
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export function valueEnd(reply: Buffer, pos: number): number {
  let at = pos;
  // A count instead of recursion: a reply may nest deeper than the stack allows.
  for (let open = 1; open > 0; open--) {
    const type = reply[at];
    const cr = lineEnd(reply, at, reply.length);
    if (cr < 0) return -1;
    const next = cr + 2;
    if (LINES.has(type)) {
      at = next;
      continue;
    }
    const length = parseLength(reply, at + 1, cr);
    if (length === NOT_A_NUMBER) return -1;
    at = next;
    if (type === BULK || type === VERBATIM || type === BULK_ERROR) {
      if (length >= 0) at = next + length + 2;
    } else {
      const values = valuesIn(type, length);
      if (values < 0) return -1;
      // Attributes come before the value that they belong to, so that one is still to be read.
      open += type === ATTRIBUTE ? values + 1 : values;
    }
    if (at > reply.length) return -1;
  }
  return at;
}

/** The elements of a reply that is an array, set, map or push; null for any other and for a broken one. */
export function elementsOf(reply: Buffer): Elements | null {
  let at = 0;
  while (reply[at] === ATTRIBUTE) {
    at = skipAttributes(reply, at);
    if (at < 0) return null;
  }
  const type = reply[at];
  const cr = lineEnd(reply, at, reply.length);
  if (cr < 0) return null;
  const count = valuesIn(type, parseLength(reply, at + 1, cr));
  // Each value takes three bytes at least: a count that cannot be true must not cost memory.
  if (count < 0 || count * 3 > reply.length) return null;
  const bounds = new Int32Array(count + 1);
  at = cr + 2;
  bounds[0] = at;
  for (let i = 0; i < count; i++) {
    at = valueEnd(reply, at);
    if (at < 0) return null;
    bounds[i + 1] = at;
  }
  return { type, count, bounds };
}

/** The same values as slices of the reply; none when it is no aggregate. */
export function itemsOf(reply: Buffer): Buffer[] {
  const elements = elementsOf(reply);
  if (elements === null) return [];
  const { bounds, count } = elements;
  return Array.from({ length: count }, (_, i) => reply.subarray(bounds[i], bounds[i + 1]));
}

/** The bytes of a string of any kind, or of a number's digits: what lies between a value's type and its line end. */
export function textOf(value: Buffer): string {
  const line = value.indexOf(13);
  const { length } = value;
  if (value[0] === VERBATIM) return value.toString('latin1', line + 6, length - 2);
  if (value[0] === BULK) return value.toString('latin1', line + 2, Math.max(line + 2, length - 2));
  return value.toString('latin1', 1, line);
}

/** How many values an aggregate of that length holds; none for a null one, -1 for what is no aggregate. */
function valuesIn(type: number, length: number): number {
  if (length === NOT_A_NUMBER) return -1;
  if (type === MAP || type === ATTRIBUTE) return Math.max(0, length * 2);
  return type === ARRAY || type === SET || type === PUSH ? Math.max(0, length) : -1;
}

function skipAttributes(reply: Buffer, pos: number): number {
  const cr = lineEnd(reply, pos, reply.length);
  const values = cr < 0 ? -1 : valuesIn(ATTRIBUTE, parseLength(reply, pos + 1, cr));
  let at = values < 0 ? -1 : cr + 2;
  for (let i = 0; i < values && at >= 0; i++) at = valueEnd(reply, at);
  return at;
}
