// A read of a key as a read of its copy: the same request with another key.

import { TYPE } from '../resp3/reply-frame.ts';

/**
 * The request `buf[start, end)` with the key at `[keyStart, keyEnd)`, counted from the request's start, replaced. Null
 * for a request that is no array of bulk strings, but a line of words.
 */
export function withKey(
  { buf, start, end }: { readonly buf: Buffer; readonly start: number; readonly end: number },
  keyStart: number,
  keyEnd: number,
  key: Buffer,
): Buffer | null {
  if (buf[start] !== TYPE.array) return null;
  // The key's own length stands right before it: `$3\r\nkey`.
  const head = buf.lastIndexOf(TYPE.bulk, start + keyStart - 1);
  const length = Buffer.from(`$${key.length}\r\n`);
  return Buffer.concat([buf.subarray(start, head), length, key, buf.subarray(start + keyEnd, end)]);
}
