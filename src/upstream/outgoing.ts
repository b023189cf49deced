// The bytes on their way to one upstream connection: appended to chunks, written once per event-loop turn, and
// kept until they are answered. Adjacent requests of one client are copied as one run.

import type { Socket } from 'node:net';
import type { Call } from './call.ts';
import { Chunk } from './chunk.ts';

const CHUNK_SIZE = 64 * 1024;
const SPARE_CHUNKS = 16;

const spares: Chunk[] = [];

/** Gives a call a copy of `buf[start, end)`, for a lane to send later. */
export function holdBytes(call: Call, buf: Buffer, start: number, end: number): void {
  const chunk = new Chunk(end - start);
  buf.copy(chunk.buf, 0, start, end);
  chunk.users = 1;
  call.chunk = chunk;
  call.offset = 0;
  call.length = end - start;
}

/** Lets go of a call's bytes. */
export function releaseBytes(call: Call): void {
  const chunk = call.chunk;
  if (chunk === null) return;
  call.chunk = null;
  chunk.users--;
  if (chunk.users === 0 && chunk.buf.length === CHUNK_SIZE && spares.length < SPARE_CHUNKS)
    spares.push(chunk);
}

export class Outgoing {
  #chunk: Chunk | null = null;
  /** End of the bytes that are spoken for, and of those that were handed to the socket, in `#chunk`. */
  #reserved = 0;
  #written = 0;

  #run: Buffer | null = null;
  #runStart = 0;
  #runEnd = 0;
  #runAt = 0;

  /** Puts `buf[start, end)` behind what is there already. The bytes may be read until `seal`, not at once. */
  append(call: Call, buf: Buffer, start: number, end: number, socket: Socket): void {
    const length = end - start;
    if (this.#chunk === null || this.#reserved + length > this.#chunk.buf.length)
      this.#nextChunk(length, socket);
    const chunk = this.#chunk as Chunk;
    if (this.#run === buf && this.#runEnd === start) {
      this.#runEnd = end;
    } else {
      this.seal();
      this.#run = buf;
      this.#runStart = start;
      this.#runEnd = end;
      this.#runAt = this.#reserved;
    }
    call.chunk = chunk;
    call.offset = this.#reserved;
    call.length = length;
    chunk.users++;
    this.#reserved += length;
  }

  /** Whether that many bytes more would make it write what it has, to begin a new chunk. */
  wouldTurn(length: number): boolean {
    return this.#chunk !== null && this.#reserved + length > this.#chunk.buf.length;
  }

  /** Copies the bytes of the last run; must be called before their buffer is used for anything else. */
  seal(): void {
    if (this.#run === null) return;
    this.#run.copy((this.#chunk as Chunk).buf, this.#runAt, this.#runStart, this.#runEnd);
    this.#run = null;
  }

  /** Hands all that is sealed to the socket in one write. */
  write(socket: Socket): void {
    this.seal();
    const chunk = this.#chunk;
    if (chunk === null || this.#written === this.#reserved) return;
    socket.write(chunk.buf.subarray(this.#written, this.#reserved));
    this.#written = this.#reserved;
    // The full rest of a chunk is of no use to anybody: leave it to its calls.
    if (chunk.buf.length - this.#reserved < 512) this.#leave(chunk);
  }

  /** Forgets what was not written. Calls keep their bytes. */
  clear(): void {
    this.seal();
    if (this.#chunk !== null) this.#leave(this.#chunk);
  }

  #nextChunk(length: number, socket: Socket): void {
    this.seal();
    const full = this.#chunk;
    if (full !== null) {
      this.write(socket);
      if (this.#chunk !== null) this.#leave(full);
    }
    const chunk = (length <= CHUNK_SIZE && spares.pop()) || new Chunk(Math.max(CHUNK_SIZE, length));
    // The current chunk counts as its own user, so that it is not reused under its writer.
    chunk.users = 1;
    this.#chunk = chunk;
    this.#reserved = 0;
    this.#written = 0;
  }

  #leave(chunk: Chunk): void {
    this.#chunk = null;
    this.#reserved = 0;
    this.#written = 0;
    chunk.users--;
    if (chunk.users === 0 && chunk.buf.length === CHUNK_SIZE && spares.length < SPARE_CHUNKS)
      spares.push(chunk);
  }
}
