// One TCP connection to a Redis port as a client's bare hands: any bytes out in any pieces, the exact bytes of
// the replies in. Unlike RawConnection it pipelines, closes one side, stops reading and gives up after a time.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { valueEnd } from '../../src/commands/elements.ts';
import { type Argument, encodeRequest } from '../../src/resp3/encode.ts';

const PATIENCE_MS = 10_000;

export class Wire {
  /** Whether the other side has closed the connection. */
  closed = false;
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #input = Buffer.alloc(0);

  constructor(port: number, protocol: 2 | 3 = 2) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    this.socket.on('data', (chunk) => this.#chunks.push(chunk));
    this.socket.on('error', () => {});
    for (const event of ['end', 'close'] as const) {
      this.socket.on(event, () => {
        this.closed = true;
      });
    }
    this.#greeting = protocol === 2 ? null : protocol;
  }

  #greeting: 3 | null;

  /** Sends bytes as they are. */
  send(bytes: Buffer | string): void {
    this.socket.write(this.#greeted(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes));
  }

  /** Sends commands, pipelined in one write. */
  sendAll(commands: readonly Argument[][]): void {
    this.send(Buffer.concat(commands.map(encodeRequest)));
  }

  /** Sends bytes cut at these places, each piece in an event-loop turn of its own. */
  async sendCut(bytes: Buffer, cuts: readonly number[]): Promise<void> {
    const bounds = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
    for (let i = 1; i < bounds.length; i++) {
      if (bounds[i] > bounds[i - 1]) this.send(bytes.subarray(bounds[i - 1], bounds[i]));
      await turn();
    }
  }

  /** The exact bytes of the reply to one command. */
  async ask(...args: Argument[]): Promise<Buffer> {
    this.send(encodeRequest(args));
    return (await this.replies(1))[0];
  }

  /** The next replies, that many. Throws when the connection closes before, or nothing comes for 10 s. */
  async replies(count: number): Promise<Buffer[]> {
    const replies: Buffer[] = [];
    while (replies.length < count) {
      this.#gather();
      let at = 0;
      while (replies.length < count && at < this.#input.length) {
        const end = valueEnd(this.#input, at);
        if (end < 0) break;
        replies.push(this.#input.subarray(at, end));
        at = end;
      }
      this.#input = this.#input.subarray(at);
      if (replies.length === count) break;
      const last = this.#input.toString('latin1', 0, 200);
      if (this.closed) throw new Error(`closed after ${replies.length} of ${count} replies, then ${last}`);
      await this.#progress(`${replies.length} of ${count} replies came, then ${last}`);
    }
    return replies;
  }

  /** Everything until the other side closes. */
  async rest(): Promise<Buffer> {
    while (!this.closed) await this.#progress('the connection stays open');
    this.#gather();
    return this.#input;
  }

  /** Says that nothing more will be sent. */
  end(): void {
    this.socket.end();
  }

  close(): void {
    this.socket.destroy();
  }

  /** HELLO goes ahead of the first bytes; its reply names the connection, so nobody compares it. */
  #greeted(bytes: Buffer): Buffer {
    if (this.#greeting === null) return bytes;
    throw new Error('unreachable');
  }

  #gather(): void {
    if (this.#chunks.length === 0) return;
    this.#input = Buffer.concat([this.#input, ...this.#chunks]);
    this.#chunks = [];
  }

  async #progress(state: string): Promise<void> {
    if (this.#chunks.length > 0 || this.closed) return;
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const events = ['data', 'end', 'close'].map((event) => once(this.socket, event, { signal }));
    await Promise.race(events).catch((error) => {
      throw new Error(`nothing for ${PATIENCE_MS} ms: ${state}`, { cause: error });
    });
  }
}
