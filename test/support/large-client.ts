// One TCP connection that sends and reads values of any size without holding them, and what such values look like.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';

const PIECE = 64 * 1024;
/** In milliseconds. */
const PATIENCE = 60_000;

/** Bytes that differ from place to place, to be sent over and over as a value. */
const pattern = Buffer.from(Array.from({ length: PIECE - 1 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));

/** A value of that many bytes in pieces. */
export function* piecesOf(size: number): Generator<Buffer> {
  for (let at = 0; at < size; at += pattern.length)
    yield pattern.subarray(0, Math.min(pattern.length, size - at));
}

/** The hash of a value of that size as a bulk string. */
export function hashOfBulk(size: number): string {
  const hash = createHash('sha1').update(`$${size}\r\n`);
  for (const piece of piecesOf(size)) hash.update(piece);
  return hash.update('\r\n').digest('hex');
}

export class LargeClient {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #wake: () => void = () => {};

  /** Connects to that port, or speaks by a socket that is connected already. */
  constructor(to: { port: number } | Socket) {
    this.socket =
      to instanceof Socket ? to : connect({ port: to.port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.socket.setMaxListeners(0);
    this.socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      // Read no faster than the test takes it.
      this.socket.pause();
      this.#wake();
    });
    this.socket.on('error', () => {});
    for (const event of ['end', 'close']) this.socket.on(event, () => this.#wake());
  }

  /** Sends bytes, and waits while the other side does not take them. */
  async send(bytes: Buffer | string): Promise<void> {
    if (!this.socket.write(bytes, 'latin1') && !this.socket.destroyed)
      await Promise.race([once(this.socket, 'drain'), once(this.socket, 'close')]);
  }

  /** Sends a request whose last argument is a value of that size, or the first bytes of it. */
  async sendLarge(words: string[], size: number, onlyFirst = size): Promise<void> {
    const head = words.map((word) => `$${word.length}\r\n${word}\r\n`).join('');
    await this.send(`*${words.length + 1}\r\n${head}$${size}\r\n`);
    for (const piece of piecesOf(onlyFirst)) await this.send(piece);
    if (onlyFirst === size) await this.send('\r\n');
  }

  /** The next bytes, that many; fewer when the other side closes. */
  async bytes(count: number): Promise<Buffer> {
    const taken: Buffer[] = [];
    await this.#take(count, (piece) => taken.push(piece));
    return Buffer.concat(taken);
  }

  /** As text, a line without its end. */
  async line(): Promise<string> {
    let text = '';
    while (!text.endsWith('\r\n')) {
      const next = await this.bytes(1);
      if (next.length === 0) break;
      text += next.toString('latin1');
    }
    return text.trimEnd();
  }

  /** The hash of the next bytes, that many, which are not kept. */
  async hash(count: number): Promise<string> {
    const hash = createHash('sha1');
    await this.#take(count, (piece) => hash.update(piece));
    return hash.digest('hex');
  }

  /** The hash of the reply to a read whose value has that size; the same as `hashOfBulk` of it when it is whole. */
  hashOfReply(size: number): Promise<string> {
    return this.hash(`$${size}\r\n`.length + size + 2);
  }

  close(): void {
    this.socket.destroy();
  }

  async #take(count: number, use: (piece: Buffer) => void): Promise<void> {
    for (let left = count; left > 0; ) {
      const chunk = this.#chunks.shift() ?? (await this.#next());
      if (chunk === null) return;
      if (chunk.length > left) this.#chunks.unshift(chunk.subarray(left));
      use(chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
    }
  }

  async #next(): Promise<Buffer | null> {
    this.socket.resume();
    while (this.#chunks.length === 0) {
      if (this.socket.destroyed || this.socket.readableEnded) return null;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`silent for ${PATIENCE} ms`)), PATIENCE);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#chunks.shift() ?? null;
  }
}
