// The exact sliding windows of the candidates, in memory that all workers share: a key is hot by the sum of their
// reads. Each worker counts in cells of its own, which only grow; whoever finds that a sub-window has ended adds up
// what all have counted since the last one.
//
//   head     number of the sub-window | hot keys | slots in use
//   slot     hash of the key | is it hot | since when | reads in the full sub-windows | reads ever | ring of sub-windows
//   counts   per worker: reads ever, per slot
//   buckets  how many hot keys there are of hashes that end alike

const HEAD = 4;
const STEP = 0;
const HOT_KEYS = 1;
const USED = 2;

const HASH = 0;
const HOT = 1;
const SINCE = 2;
const SUM = 3;
const EVER = 4;
const RING = 5;

/** Slots that a key may have: those of its bucket. */
const WAYS = 8;
const LEAST_SLOTS = 1024;
const BUCKETS = 1 << 14;

/** What worker threads are given of it. */
export interface WindowMemory {
  readonly shared: SharedArrayBuffer;
  readonly workers: number;
  readonly steps: number;
  readonly slots: number;
}

/** Memory for the windows of that many candidates, of `steps` sub-windows each. */
export function windowMemory(workers: number, candidates: number, steps: number): WindowMemory {
  // Half full at the most, so that a bucket rarely is.
  const slots = Math.max(LEAST_SLOTS, 2 ** Math.ceil(Math.log2(candidates * 2)));
  const cells = HEAD + slots * (RING + steps - 1 + workers) + BUCKETS;
  return { shared: new SharedArrayBuffer(cells * 4), workers, steps, slots };
}

export class Windows {
  /** Reads that this worker has counted, by slot: to be incremented by whoever serves a read. */
  readonly counts: Int32Array;
  readonly #cells: Int32Array;
  readonly #slots: number;
  readonly #stride: number;
  readonly #ring: number;
  readonly #all: readonly Int32Array[];
  readonly #buckets: Int32Array;

