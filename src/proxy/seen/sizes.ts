// Looks at what is large: replies, and arguments of requests that were not refused, both when the reply is there.
// What it notes of a key is that key's alone: of the one key of a command, of each key of MGET and MSET; nothing of
// other commands with several keys, nor of scripts, whose arguments and replies may be anything.

import { Flight } from '../../cache/flights.ts';
import { argument } from '../../commands/argument.ts';
import type { Command } from '../../commands/command.ts';
import { elementsOf } from '../../commands/elements.ts';
import { findKeys, KeyPositions } from '../../commands/keys.ts';
import type { CommandTable } from '../../commands/table.ts';
import { C, type Counters, G } from '../../counters.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import { COMPLETE, INCOMPLETE, RequestFrame } from '../../resp3/request-frame.ts';
import type { Call } from '../../upstream/call.ts';
import { databaseOf } from '../../upstream/space.ts';
import { type BigKeyList, BigKeys, type Direction } from './big-keys.ts';
import type { KeyUsage } from './key-usage.ts';
import { isOnePerKey, type Size, sizeOfArguments, sizeOfReply, sizeOfUpload } from './size.ts';

/** `bigKeys.bytes`, `bigKeys.elements` (0: that makes no value large) and `bigKeys.top`. */
export interface SizeLimits {
  readonly bytes: number;
  readonly elements: number;
  readonly top: number;
}

/** No reply and no request has more bytes. */
const NONE = 0x7fffffff;
/** All have more. */
const ALL = -1;
/** The least that an element takes in a reply, `_\r\n`; in a request it takes more. */
const ELEMENT_BYTES = 3;

export class Sizes {
  /** Replies and requests of more bytes need a look; all of them while what keys take is measured. */
  above = NONE;
  /** Of more bytes they may be large. */
  #large = NONE;
  #usage: KeyUsage | null = null;
  #limits: SizeLimits;
  readonly #keys: BigKeys;
  readonly #table: () => CommandTable | null;
  readonly #counters: Counters;
  readonly #frame = new RequestFrame();
  readonly #positions = new KeyPositions();

  /** The table is null before the upstream has answered. */
  constructor(limits: SizeLimits, table: () => CommandTable | null, counters: Counters) {
    this.#limits = limits;
    this.#keys = new BigKeys(limits.top);
    this.#table = table;
    this.#counters = counters;
    this.tune(limits);
  }

  /** Changes what is large, or how many keys are kept. */
  tune(limits: Partial<SizeLimits>): void {
    this.#limits = { ...this.#limits, ...limits };
    const { bytes, elements, top } = this.#limits;
    this.#keys.top = top;
    this.#large = top === 0 ? NONE : Math.min(bytes || NONE, elements * ELEMENT_BYTES || NONE);
    this.above = this.#usage === null ? this.#large : ALL;
  }

  /** Tells that of all requests with keys from now on; null: of none. */
  measure(usage: KeyUsage | null): void {
    this.#usage = usage;
    this.tune({});
  }

