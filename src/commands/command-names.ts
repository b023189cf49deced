// Finds a command by the bytes of its name, in either case, without making a string: an open-addressing table
// that reads the first and the last four bytes of a name as numbers, which is all of it up to eight bytes.

import type { Command } from './command.ts';

/** A name and what it stands for. */
export interface Named {
  readonly length: number;
  readonly head: number;
  readonly headCase: number;
  readonly tail: number;
  readonly tailCase: number;
  /** What lies between head and tail, as pairs of word and case bits; a last word may overlap the tail. */
  readonly middle: Int32Array;
  readonly command: Command;
  /** Its subcommands, if it is a container. */
  readonly subcommands: CommandNames | null;
}

const NAME_MAX = 40;
const FOLD = 0x20202020;

export class CommandNames {
  #slots: (Named | null)[] = new Array(64).fill(null);
  #mask = 63;
  #size = 0;

  /** Adds a lower-case name of 2 to 40 bytes; others are left out, as `lookup` could not find them. */
  add(name: string, command: Command, subcommands: CommandNames | null): void {
    const bytes = Buffer.from(name, 'latin1');
    if (bytes.length < 2 || bytes.length > NAME_MAX) return;
    // A sparse table keeps the common commands at one probe each.
    if (++this.#size * 4 > this.#slots.length) this.#grow();
    this.#place(describe(bytes, command, subcommands));
  }

  /**
   * What the name in the `length` bytes at `at` stands for, or null. Two readable bytes must lie behind the
   * name, as a line end always does.
   */
  lookup(view: DataView, at: number, length: number): Named | null {
    if (length < 2 || length > NAME_MAX) return null;
    let head = view.getInt32(at, true);
    let tail = head;
    if (length >= 4) tail = view.getInt32(at + length - 4, true);
    else tail = head &= length === 3 ? 0xffffff : 0xffff;
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = hash(head, tail, length) & mask;
    for (;;) {
      const named = slots[slot];
      if (named === null) return null;
      if (
        (head | named.headCase) === named.head &&
        (tail | named.tailCase) === named.tail &&
        named.length === length &&
        (length <= 8 || sameMiddle(named.middle, view, at + 4))
      ) {
        return named;
      }
      slot = (slot + 1) & mask;
    }
  }

  #place(named: Named): void {
    let slot = hash(named.head, named.tail, named.length) & this.#mask;
    while (this.#slots[slot] !== null) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = named;
  }

  #grow(): void {
    const all = this.#slots;
    this.#slots = new Array(all.length * 2).fill(null);
    this.#mask = this.#slots.length - 1;
    for (const named of all) if (named !== null) this.#place(named);
  }
}

function hash(head: number, tail: number, length: number): number {
  const mixed = Math.imul((head | FOLD) ^ length, 0x9e3779b1) ^ Math.imul(tail | FOLD, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

function sameMiddle(middle: Int32Array, view: DataView, at: number): boolean {
  for (let i = 0; i < middle.length; i += 2) {
    if ((view.getInt32(at + i * 2, true) | middle[i + 1]) !== middle[i]) return false;
  }
  return true;
}

function describe(bytes: Buffer, command: Command, subcommands: CommandNames | null): Named {
  const { length } = bytes;
  const padded = Buffer.concat([bytes, Buffer.alloc(4)]);
  const tailAt = Math.max(0, length - 4);
  const middle: number[] = [];
  for (let at = 4; at < tailAt; at += 4) middle.push(padded.readInt32LE(at), caseBits(padded, at));
  return {
    length,
    head: padded.readInt32LE(0),
    headCase: caseBits(padded, 0),
    tail: padded.readInt32LE(tailAt),
    tailCase: caseBits(padded, tailAt),
    middle: Int32Array.from(middle),
    command,
    subcommands,
  };
}

/** The bit that tells upper from lower case, for those of four bytes that are letters; all others must match. */
function caseBits(bytes: Buffer, at: number): number {
  let bits = 0;
  for (let i = 0; i < 4; i++) {
    if (bytes[at + i] >= 0x61 && bytes[at + i] <= 0x7a) bits |= 0x20 << (8 * i);
  }
  return bits;
}
