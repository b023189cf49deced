// Reads of a whole value: their empty reply proves that the key is missing. Where a part is asked for, a length or a
// field, an empty one may be all that there is.

import { TYPE } from '../resp3/reply-frame.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentIs } from './argument.ts';
import type { Command } from './command.ts';

const WHOLE = new Set(['get', 'hgetall', 'hkeys', 'hvals', 'smembers', 'json.get']);
/** They read the whole from 0 to -1. */
const RANGES = new Set(['lrange', 'zrange', 'zrevrange']);

const ZERO = 0x30;
const MINUS = 0x2d;

/** Whether the read in `frame` is one of them. */
export function readsWhole({ name }: Command, frame: RequestFrame): boolean {
  if (WHOLE.has(name)) return true;
  if (!RANGES.has(name) || frame.argc < 4 || frame.argc > 5) return false;
  if (!argumentIs(frame, 2, '0') || !argumentIs(frame, 3, '-1')) return false;
  return frame.argc === 4 || argumentIs(frame, 4, 'withscores') || argumentIs(frame, 4, 'rev');
}

/** Whether the reply that begins there says to such a read that there is no key. RESP2 and RESP3. */
export function saysMissing(reply: Buffer, start: number): boolean {
  const type = reply[start];
  const next = reply[start + 1];
  if (type === TYPE.bulk) return next === MINUS;
  if (type === TYPE.array || type === TYPE.map || type === TYPE.set) return next === ZERO || next === MINUS;
  return type === TYPE.null;
}
