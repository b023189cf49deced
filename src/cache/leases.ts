// Who may rebuild a missing key: leases as memcache has them at Facebook, for all workers. One reader at a time has
// the lease of a key; others wait for what it writes. It ends when the key is found there again, when its holder has
// gone, or when the holder has been silent for too long.
// Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.
//
//   lock     number of the worker that looks at the bucket, from 1 up; 0 for none
//   record   hash of the key | database, from 1 up | who has the lease | since when that is so, in ms and in us

import { clock } from '../clock.ts';

const BUCKETS = 1 << 10;
const MASK = BUCKETS - 1;
const WAYS = 8;
const KEY = 0;
const DB = 1;
const HOLDER = 2;
const SINCE = 3;
const SINCE_US = 4;
const CELLS = 5;
const STRIDE = 1 + WAYS * CELLS;
/** A bucket is free again within nanoseconds, unless the system has put the thread to sleep that has it. */
const SPINS = 1000;
/** Of a holder: its worker, from 1 up, above a number that the worker gives. */
const NUMBER_BITS = 22;
/** In place of a holder: the last one has gone; or the key was found, so that there is no lease any more. */
const GONE = 0;
const FOUND = -1;
/** No read takes so long that its reply may be older than what was known so many milliseconds ago. */
const OLD = 60_000;

/** Somebody else has the lease, or what was read is older than its end, or nobody can tell just now. */
export const TAKEN = 0;
/** There is no place for one more lease: the caller goes without. */
export const NO_PLACE = -1;

/** A lease, by who has it. */
export interface HeldLease {
  readonly keyHash: number;
  readonly db: number;
  /** A name for the holder, which no other one has. */
  readonly holder: number;
}

/** Who had a lease last: somebody who has it still, or who has gone; or nobody. */
export type LastHolder = 'present' | 'gone' | 'nobody';

export function leaseMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(BUCKETS * STRIDE * 4);
}

export class Leases {
  readonly #cells: Int32Array;
  readonly #lock: number;
  readonly #worker: number;
  #last = 0;

  /** For worker number `worker`, from 0 up. */
  constructor(shared: SharedArrayBuffer, worker: number) {
    this.#cells = new Int32Array(shared);
    this.#lock = worker + 1;
    this.#worker = (worker + 1) << NUMBER_BITS;
  }

