// A key's whole value and time to live, over its node's tracked connection. PTTL goes first, as with a fill of the tier
// (docs/decisions/0002): the time to live is never that of an older value.

import { TYPE } from '../resp3/reply-frame.ts';
import type { Lane } from '../upstream/lane.ts';
import { ask, TOO_LARGE } from './ask.ts';

export interface KeyRead {
  /** Milliseconds; negative for a key that does not expire. */
  readonly pttl: number;
  /** What SET takes, or RESTORE if it is `dumped`. */
  readonly value: Buffer;
  readonly dumped: boolean;
}

const MISSING = ':-2\r\n';
const WRONGTYPE = '-WRONGTYPE';

/**
 * The key; 'missing' when there is none, 'large' when it is too large to be held, null when its node does not say.
 * Remembers in `key` what it takes to read it.
 */
export async function readKey(
  lane: Lane,
  key: { dumped: boolean; readonly heat: { readonly key: Buffer } },
): Promise<KeyRead | 'missing' | 'large' | null> {
  const { dumped, heat } = key;
  const [time, reply] = await Promise.all([
    ask(lane, ['PTTL', heat.key]),
    ask(lane, [dumped ? 'DUMP' : 'GET', heat.key]),
  ]);
  if (!dumped && reply?.toString('latin1', 0, WRONGTYPE.length) === WRONGTYPE) {
    key.dumped = true;
    return readKey(lane, key);
  }
  if (time?.toString('latin1') === MISSING) return 'missing';
  if (reply === TOO_LARGE) return 'large';
  if (time?.[0] !== TYPE.integer || reply?.[0] !== TYPE.bulk) return null;
  const pttl = Number(time.toString('latin1', 1, time.length - 2));
  const from = reply.indexOf(10) + 1;
  return { pttl, value: reply.subarray(from, reply.length - 2), dumped };
}
