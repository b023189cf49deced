// Copies are nobody's business but heatsink's: they are taken out of what lists or counts the keys of all masters.

import { elementsOf } from '../commands/elements.ts';
import { arrayReply, integerReply } from '../resp3/encode.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import { COPY_PREFIX, isCopyName } from './copy-names.ts';

export class HiddenCopies {
  readonly #live: () => number;

  /** `live`: how many copies the workers of this process have. */
  constructor(live: () => number) {
    this.#live = live;
  }

  /** The reply to KEYS or DBSIZE; of any other command as it is. */
  whole(command: string, reply: Buffer): Buffer {
    if (command === 'keys') return withoutCopies(reply);
    if (command !== 'dbsize' || reply[0] !== TYPE.integer) return reply;
    const count = Number(reply.toString('latin1', 1, reply.length - 2));
    // Those of another heatsink are not known, and those that have just gone may still be counted.
    return integerReply(Math.max(0, count - this.#live()));
  }

  /** The reply to SCAN: a cursor and keys. */
  scanned(reply: Buffer): Buffer {
    const elements = reply.includes(COPY_PREFIX) ? elementsOf(reply) : null;
    if (elements?.count !== 2) return reply;
    const [, keys, end] = elements.bounds;
    return Buffer.concat([reply.subarray(0, keys), withoutCopies(reply.subarray(keys, end))]);
  }

  /** Whether the reply to RANDOMKEY names a copy. */
  isCopy(reply: Buffer): boolean {
    return reply[0] === TYPE.bulk && isCopyItem(reply);
  }
}

/** The same array of keys without copies. */
export function withoutCopies(reply: Buffer): Buffer {
  const elements = reply.includes(COPY_PREFIX) ? elementsOf(reply) : null;
  if (elements === null) return reply;
  const { bounds, count } = elements;
  const items = Array.from({ length: count }, (_, i) => reply.subarray(bounds[i], bounds[i + 1]));
  return arrayReply(items.filter((item) => !isCopyItem(item)));
}

function isCopyItem(item: Buffer): boolean {
  return isCopyName(item, item.indexOf(10) + 1, item.length - 2);
}