  /**
   * Takes the lease of a key that was found missing by a read sent at `sentAt` (`clock.us`): one that nobody has, or
   * whose holder has had it for `hold` milliseconds. Returns a name for the holder, above 0; else TAKEN or NO_PLACE.
   */
  acquire(keyHash: number, db: number, hold: number, sentAt: number): number {
    const cells = this.#cells;
    const bucket = (keyHash & MASK) * STRIDE;
    // Whoever asks again will find out.
    if (!this.#enter(bucket)) return TAKEN;
    const now = clock.tick() | 0;
    const known = this.#find(bucket, keyHash, db);
    const at = known >= 0 ? known : this.#place(bucket, now, hold);
    let holder = NO_PLACE;
    if (known >= 0 && (!this.#over(known, now, hold) || this.#outdated(known, now, sentAt))) {
      holder = TAKEN;
    } else if (at >= 0) {
      this.#last = (this.#last + 1) & (2 ** NUMBER_BITS - 1);
      holder = this.#worker | this.#last;
      cells[at + KEY] = keyHash;
      cells[at + DB] = db + 1;
      this.#set(at, holder);
    }
    Atomics.store(cells, bucket, 0);
    return holder;
  }

  /** Whether its holder has it still. */
  has({ keyHash, db, holder }: HeldLease): boolean {
    const at = this.#find((keyHash & MASK) * STRIDE, keyHash, db);
    return at >= 0 && Atomics.load(this.#cells, at + HOLDER) === holder;
  }

  /** Whether a read that finds the key missing and is sent now would get it; by `clock.ms`. */
  free(keyHash: number, db: number, hold: number): boolean {
    const at = this.#find((keyHash & MASK) * STRIDE, keyHash, db);
    return at < 0 || this.#over(at, clock.ms | 0, hold);
  }

  lastHolder(keyHash: number, db: number): LastHolder {
    const at = this.#find((keyHash & MASK) * STRIDE, keyHash, db);
    const holder = at < 0 ? FOUND : Atomics.load(this.#cells, at + HOLDER);
    if (holder === FOUND) return 'nobody';
    return holder === GONE ? 'gone' : 'present';
  }

  /** Its holder has gone, and rebuilds nothing: whoever finds the key missing from now on may. */
  release({ keyHash, db, holder }: HeldLease): void {
    this.#end(keyHash, db, (at) => this.#cells[at + HOLDER] === holder, GONE);
  }

  /** A read that was sent at `sentAt` (`clock.us`) has found the key: a lease from before that is over. */
  found(keyHash: number, db: number, sentAt: number): void {
    const at = this.#find((keyHash & MASK) * STRIDE, keyHash, db);
    if (at < 0 || Atomics.load(this.#cells, at + HOLDER) === FOUND) return;
    this.#end(keyHash, db, (now) => !this.#outdated(now, clock.ms | 0, sentAt), FOUND);
  }

  /** For how many milliseconds somebody has had the lease of that key, in any database; null when nobody has. */
  age(keyHash: number): number | null {
    const cells = this.#cells;
    const bucket = (keyHash & MASK) * STRIDE;
    for (let at = bucket + 1; at < bucket + STRIDE; at += CELLS) {
      if (cells[at + KEY] === keyHash && cells[at + DB] !== 0 && cells[at + HOLDER] > 0)
        return (clock.tick() - cells[at + SINCE]) | 0;
    }
    return null;
  }

  /** That worker crashed, and with it all its clients. */
  workerLost(worker: number): void {
    const cells = this.#cells;
    for (let bucket = 0; bucket < cells.length; bucket += STRIDE) {
      Atomics.compareExchange(cells, bucket, worker + 1, 0);
      for (let at = bucket + 1; at < bucket + STRIDE; at += CELLS) {
        const holder = Atomics.load(cells, at + HOLDER);
        if (holder >> NUMBER_BITS === worker + 1) Atomics.compareExchange(cells, at + HOLDER, holder, GONE);
      }
    }
  }

  #enter(bucket: number): boolean {
    for (let i = 0; i < SPINS; i++)
      if (Atomics.compareExchange(this.#cells, bucket, 0, this.#lock) === 0) return true;
    return false;
  }

  #find(bucket: number, keyHash: number, db: number): number {
    const cells = this.#cells;
    for (let at = bucket + 1; at < bucket + STRIDE; at += CELLS)
      if (cells[at + KEY] === keyHash && Atomics.load(cells, at + DB) === db + 1) return at;
    return -1;
  }

  /** Puts that in place of the holder, if the record is there and `may` says so. */
  #end(keyHash: number, db: number, may: (at: number) => boolean, instead: number): void {
    const bucket = (keyHash & MASK) * STRIDE;
    if (!this.#enter(bucket)) return;
    clock.tick();
    const at = this.#find(bucket, keyHash, db);
    if (at >= 0 && may(at)) this.#set(at, instead);
    Atomics.store(this.#cells, bucket, 0);
  }

  #set(at: number, holder: number): void {
    this.#cells[at + SINCE] = clock.ms | 0;
    this.#cells[at + SINCE_US] = clock.us;
    Atomics.store(this.#cells, at + HOLDER, holder);
  }

  /** A place that is empty, or whose lease is over for all anybody knows. */
  #place(bucket: number, now: number, hold: number): number {
    let over = -1;
    for (let at = bucket + 1; at < bucket + STRIDE; at += CELLS) {
      if (this.#cells[at + DB] === 0) return at;
      if (this.#over(at, now, hold)) over = at;
    }
    return over;
  }

  #over(at: number, now: number, hold: number): boolean {
    return Atomics.load(this.#cells, at + HOLDER) <= 0 || ((now - this.#cells[at + SINCE]) | 0) >= hold;
  }

  /** Whether a read that was sent at that time (`clock.us`, of which only short differences mean something) is older. */
  #outdated(at: number, now: number, sentAt: number): boolean {
    if (((now - this.#cells[at + SINCE]) | 0) >= OLD) return false;
    const micros = (sentAt - this.#cells[at + SINCE_US]) & 0x7fffffff;
    return micros === 0 || micros >= 2 ** 30;
  }
}