  constructor({ shared, workers, steps, slots }: WindowMemory, worker: number) {
    this.#ring = steps - 1;
    this.#stride = RING + this.#ring;
    this.#slots = slots;
    const counts = HEAD + slots * this.#stride;
    this.#cells = new Int32Array(shared, 0, counts);
    this.#all = Array.from(
      { length: workers },
      (_, i) => new Int32Array(shared, (counts + i * slots) * 4, slots),
    );
    this.counts = this.#all[worker];
    this.#buckets = new Int32Array(shared, shared.byteLength - BUCKETS * 4, BUCKETS);
  }

  /** False only if no key with that hash is hot; cheap enough for every reply. */
  mayBeHot(keyHash: number): boolean {
    return this.#buckets[keyHash & (BUCKETS - 1)] !== 0;
  }

  /** Has everybody look at replies about keys with that hash, as if one were hot; `unwatch` ends it. */
  watch(keyHash: number): void {
    Atomics.add(this.#buckets, keyHash & (BUCKETS - 1), 1);
  }

  unwatch(keyHash: number): void {
    Atomics.sub(this.#buckets, keyHash & (BUCKETS - 1), 1);
  }

  get hotKeys(): number {
    return Atomics.load(this.#cells, HOT_KEYS);
  }

  /** Slots in use. */
  get used(): number {
    return Atomics.load(this.#cells, USED);
  }

  /** The slot of the key with that hash; -1 when it has none. */
  find(keyHash: number): number {
    if (keyHash === 0) return -1;
    const first = this.#bucket(keyHash);
    for (let slot = first; slot < first + WAYS; slot++) {
      if (Atomics.load(this.#cells, this.#at(slot) + HASH) === keyHash) return slot;
    }
    return -1;
  }

  /** Takes a slot for that key; -1 when its bucket is full, or for the one hash that means none. */
  claim(keyHash: number): number {
    if (keyHash === 0) return -1;
    const first = this.#bucket(keyHash);
    for (let slot = first; slot < first + WAYS; slot++) {
      if (Atomics.compareExchange(this.#cells, this.#at(slot) + HASH, 0, keyHash) !== 0) continue;
      Atomics.add(this.#cells, USED, 1);
      return slot;
    }
    return -1;
  }

  holds(slot: number, keyHash: number): boolean {
    return Atomics.load(this.#cells, this.#at(slot) + HASH) === keyHash;
  }

  isHot(slot: number): boolean {
    return this.#cells[this.#at(slot) + HOT] !== 0;
  }

  /** Epoch milliseconds since when it is hot; whole seconds. */
  hotSince(slot: number): number {
    return this.#cells[this.#at(slot) + SINCE] * 1000;
  }

  /** Reads in the window: the full sub-windows and the one that is filling. */
  count(slot: number): number {
    const at = this.#at(slot);
    return this.#cells[at + SUM] + ((this.#ever(slot) - this.#cells[at + EVER]) | 0);
  }

  /** Makes a key hot, unless another worker has just done so. */
  heat(slot: number): void {
    const at = this.#at(slot);
    const bucket = this.#cells[at + HASH] & (BUCKETS - 1);
    // Before it is hot: whoever fills it must be sure that everybody looks.
    Atomics.add(this.#buckets, bucket, 1);
    if (Atomics.compareExchange(this.#cells, at + HOT, 0, 1) !== 0) {
      Atomics.sub(this.#buckets, bucket, 1);
      return;
    }
    this.#cells[at + SINCE] = Math.floor(Date.now() / 1000);
    Atomics.add(this.#cells, HOT_KEYS, 1);
  }

  /**
   * Whether the windows must be moved on to sub-window number `step`, by whom asks: one of the workers is told so.
   * Returns how many sub-windows have ended.
   */
  begin(step: number): number {
    const last = Atomics.load(this.#cells, STEP);
    const passed = (step - last) | 0;
    if (passed <= 0 || Atomics.compareExchange(this.#cells, STEP, last, step) !== last) return 0;
    return passed;
  }

  /**
   * Closes a sub-window. Hot keys with fewer reads than `coolBelow` cool: each is told to `cooled` first, as nobody
   * may find it cold who does not see what that did. Keys with fewer than `keepFrom` lose their slot. Those that are
   * `pinned` stay as they are.
   */
  endStep(
    step: number,
    coolBelow: number,
    keepFrom: number,
    cooled: (keyHash: number) => void,
    pinned: ReadonlySet<number>,
  ): void {
    const cells = this.#cells;
    for (let slot = 0, at = HEAD; slot < this.#slots; slot++, at += this.#stride) {
      const keyHash = cells[at + HASH];
      if (keyHash === 0) continue;
      const count = this.#roll(slot, at, step);
      if (pinned.has(keyHash)) continue;
      if (cells[at + HOT] !== 0 && count < coolBelow) {
        cooled(keyHash);
        Atomics.store(cells, at + HOT, 0);
        Atomics.sub(this.#buckets, keyHash & (BUCKETS - 1), 1);
        Atomics.sub(cells, HOT_KEYS, 1);
      }
      if (cells[at + HOT] !== 0 || count >= keepFrom) continue;
      // What was ever read stays: the next key in the slot counts from there.
      cells[at + SUM] = 0;
      cells.fill(0, at + RING, at + this.#stride);
      Atomics.store(cells, at + HASH, 0);
      Atomics.sub(cells, USED, 1);
    }
  }

  /** The reads of the sub-window that ends replace those of the one that leaves the window. */
  #roll(slot: number, at: number, step: number): number {
    const cells = this.#cells;
    const ever = this.#ever(slot);
    const fresh = (ever - cells[at + EVER]) | 0;
    cells[at + EVER] = ever;
    if (this.#ring === 0) return 0;
    const place = at + RING + ((step >>> 0) % this.#ring);
    cells[at + SUM] += fresh - cells[place];
    cells[place] = fresh;
    return cells[at + SUM];
  }

  #ever(slot: number): number {
    let sum = 0;
    for (const counts of this.#all) sum += counts[slot];
    return sum | 0;
  }

  #bucket(keyHash: number): number {
    return (keyHash & (this.#slots / WAYS - 1)) * WAYS;
  }

  #at(slot: number): number {
    return HEAD + slot * this.#stride;
  }
}
