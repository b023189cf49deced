// Lets every setting live through the same trace, one request after the other.

import { Versions } from '../cache/versions.ts';
import { clock } from '../clock.ts';
import { hashBytes } from '../resp3/hash.ts';
import { SLOTS, slotOf } from '../upstream/slot.ts';
import { type Access, KEEPABLE, OTHER_READ, WRITE_ALL } from './access.ts';
import { NodeLoads } from './loads.ts';
import type { Setting } from './settings.ts';
import { Simulated } from './simulated.ts';

/** Where the simulated clock begins, in milliseconds: the detector's sub-windows count from 0. */
const BEGIN = 1000;
/** Sizes of replies that are remembered. */
const SIZES_MAX = 100_000;

export interface ReplayOptions {
  readonly settings: readonly Setting[];
  readonly nodes: number;
  /** Bytes of replies of which the trace does not say. */
  readonly valueBytes: number;
}

export class Replay {
  /** Requests about keys, and what they are. */
  requests = 0;
  reads = 0;
  keepable = 0;
  writes = 0;
  /** Requests that came with an earlier time than the one before them; they are taken to come with it. */
  late = 0;
  /** Whether the size of any reply had to be taken for `valueBytes`. */
  assumed = false;
  readonly simulated: readonly Simulated[];
  /** Without heatsink. */
  readonly direct: NodeLoads;
  /** Without heatsink, and with each setting. */
  readonly #loads: readonly NodeLoads[];
  readonly #nodes: number;
  readonly #versions = new Versions();
  readonly #sizes = new Map<number, number>();
  readonly #valueBytes: number;
  readonly #hashes = { key: 0, request: 0 };
  #first = Number.NaN;
  #now = BEGIN;
  #second = 1;

  constructor({ settings, nodes, valueBytes }: ReplayOptions) {
    this.#nodes = nodes;
    this.#valueBytes = valueBytes;
    this.direct = new NodeLoads(nodes);
    const sizeOf = (access: Access, request: number) => this.#sizeOf(access, request);
    this.simulated = settings.map(
      (setting) => new Simulated({ setting, versions: this.#versions, loads: new NodeLoads(nodes), sizeOf }),
    );
    this.#loads = [this.direct, ...this.simulated.map(({ loads }) => loads)];
  }

  /** Seconds from the first request to the last; at least one, so that rates are not made of less. */
  get seconds(): number {
    return Math.max(1, (this.#now - BEGIN) / 1000);
  }

  request(access: Access): void {
    this.#moveTo(access.ms);
    this.requests++;
    if (access.kind === KEEPABLE) this.#read(access);
    else if (access.kind === OTHER_READ) this.#otherRead(access);
    else this.#write(access);
  }

  /** The trace says how large the reply to that request is. */
  size(access: Access): void {
    const sizes = this.#sizes;
    const hash = hashBytes(access.view, access.start, access.end);
    if (sizes.size >= SIZES_MAX && !sizes.has(hash)) sizes.delete(sizes.keys().next().value as number);
    sizes.set(hash, access.bytes);
  }

  /** The trace has ended. */
  end(): void {
    for (const loads of this.#loads) loads.roll();
  }

  #moveTo(ms: number): void {
    if (Number.isNaN(this.#first)) this.#first = ms;
    const now = ms - this.#first + BEGIN;
    if (now < this.#now) {
      this.late++;
      return;
    }
    const passed = Math.floor(now) !== Math.floor(this.#now);
    this.#now = now;
    clock.ms = now;
    if (!passed) return;
    for (const simulated of this.simulated) simulated.advance(now);
    const second = Math.floor(now / 1000);
    if (second === this.#second) return;
    this.#second = second;
    for (const loads of this.#loads) loads.roll();
  }

  #read(access: Access): void {
    const { keys, view } = access;
    this.reads++;
    this.keepable++;
    const node = this.#nodeOf(access);
    this.#hashes.key = hashBytes(view, keys[0], keys[1]);
    this.#hashes.request = hashBytes(view, access.start, access.end);
    this.direct.sent(node);
    for (const simulated of this.simulated) simulated.read(access, this.#hashes, node, this.#now);
  }

  #otherRead(access: Access): void {
    this.reads++;
    this.#sendOn(access);
    for (let i = 0; i < access.keyCount; i++) {
      const keyHash = hashBytes(access.view, access.keys[i * 2], access.keys[i * 2 + 1]);
      for (const simulated of this.simulated) simulated.count(access, i, keyHash);
    }
  }

  #write(access: Access): void {
    this.writes++;
    this.#sendOn(access);
    if (access.kind === WRITE_ALL) {
      this.#versions.invalidateAll();
      for (const simulated of this.simulated) simulated.writtenAll();
    }
    for (let i = 0; i < access.keyCount; i++) {
      const keyHash = hashBytes(access.view, access.keys[i * 2], access.keys[i * 2 + 1]);
      this.#versions.invalidate(keyHash);
      for (const simulated of this.simulated) simulated.written(keyHash);
    }
  }

  /** Goes to the node of its first key, with and without heatsink. */
  #sendOn(access: Access): void {
    const node = access.keyCount === 0 ? 0 : this.#nodeOf(access);
    for (const loads of this.#loads) loads.sent(node);
  }

  /** The slots are spread evenly, as `redis-cli --cluster create` does it. */
  #nodeOf({ buf, keys }: Access): number {
    if (this.#nodes === 1) return 0;
    return Math.floor((slotOf(buf, keys[0], keys[1]) * this.#nodes) / SLOTS);
  }

  #sizeOf(access: Access, request: number): number {
    if (!Number.isNaN(access.bytes)) return access.bytes;
    const size = this.#sizes.get(request);
    if (size === undefined) this.assumed = true;
    return size ?? this.#valueBytes;
  }
}
