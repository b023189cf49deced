// Versions settle every race between reads and writes: a fill is kept, and a hit served, only while the version
// of the key's bucket is the one at which the fill was sent. Shared by all worker threads.

/** Buckets of key hashes. Two keys in one bucket only cost a needless refill. 2^20 x 8 bytes = 8 MiB. */
const BUCKETS = 1 << 20;
const MASK = BUCKETS - 1;
/** The slot behind the buckets holds the epoch, which FLUSHALL and the like bump: one add for all keys. */
const EPOCH = BUCKETS * 2;

export class Versions {
  readonly shared: SharedArrayBuffer;
  readonly #cells: Int32Array;

  constructor(shared = new SharedArrayBuffer((BUCKETS * 2 + 2) * 4)) {
    this.shared = shared;
    this.#cells = new Int32Array(shared);
  }

  /** The version of a key's bucket now; wraps after 2^32 writes of one bucket. */
  of(keyHash: number): number {
    return Atomics.load(this.#cells, (keyHash & MASK) << 1);
  }

  /** The count of writes that may have touched any key. */
  epoch(): number {
    return Atomics.load(this.#cells, EPOCH);
  }

  /** Whether a write of the bucket, or of everything, is under way: then nobody hits, joins or publishes. */
  writing(keyHash: number): boolean {
    return (
      Atomics.load(this.#cells, ((keyHash & MASK) << 1) + 1) !== 0 ||
      Atomics.load(this.#cells, EPOCH + 1) !== 0
    );
  }

  /** Whether what was read at that version and epoch may be served. A write bumps at dispatch, so this is enough. */
  current(keyHash: number, version: number, epoch: number): boolean {
    return (
      Atomics.load(this.#cells, (keyHash & MASK) << 1) === version &&
      Atomics.load(this.#cells, EPOCH) === epoch
    );
  }

  /** Before a write is dispatched. Each call must be followed by one `writeEnded`, whatever became of the write. */
  writeBegun(keyHash: number): void {
    const at = (keyHash & MASK) << 1;
    Atomics.add(this.#cells, at + 1, 1);
    Atomics.add(this.#cells, at, 1);
  }

  /** When the write's reply, error, timeout or disconnect is known, before that goes to the client. */
  writeEnded(keyHash: number): void {
    const at = (keyHash & MASK) << 1;
    Atomics.add(this.#cells, at, 1);
    Atomics.sub(this.#cells, at + 1, 1);
  }

  /** As `writeBegun`, for a command that may change any key. */
  writeAllBegun(): void {
    Atomics.add(this.#cells, EPOCH + 1, 1);
    Atomics.add(this.#cells, EPOCH, 1);
  }

  writeAllEnded(): void {
    Atomics.add(this.#cells, EPOCH, 1);
    Atomics.sub(this.#cells, EPOCH + 1, 1);
  }

  /** The server said that the key has changed, or somebody can no longer vouch for it. */
  invalidate(keyHash: number): void {
    Atomics.add(this.#cells, (keyHash & MASK) << 1, 1);
  }

  /** The same for all keys. */
  invalidateAll(): void {
    Atomics.add(this.#cells, EPOCH, 1);
  }
}
