// Whether a reply could be that of a key that does not exist. A copy may vanish at any time, and a read of what is gone
// is answered as if there were nothing: such an answer is never believed of a copy.

import { parseLength } from '../resp3/length.ts';
import { SHAPE, SHAPES, TYPE, valuesIn } from '../resp3/reply-frame.ts';

/** What reads say of a key, or of a part of it, that is missing: EXISTS, TYPE, BITPOS, a boolean of RESP3. */
const NOTHING = new Set([':0', ':-1', '+none', '_', '#f']);

/** Whether the whole reply `buf[start, end)`, in RESP2 or RESP3, holds nothing but emptiness, or is an error. */
export function mayBeMissing(buf: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const shape = SHAPE[buf[at]];
    const cr = buf.indexOf(13, at);
    if (shape === SHAPES.bytes) {
      if (buf[at] === TYPE.bulkError) return true;
      const length = parseLength(buf, at + 1, cr);
      if (length > 0) return false;
      at = cr + (length === 0 ? 4 : 2);
    } else if (shape === SHAPES.values) {
      if (valuesIn(buf[at], parseLength(buf, at + 1, cr)) < 0) return true;
      at = cr + 2;
    } else {
      if (buf[at] === TYPE.error) return true;
      // What a missing key is answered with is short.
      if (cr - at > 5 || !NOTHING.has(buf.toString('latin1', at, cr))) return false;
      at = cr + 2;
    }
  }
  return true;
}
