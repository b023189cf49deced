// Something of which all workers together may have so many, such as clients: counted in memory that they share.

/** The sum over all workers, and what each has of it. */
export function quotaMemory(workers: number): SharedArrayBuffer {
  return new SharedArrayBuffer((1 + workers) * 4);
}

export class Quota {
  /** How many there may be; may change at any time. */
  most: number;
  readonly #cells: Int32Array;
  readonly #own: number;

  /** `worker`: whose share this counts, from 0 up. */
  constructor(shared: SharedArrayBuffer, worker: number, most: number) {
    this.#cells = new Int32Array(shared);
    this.#own = 1 + worker;
    this.most = most;
  }

  /** How many this worker has. */
  get own(): number {
    return Atomics.load(this.#cells, this.#own);
  }

  /** Takes one more; false when there are enough. */
  claim(): boolean {
    if (Atomics.add(this.#cells, 0, 1) >= this.most) {
      Atomics.sub(this.#cells, 0, 1);
      return false;
    }
    Atomics.add(this.#cells, this.#own, 1);
    return true;
  }

  /** Takes one more, however many there are: what has begun must be able to go on. */
  insist(): void {
    Atomics.add(this.#cells, 0, 1);
    Atomics.add(this.#cells, this.#own, 1);
  }

  release(): void {
    Atomics.sub(this.#cells, this.#own, 1);
    Atomics.sub(this.#cells, 0, 1);
  }

  /** Gives back all that this worker had: it has crashed. */
  abandon(): void {
    Atomics.sub(this.#cells, 0, Atomics.exchange(this.#cells, this.#own, 0));
  }
}
