// The one door through which replies leave to a client. Replies of one chunk are gathered in one reused buffer
// and leave in one write; replies that lie side by side in their source are copied as one.

import type { Socket } from 'node:net';
import { C, type Counters } from '../counters.ts';
import { writeCopy } from '../resp3/pieces.ts';

const SIZE = 64 * 1024;
const SPARES = 64;
/** A reply of this size or more is not worth gathering. */
const LARGE = 16 * 1024;

const spares: Buffer[] = [];

export class Outbox {
  #buf: Buffer | null = null;
  #length = 0;
  #run: Buffer | null = null;
  #runStart = 0;
  #runEnd = 0;
  readonly #counters: Counters;
  /** Bytes that the socket had not taken after the last write. */
  backlog = 0;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** Adds `src[start, end)`, which must stay as it is until `flush`. */
  add(socket: Socket, src: Buffer, start: number, end: number): void {
    if (this.#run === src && this.#runEnd === start) {
      this.#runEnd = end;
      return;
    }
    this.#copyRun(socket);
    this.#run = src;
    this.#runStart = start;
    this.#runEnd = end;
  }

  get empty(): boolean {
    return this.#run === null && this.#length === 0;
  }

  /** Writes all that was added. */
  flush(socket: Socket): void {
    this.#copyRun(socket);
    if (this.#buf !== null) this.#write(socket, this.#buf);
  }

  /** Gives up what was added. */
  clear(): void {
    if (this.#buf !== null && spares.length < SPARES) spares.push(this.#buf);
    this.#buf = null;
    this.#length = 0;
    this.#run = null;
  }

  #write(socket: Socket, buf: Buffer): void {
    this.#counters[C.bytesOut] += this.#length;
    const bytes = buf.subarray(0, this.#length);
    // TLS always says later that it took the bytes: without a copy no buffer would ever be spare.
    const copied = (socket as { encrypted?: boolean }).encrypted === true;
    socket.write(copied ? Buffer.from(bytes) : bytes);
    this.#buf = null;
    this.#length = 0;
    this.backlog = socket.writableLength;
    // Nearly always the kernel took it all at once; else the stream still reads from the buffer.
    if ((copied || this.backlog === 0) && spares.length < SPARES) spares.push(buf);
  }

  #copyRun(socket: Socket): void {
    const run = this.#run;
    if (run === null) return;
    this.#run = null;
    const size = this.#runEnd - this.#runStart;
    if (this.#buf !== null && this.#length + size > SIZE) this.#write(socket, this.#buf);
    if (size > LARGE) {
      if (this.#buf !== null) this.#write(socket, this.#buf);
      this.#counters[C.bytesOut] += size;
      writeCopy(socket, run, this.#runStart, this.#runEnd);
      this.backlog = socket.writableLength;
      return;
    }
    this.#buf ??= spares.pop() ?? Buffer.allocUnsafeSlow(SIZE);
    run.copy(this.#buf, this.#length, this.#runStart, this.#runEnd);
    this.#length += size;
  }
}
