// Memory for bytes on their way out, kept until the calls that lie in it are answered.

import { viewOf } from '../resp3/hash.ts';

/** A piece of outgoing memory; `users` counts the calls whose bytes lie in it. */
export class Chunk {
  readonly buf: Buffer;
  users = 0;
  #view: DataView | null = null;

  constructor(size: number) {
    this.buf = Buffer.allocUnsafeSlow(size);
  }

  /** `buf` again, made once: for who reads calls in it often. */
  get view(): DataView {
    this.#view ??= viewOf(this.buf);
    return this.#view;
  }
}
