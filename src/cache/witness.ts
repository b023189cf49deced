// Keeps reads from going back in time when somebody writes behind heatsink's back. The server's push comes over one
// connection, and a read that sees the new value may come over another one, or to another worker, a moment sooner:
// once that read is answered, nobody may be served the old value any more. So each answer about a hot key is noted
// here, for all workers, before it leaves; two that differ while the version stands still end whatever is kept.
//
//   lock     1 while a bucket is looked at
//   record   mark of the question | hash of its key | version at which the answer came | hash of the answer
//
// A record counts while its version is current, as do the entries that it stands for. Answers are compared by
// question: what one command shows of a key says nothing of what another one would, but for GET and MGET.

import { finalize, hashBytes, viewOf } from '../resp3/hash.ts';
import { ReplyFrame, TYPE } from '../resp3/reply-frame.ts';
import { COMPLETE } from '../resp3/request-frame.ts';
import { databaseOf } from '../upstream/space.ts';
import type { Versions } from './versions.ts';

const BUCKETS = 1 << 17;
const MASK = BUCKETS - 1;
const WAYS = 8;
const CELLS = 4;
const STRIDE = 1 + WAYS * CELLS;
const MARK = 0;
const KEY = 1;
const VERSION = 2;
const ANSWER = 3;
/** A bucket is free again within nanoseconds, unless the system has put the thread to sleep that has it. */
const SPINS = 1000;

/**
 * What a read asks for: the value of its key, those of all its keys, all elements of its key by one or in pairs, or
 * anything else. Elements come in an order that each server draws for itself, and a failover or a copy brings another.
 */
export const ASKS_OTHER = 0;
export const ASKS_VALUE = 1;
export const ASKS_VALUES = 2;
export const ASKS_ELEMENTS = 3;
export const ASKS_PAIRS = 4;
export type Asks =
  | typeof ASKS_OTHER
  | typeof ASKS_VALUE
  | typeof ASKS_VALUES
  | typeof ASKS_ELEMENTS
  | typeof ASKS_PAIRS;

const BULK = 0x24;
const MINUS = 0x2d;
const NULL = 0x5f;
/** Stands for a missing key, which RESP2 and RESP3 write differently. */
const MISSING = 0;

export function witnessMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(BUCKETS * STRIDE * 4);
}

/** A read of a key, while its bytes are there. */
export interface Question {
  readonly space: number;
  readonly asks: Asks;
  readonly keyHash: number;
  readonly chunk: { readonly buf: Buffer } | null;
  readonly offset: number;
  readonly length: number;
}

export class Witness {
  readonly #versions: Versions;
  readonly #cells: Int32Array;

  constructor(versions: Versions, shared = witnessMemory()) {
    this.#versions = versions;
    this.#cells = new Int32Array(shared);
  }

  /**
   * Notes an answer that came at that version and epoch; `reply[start, end)`. False when another answer was noted at
   * the same: then the version has gone up, and this one must not be kept either, as it may be the older one.
   */
  note(
    question: Question,
    version: number,
    epoch: number,
    reply: Buffer,
    start: number,
    end: number,
  ): boolean {
    const mark = markOf(question);
    return this.#note(mark, question.keyHash, stamp(version, epoch), answerTo(question, reply, start, end));
  }

  /** The same, now, for an answer that is not kept. */
  saw(question: Question, reply: Buffer, start: number, end: number): void {
    this.#saw(markOf(question), question.keyHash, answerTo(question, reply, start, end));
  }

  /** The same for the value of one of several keys in a reply. */
  sawValue(space: number, keyHash: number, reply: Buffer, start: number, end: number): void {
    this.#saw(valueMark(keyHash, databaseOf(space)), keyHash, answerOf(reply, start, end));
  }