  list(): BigKeyList {
    return { ...this.#limits, keys: this.#keys.list() };
  }

  /** The call of a client in that space, which has its bytes still, is answered by `buf[start, end)`. */
  look(call: Call, space: number, buf: Buffer, start: number, end: number): void {
    if (this.#usage !== null) this.#measure(this.#usage, call, end - start);
    const large = end - start > this.#large || call.length > this.#large;
    if (!large || buf[start] === TYPE.error || buf[start] === TYPE.bulkError) return;
    const command = this.#open(call, true);
    if (command !== null && this.#keysOf(command)) {
      const db = databaseOf(space);
      if (end - start > this.#large) this.#lookAtReply(command, db, buf, start, end);
      if (call.length > this.#large) this.#lookAtArguments(command, db);
    }
    this.#frame.reset();
  }

  /** A reply of that many bytes went by that begins with `head`: its first line and a byte more. */
  streamed(call: Call, space: number, head: Buffer, bytes: number): void {
    const command = this.#open(call, true);
    if (command !== null && this.#keysOf(command) && this.#positions.count === 1) {
      const size = sizeOfReply(head, 0, bytes, command, this.#frame);
      this.#note(this.#positions.at[0], databaseOf(space), size, command, 'reply');
    }
    this.#frame.reset();
  }

  /** A request went by, and was not refused, whose arguments have that many bytes together; the call has its first. */
  uploaded(call: Call, space: number, bytes: number): void {
    const command = this.#open(call, false);
    if (command !== null) {
      const size = sizeOfUpload(this.#frame, command, bytes);
      this.#note(command.fixedKey, databaseOf(space), size, command, 'argument');
    }
    this.#frame.reset();
  }

  /** Of each who shares the reply of that many bytes. */
  #measure(usage: KeyUsage, call: Call, bytes: number): void {
    const command = this.#openAny(call, true);
    if (command !== null && findKeys(command, this.#frame, this.#positions) > 0) {
      const keys = Array.from({ length: this.#positions.count }, (_, i) =>
        argument(this.#frame, this.#positions.at[i]),
      );
      usage.answered(call, keys, (call.length + bytes) * sharers(call));
    }
    this.#frame.reset();
  }

  /** Reads the call's request, which is whole or not; null when there is nothing to be known of it. */
  #open(call: Call, whole: boolean): Command | null {
    return this.#limits.top === 0 ? null : this.#openAny(call, whole);
  }

  #openAny({ chunk, offset, length }: Call, whole: boolean): Command | null {
    if (chunk === null) return null;
    const status = this.#frame.read(chunk.buf, chunk.view, offset, offset + length);
    if (status !== (whole ? COMPLETE : INCOMPLETE)) return null;
    return this.#table()?.find(this.#frame) ?? null;
  }

  /** Finds the keys whose values are in the request or in its reply; false when there are none. */
  #keysOf(command: Command): boolean {
    if (command.state === 'script' || command.keySpecs.some(({ channel }) => channel)) return false;
    return findKeys(command, this.#frame, this.#positions) > 0;
  }

  #lookAtReply(command: Command, db: number, buf: Buffer, start: number, end: number): void {
    const frame = this.#frame;
    const { count, at } = this.#positions;
    if (!isOnePerKey(command)) {
      const size = sizeOfReply(buf, start, end - start, command, frame);
      if (count === 1) this.#note(at[0], db, size, command, 'reply');
      return;
    }
    const values = elementsOf(buf.subarray(start, end));
    if (values?.count !== count) return;
    for (let i = 0; i < count; i++) {
      const [from, to] = [values.bounds[i], values.bounds[i + 1]];
      this.#note(at[i], db, sizeOfReply(buf, start + from, to - from, command, frame), command, 'reply');
    }
  }

  #lookAtArguments(command: Command, db: number): void {
    const frame = this.#frame;
    const { count, at } = this.#positions;
    // The keys of MSET have their values between them.
    const step = count === 1 ? frame.argc : command.keySpecs[0].step;
    for (let i = 0; i < count && step > 1; i++) {
      const end = Math.min(at[i] + step, frame.argc);
      this.#note(at[i], db, sizeOfArguments(frame, command, at[i] + 1, end), command, 'argument');
    }
  }

  #note(key: number, db: number, size: Size, { name }: Command, of: Direction): void {
    const { bytes, elements } = size;
    const { bytes: most, elements: mostElements } = this.#limits;
    const large = (most > 0 && bytes > most) || (mostElements > 0 && elements > mostElements);
    if (!large) return;
    this.#counters[of === 'reply' ? C.bigReplies : C.bigArguments]++;
    this.#counters[G.largest] = Math.max(this.#counters[G.largest], bytes);
    const { buf, start, args } = this.#frame;
    this.#keys.saw(buf, start + args[key * 2], start + args[key * 2 + 1], db, size, name, of);
  }
}

/** How many clients get its reply. */
function sharers(call: Call): number {
  let count = 1;
  if (call instanceof Flight) for (let other = call.joined; other !== null; other = other.nextJoined) count++;
  return count;
}
