// What copies are called: where they lie, whose they are and of which state of the key, so that no name is ever used
// for another value. See docs/decisions for the proof that rests on it.
//
//   heatsink:copy:{tag}:<worker>:<generation>:<epoch>.<version>:<number>:<key>

import { randomBytes } from 'node:crypto';
import type { Command } from '../commands/command.ts';
import { findKeys, KeyPositions } from '../commands/keys.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { keyInSlots, slotOf } from '../upstream/slot.ts';
import type { Topology } from '../upstream/topology.ts';

export const COPY_PREFIX = 'heatsink:copy:';
const PREFIX = Buffer.from(COPY_PREFIX);

/** Whether the key `buf[start, end)` is called like a copy, of this heatsink or of another one. */
export function isCopyName(buf: Buffer, start: number, end: number): boolean {
  const { length } = PREFIX;
  return end - start >= length && buf.compare(PREFIX, 0, length, start, start + length) === 0;
}

/** The state of a key that a copy shows; see cache/versions.ts. */
export interface StateOfKey {
  readonly generation: number;
  readonly epoch: number;
  readonly version: number;
}

export class CopyNames {
  readonly #topology: Topology;
  /** Drawn by each worker for itself: two of them, or two heatsinks, never make the same name. */
  readonly #worker = randomBytes(8).toString('hex');
  readonly #tags = new WeakMap<UpstreamNode, string>();
  #last = 0;

  constructor(topology: Topology) {
    this.#topology = topology;
  }

  /** A name that was never given before, in a slot of that node; null when it has none. */
  next(node: UpstreamNode, { generation, epoch, version }: StateOfKey, key: Buffer): Buffer | null {
    const tag = this.#tagOf(node);
    if (tag === null) return null;
    const state = `${this.#worker}:${generation}:${epoch}.${version}`;
    return Buffer.concat([Buffer.from(`${tag}:${state}:${++this.#last}:`), key]);
  }

  /** The same tag for as long as the node owns its slot: looking for one takes a while when it owns few. */
  #tagOf(node: UpstreamNode): string | null {
    const owned = (slot: number) => this.#topology.slotOwner(slot) === node;
    const known = this.#tags.get(node);
    if (known !== undefined && owned(slotOf(Buffer.from(known), 0, known.length))) return known;
    const tag = this.#topology.nodes.includes(node) ? keyInSlots(COPY_PREFIX, owned) : null;
    if (tag !== null) this.#tags.set(node, tag);
    return tag;
  }
}

/** Finds clients' requests that name a copy. */
export class CopyNameGuard {
  readonly #keys = new KeyPositions();

  /**
   * Whether one of the request's keys is called like a copy; also when that cannot be told. `found`: how many of its
   * arguments have come.
   */
  names(frame: RequestFrame, command: Command, found = frame.argc): boolean {
    const { buf, start, args } = frame;
    const first = PREFIX[0];
    for (let i = 1; i < found; i++) {
      const at = start + args[i * 2];
      if (buf[at] !== first || !isCopyName(buf, at, start + args[i * 2 + 1])) continue;
      const count = findKeys(command, frame, this.#keys);
      if (count < 0 || this.#keys.at.subarray(0, count).includes(i)) return true;
    }
    return false;
  }
}