  #saw(mark: number, keyHash: number, answer: number): void {
    this.#note(mark, keyHash, stamp(this.#versions.of(keyHash), this.#versions.epoch()), answer);
  }

  #note(mark: number, keyHash: number, version: number, answer: number): boolean {
    const cells = this.#cells;
    const bucket = (mark & MASK) * STRIDE;
    if (!this.#lock(bucket)) {
      this.#versions.invalidate(keyHash);
      return false;
    }
    let agrees = true;
    const at = this.#find(bucket, mark, keyHash);
    if (at >= 0 && cells[at + VERSION] === version) {
      agrees = cells[at + ANSWER] === answer;
      if (!agrees) {
        cells[at + VERSION] = 0;
        this.#versions.invalidate(keyHash);
      }
    } else {
      const place = at >= 0 ? at : this.#place(bucket);
      cells[place + MARK] = mark;
      cells[place + KEY] = keyHash;
      cells[place + VERSION] = version;
      cells[place + ANSWER] = answer;
    }
    Atomics.store(cells, bucket, 0);
    return agrees;
  }

  #lock(bucket: number): boolean {
    for (let i = 0; i < SPINS; i++) if (Atomics.compareExchange(this.#cells, bucket, 0, 1) === 0) return true;
    return false;
  }

  #find(bucket: number, mark: number, keyHash: number): number {
    const cells = this.#cells;
    for (let at = bucket + 1; at < bucket + STRIDE; at += CELLS)
      if (cells[at + MARK] === mark && cells[at + KEY] === keyHash) return at;
    return -1;
  }

  /** A record that does not count any more; else one that does, and what is kept by it ends. */
  #place(bucket: number): number {
    const cells = this.#cells;
    const epoch = this.#versions.epoch();
    for (let at = bucket + 1; at < bucket + STRIDE; at += CELLS) {
      if (cells[at + VERSION] !== stamp(this.#versions.of(cells[at + KEY]), epoch)) return at;
    }
    const at = bucket + 1 + ((cells[bucket + 1 + ANSWER] >>> 0) % WAYS) * CELLS;
    this.#versions.invalidate(cells[at + KEY]);
    return at;
  }
}

/** Never 0, which is no version. */
function stamp(version: number, epoch: number): number {
  return (version + Math.imul(epoch, 0x9e3779b1)) | 0 || 1;
}

function markOf({ space, asks, keyHash, chunk, offset, length }: Question): number {
  if (asks === ASKS_VALUE || chunk === null) return valueMark(keyHash, databaseOf(space));
  return finalize(hashBytes(viewOf(chunk.buf), offset, offset + length) ^ Math.imul(space + 1, 0x85ebca6b));
}

function valueMark(keyHash: number, db: number): number {
  return finalize(keyHash ^ Math.imul(db + 1, 0x9e3779b1));
}

function answerTo({ asks }: Question, reply: Buffer, start: number, end: number): number {
  if (asks === ASKS_ELEMENTS) return answerOfElements(reply, start, end, 1);
  if (asks === ASKS_PAIRS) return answerOfElements(reply, start, end, 2);
  return answerOf(reply, start, end);
}

/** The same for the same elements in any order; `step` of them belong together. */
function answerOfElements(reply: Buffer, start: number, end: number, step: number): number {
  const aggregate = reply[start] === TYPE.array || reply[start] === TYPE.set || reply[start] === TYPE.map;
  const view = viewOf(reply);
  let sum = 0;
  for (let at = aggregate ? reply.indexOf(10, start) + 1 : start; at < end; ) {
    const from = at;
    for (let i = 0; i < step && at < end; i++) {
      if (frame.read(reply, at, end) !== COMPLETE) {
        frame.reset();
        return answerOf(reply, start, end);
      }
      at = frame.end;
    }
    sum = (sum + hashBytes(view, from, at)) | 0;
  }
  return finalize(sum);
}

const frame = new ReplyFrame();

function answerOf(reply: Buffer, start: number, end: number): number {
  if (reply[start] === NULL || (reply[start] === BULK && reply[start + 1] === MINUS)) return MISSING;
  return hashBytes(viewOf(reply), start, end);
}
