// The bytes that a connection has received and not yet read as frames. All sockets of a thread read into one
// fixed buffer; what is left of a chunk is kept aside and put in front of the next one, so frames are always
// contiguous and nothing is copied unless a frame was cut in two.

import { viewOf } from './hash.ts';
import { giveBuffer, takeBuffer } from './spare-buffers.ts';

/** Room for one read from a socket, in bytes. */
export const READ_SIZE = 64 * 1024;
/** A kept piece up to this size is put in front of the next chunk; a longer one grows in a buffer of its own. */
const HEADROOM = 64 * 1024;

const shared = Buffer.allocUnsafeSlow(HEADROOM + READ_SIZE);
const sharedView = viewOf(shared);

/** Where every socket of this thread reads to. Its content is gone when the read callback returns. */
export const READ_AREA = shared.subarray(HEADROOM);

const NONE = Buffer.alloc(0);

export class Input {
  buf: Buffer = shared;
  view: DataView = sharedView;
  pos = 0;
  end = 0;

  #kept: Buffer = NONE;
  #length = 0;
  #needed = 0;

  /** Whether what is read lies in a buffer that this connection has for itself. */
  get apart(): boolean {
    return this.buf !== shared;
  }

  /** Bytes kept from earlier chunks. */
  get kept(): number {
    return this.#length;
  }

  /**
   * Takes the `size` bytes that a socket read into READ_AREA: `buf[pos, end)` is then everything unread. False
   * while a frame whose size is known has not come whole, so that it is not looked at once a chunk.
   */
  take(size: number): boolean {
    const length = this.#length;
    if (length === 0) {
      this.#use(shared, sharedView, HEADROOM, HEADROOM + size);
      return true;
    }
    const total = length + size;
    if (total < this.#needed || length > HEADROOM) {
      this.#grow(total);
      shared.copy(this.#kept, length, HEADROOM, HEADROOM + size);
      this.#length = total;
      if (total < this.#needed) return false;
      this.#use(this.#kept, viewOf(this.#kept), 0, total);
    } else {
      this.#kept.copy(shared, HEADROOM - length, 0, length);
      this.#use(shared, sharedView, HEADROOM - length, HEADROOM + size);
    }
    this.#length = 0;
    return true;
  }

  /** Takes up again what `keep` put aside, without new bytes. */
  resume(): boolean {
    if (this.#length === 0) return false;
    this.#use(this.#kept, viewOf(this.#kept), 0, this.#length);
    this.#length = 0;
    return true;
  }

  /** Puts `buf[from, end)` aside; `needed` bytes must be there before it is worth another look. */
  keep(from: number, needed: number): void {
    const length = this.end - from;
    this.#needed = needed;
    if (length === 0) {
      this.release();
      return;
    }
    if (this.buf === this.#kept) {
      if (from > 0) this.#kept.copyWithin(0, from, this.end);
    } else {
      this.#grow(length);
      this.buf.copy(this.#kept, 0, from, this.end);
    }
    this.#length = length;
    this.#use(shared, sharedView, 0, 0);
  }

  /** Gives the kept bytes up. */
  release(): void {
    giveBuffer(this.#kept);
    this.#kept = NONE;
    this.#length = 0;
    this.#needed = 0;
    this.#use(shared, sharedView, 0, 0);
  }

  #use(buf: Buffer, view: DataView, pos: number, end: number): void {
    this.buf = buf;
    this.view = view;
    this.pos = pos;
    this.end = end;
  }

  /**
   * Room for `size` bytes in the kept buffer. It doubles up to the announced size of the frame and no further:
   * an announcement alone, which costs its sender nothing, takes no memory.
   */
  #grow(size: number): void {
    if (this.#kept.length >= size) return;
    const doubled = Math.max(size * 2, 256);
    const room = this.#needed > size ? Math.min(this.#needed, doubled) : doubled;
    const larger = takeBuffer(room);
    this.#kept.copy(larger, 0, 0, this.#length);
    giveBuffer(this.#kept);
    this.#kept = larger;
  }
}
