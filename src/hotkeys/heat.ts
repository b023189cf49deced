// The exact sliding-window count of one key: a ring of sub-windows, the newest of which is still filling.

import { viewOf } from '../resp3/hash.ts';

export class Heat {
  readonly key: Buffer;
  /** The key again, to compare four bytes at a time. */
  readonly view: DataView;
  readonly keyHash: number;
  /** Reads in the sub-window that is filling. Who serves the key may add here directly. */
  now = 0;
  hot = false;
  /** Epoch milliseconds since when it is hot, 0 while it is not. */
  hotSince = 0;
  /** Reads served from the local tier since it was last found hot. */
  hits = 0;
  /** On `clock.ms`: until then it is not worth a fill, as a reply was too large for the tier. */
  unfitUntil = 0;

  readonly #ring: Uint32Array;
  #sum = 0;

  constructor(key: Buffer, keyHash: number, steps: number) {
    this.key = key;
    this.view = viewOf(key);
    this.keyHash = keyHash;
    this.#ring = new Uint32Array(steps - 1);
  }

  /** Reads in the window: the full sub-windows and the filling one. */
  get count(): number {
    return this.#sum + this.now;
  }

  /** Closes the filling sub-window as number `step`; the one it replaces leaves the window. */
  advance(step: number): void {
    const ring = this.#ring;
    if (ring.length === 0) {
      this.now = 0;
      return;
    }
    const at = step % ring.length;
    this.#sum += this.now - ring[at];
    ring[at] = this.now;
    this.now = 0;
  }
}
