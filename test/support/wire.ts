// One TCP connection to a Redis port as a client's bare hands: any bytes out in any pieces, the exact bytes of
// the replies in. It pipelines, closes one side, can stop reading, and never waits for ever.

import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { valueEnd } from '../../src/commands/elements.ts';
import { type Argument, encodeRequest } from '../../src/resp3/encode.ts';

/** In milliseconds, unless told otherwise. */
const PATIENCE = 5000;

export class Wire {
  /** Whether the other side has closed the connection. */
  closed = false;
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #input = Buffer.alloc(0);
  #wake: () => void = () => {};
  readonly #patience: number;

  /** `patience`: the longest silence of the other side, in milliseconds. */
  constructor(port: number, patience = PATIENCE, host = '127.0.0.1') {
    this.#patience = patience;
    this.socket = connect({ port, host, noDelay: true, allowHalfOpen: true });
    this.socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#wake();
    });
    // 'close' follows.
    this.socket.on('error', () => {});
    for (const event of ['end', 'close']) {
      this.socket.on(event, () => {
        this.closed = true;
        this.#wake();
      });
    }
  }

  /** Connects and switches to that protocol. */
  static async open(port: number, protocol: 2 | 3, patience?: number): Promise<Wire> {
    const wire = new Wire(port, patience);
    await wire.ask('HELLO', protocol);
    return wire;
  }

  /** Sends bytes as they are; a text's characters are bytes. */
  send(bytes: Buffer | string): void {
    this.socket.write(bytes, 'latin1');
  }

  /** Sends commands, pipelined in one write. */
  sendAll(commands: readonly (readonly Argument[])[]): void {
    this.send(Buffer.concat(commands.map(encodeRequest)));
  }

  /** Sends bytes cut at these places (modulo their length), each piece in an event-loop turn of its own. */
  async sendCut(bytes: Buffer, cuts: readonly number[]): Promise<void> {
    const bounds = [0, ...cuts.map((cut) => cut % bytes.length), bytes.length].sort((a, b) => a - b);
    for (let i = 1; i < bounds.length; i++) {
      this.socket.write(bytes.subarray(bounds[i - 1], bounds[i]));
      await turn();
    }
  }

  /** The exact bytes of the reply to one command. */
  async ask(...args: Argument[]): Promise<Buffer> {
    this.sendAll([args]);
    return (await this.replies(1))[0];
  }

  /** The same as text, without the last line end. */
  async say(...args: Argument[]): Promise<string> {
    return (await this.ask(...args)).toString('latin1').slice(0, -2);
  }

  /** The next replies, that many. Throws when the connection closes before that, or falls silent. */
  async replies(count: number): Promise<Buffer[]> {
    const replies: Buffer[] = [];
    for (;;) {
      this.#gather();
      let at = 0;
      while (replies.length < count) {
        const end = at < this.#input.length ? valueEnd(this.#input, at) : -1;
        if (end < 0) break;
        replies.push(this.#input.subarray(at, end));
        at = end;
      }
      this.#input = this.#input.subarray(at);
      if (replies.length === count) return replies;
      await this.#more(`${replies.length} of ${count} replies came`);
    }
  }

  /** The next bytes, that many, whatever they are. */
  async bytes(count: number): Promise<Buffer> {
    for (;;) {
      this.#gather();
      if (this.#input.length >= count) break;
      await this.#more(`${this.#input.length} of ${count} bytes came`);
    }
    const bytes = this.#input.subarray(0, count);
    this.#input = this.#input.subarray(count);
    return bytes;
  }

  /** Everything until the other side closes. */
  async rest(): Promise<Buffer> {
    for (;;) {
      this.#gather();
      if (this.closed) return this.#input;
      await this.#more('the connection is open');
    }
  }

  /** Says that nothing more will be sent. */
  end(): void {
    this.socket.end();
  }

  close(): void {
    this.socket.destroy();
  }

  #gather(): void {
    if (this.#chunks.length === 0) return;
    this.#input = Buffer.concat([this.#input, ...this.#chunks]);
    this.#chunks = [];
  }

  async #more(state: string): Promise<void> {
    if (this.#chunks.length > 0) return;
    const left = () => `${state}, then ${JSON.stringify(this.#input.toString('latin1', 0, 200))}`;
    if (this.closed) throw new Error(`closed: ${left()}`);
    await new Promise<void>((resolve, reject) => {
      const silent = () => reject(new Error(`silent for ${this.#patience} ms: ${left()}`));
      const timer = setTimeout(silent, this.#patience);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
