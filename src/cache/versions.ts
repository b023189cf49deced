// Versions settle every race between reads and writes: a fill is kept, and a hit served, only while the version
// of the key's bucket is the one at which the fill was sent. All worker threads share them.
//
//   bucket   version | writes in flight of worker 0 | of worker 1 | ...
//
// Each worker counts its own writes, so that those of a worker that crashed can be taken out again.

/** Buckets of key hashes. Two keys in one bucket only cost a needless refill. */
const BUCKETS_MAX = 1 << 20;
/** At most so many cells, of 4 bytes: beyond seven workers there are fewer buckets. */
const CELLS_MAX = 1 << 23;

export class Versions {
  readonly shared: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #mask: number;
  readonly #stride: number;
  readonly #workers: number;
  /** The cells behind the buckets hold the epoch, which FLUSHALL and the like bump: one add for all keys. */
  readonly #epoch: number;
  /** From a bucket's version to this worker's writes in flight. */
  readonly #own: number;

  /** Of that many workers, for number `worker` of them. */
  constructor(workers = 1, worker = 0, shared?: SharedArrayBuffer) {
    const stride = workers + 1;
    const buckets = Math.min(BUCKETS_MAX, 2 ** Math.floor(Math.log2(CELLS_MAX / stride)));
    this.shared = shared ?? new SharedArrayBuffer((buckets + 1) * stride * 4);
    this.#cells = new Int32Array(this.shared);
    this.#mask = buckets - 1;
    this.#stride = stride;
    this.#workers = workers;
    this.#epoch = buckets * stride;
    this.#own = worker + 1;
  }

  /** The version of a key's bucket now; wraps after 2^32 writes of one bucket. */
  of(keyHash: number): number {
    return Atomics.load(this.#cells, (keyHash & this.#mask) * this.#stride);
  }

  /** The count of writes that may have touched any key. */
  epoch(): number {
    return Atomics.load(this.#cells, this.#epoch);
  }

  /** Another number whenever the key may have changed; a later one is ahead of it, though it wraps. */
  stamp(keyHash: number): number {
    return (this.of(keyHash) + this.epoch()) | 0;
  }

  /** Whether a write of the bucket, or of everything, is under way: then nobody hits, joins or publishes. */
  writing(keyHash: number): boolean {
    const at = (keyHash & this.#mask) * this.#stride;
    for (let i = 1; i <= this.#workers; i++) {
      if (Atomics.load(this.#cells, at + i) !== 0 || Atomics.load(this.#cells, this.#epoch + i) !== 0)
        return true;
    }
    return false;
  }

  /** Whether what was read at that version and epoch may be served. A write bumps at dispatch, so this is enough. */
  current(keyHash: number, version: number, epoch: number): boolean {
    return (
      Atomics.load(this.#cells, (keyHash & this.#mask) * this.#stride) === version &&
      Atomics.load(this.#cells, this.#epoch) === epoch
    );
  }

  /** Before a write is dispatched. Each call must be followed by one `writeEnded`, whatever became of the write. */
  writeBegun(keyHash: number): void {
    const at = (keyHash & this.#mask) * this.#stride;
    Atomics.add(this.#cells, at + this.#own, 1);
    Atomics.add(this.#cells, at, 1);
  }

  /** When the write's reply, error, timeout or disconnect is known, before that goes to the client. */
  writeEnded(keyHash: number): void {
    const at = (keyHash & this.#mask) * this.#stride;
    Atomics.add(this.#cells, at, 1);
    Atomics.sub(this.#cells, at + this.#own, 1);
  }

  /** As `writeBegun`, for a command that may change any key. */
  writeAllBegun(): void {
    Atomics.add(this.#cells, this.#epoch + this.#own, 1);
    Atomics.add(this.#cells, this.#epoch, 1);
  }

  writeAllEnded(): void {
    Atomics.add(this.#cells, this.#epoch, 1);
    Atomics.sub(this.#cells, this.#epoch + this.#own, 1);
  }

  /** The server said that the key has changed, or somebody can no longer vouch for it. */
  invalidate(keyHash: number): void {
    Atomics.add(this.#cells, (keyHash & this.#mask) * this.#stride, 1);
  }

  /** The same for all keys. */
  invalidateAll(): void {
    Atomics.add(this.#cells, this.#epoch, 1);
  }

  /** That worker crashed: nobody will end its writes, and any of them may have been executed. */
  workerLost(worker: number): void {
    for (let at = worker + 1; at < this.#cells.length; at += this.#stride) Atomics.store(this.#cells, at, 0);
    this.invalidateAll();
  }
}
