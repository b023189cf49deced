// One hot key and its copies: the state of the key that was read from its own node, where copies of that state are, and
// how much each node has had to say of the key so far.

import type { Heat } from '../hotkeys/heat.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import type { Proof } from '../upstream/tracking.ts';
import type { StateOfKey } from './copy-names.ts';

/** What one node is asked of one key. */
export interface Load {
  /** Reads without a reply. */
  outstanding: number;
  /** Of the replies so far. */
  bytes: number;
}

export interface Copy {
  readonly node: UpstreamNode;
  readonly name: Buffer;
  readonly load: Load;
  /** By `clock.ms`: it is not asked any more from then on, and goes by itself a little later. */
  until: number;
  refreshing: boolean;
}

/** The key as it was read once, by a tracked read. Each has copies of its own, which never change. */
export interface Edition extends StateOfKey {
  readonly proof: Proof;
  /** By `clock.ms`: when the key itself expires, or is to be read again. */
  readonly endsAt: number;
  /** Whether the key itself goes then. */
  readonly expires: boolean;
  readonly madeAt: number;
  copies: Copy[];
  /** Reads that its copies were asked. */
  reads: number;
  retired: boolean;
}

export class KeyCopies {
  /** Another object when the key has cooled and come back. */
  heat: Heat;
  edition: Edition | null = null;
  /** Whether its next edition is on its way. */
  making = false;
  /** Whether its value is no string, so that only DUMP can read it whole. */
  dumped = false;
  /** Editions in a row that had ended before they were of use. */
  #wasted = 0;
  /** By `clock.ms`: no edition is made before. */
  #notBefore = 0;
  /** The version at which there was nothing to copy, and until when that is believed. */
  #nothingAt = 0;
  #nothingUntil = 0;
  readonly #loads = new Map<UpstreamNode, Load>();

  constructor(heat: Heat) {
    this.heat = heat;
  }

  loadOf(node: UpstreamNode): Load {
    let load = this.#loads.get(node);
    if (load === undefined) {
      // A newcomer would have to make up for all that the others have said so far.
      for (const other of this.#loads.values()) other.bytes = 0;
      load = { outstanding: 0, bytes: 0 };
      this.#loads.set(node, load);
    }
    return load;
  }

  /** Its edition has ended: one that was hardly read makes the next one wait, for `LONGEST_WAIT` at the most. */
  ended({ reads, copies }: Edition, now: number): void {
    this.#wasted = reads < copies.length ? Math.min(this.#wasted + 1, WASTED_MAX) : 0;
    this.#notBefore = this.#wasted <= FREE ? now : now + 2 ** (this.#wasted - FREE);
  }

  /** It cannot be read, or no node takes a copy. */
  failed(now: number, wait = RETRY): void {
    this.#notBefore = now + wait;
  }

  /** At that version there is no key, or none that can be read whole. */
  nothing(version: number, now: number): void {
    this.#nothingAt = version;
    this.#nothingUntil = now + RETRY;
  }

  /** Whether it is known that there is nothing to copy at that version. */
  isNothing(version: number, now: number): boolean {
    return version === this.#nothingAt && now < this.#nothingUntil;
  }

  /** Whether an edition of that version may be made now. */
  mayBegin(version: number, now: number): boolean {
    return now >= this.#notBefore && !this.isNothing(version, now);
  }
}

/** So many useless editions cost no pause; then 2 ms, 4 ms, up to a second. */
const FREE = 3;
const WASTED_MAX = FREE + 10;
/** Until it is tried again to copy a key that could not be, in milliseconds. */
const RETRY = 200;
