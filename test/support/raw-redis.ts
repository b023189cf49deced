// Requests as heatsink sees them and replies as a server sends them, byte for byte, for tests of the protocol.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { valueEnd } from '../../src/commands/elements.ts';
import { type Argument, encodeRequest } from '../../src/resp3/encode.ts';
import { COMPLETE, RequestFrame } from '../../src/resp3/request-frame.ts';

/** The frame of one request; it lies behind other bytes, as requests lie in the input of a connection. */
export function frameOf(...args: Argument[]): RequestFrame {
  return frameOfBytes(encodeRequest(args));
}

export function frameOfBytes(bytes: Buffer): RequestFrame {
  const frame = new RequestFrame();
  const earlier = Buffer.from('*1\r\n$4\r\nPING\r\n');
  const input = Buffer.concat([earlier, bytes]);
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  const status = frame.read(input, view, earlier.length, input.length);
  if (status !== COMPLETE) throw new Error(`not a request: ${bytes.toString('latin1')}`);
  return frame;
}

/** One connection that asks one request after another and gives the exact bytes of each reply. */
export class RawConnection {
  closed = false;
  #socket: Socket;
  #input = Buffer.alloc(0);

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (chunk) => {
      this.#input = Buffer.concat([this.#input, chunk]);
      this.#socket.emit('progress');
    });
    this.#socket.on('close', () => {
      this.closed = true;
      this.#socket.emit('progress');
    });
  }

  /** The reply, or nothing when the server closes the connection instead. */
  async ask(args: Argument[] | Buffer): Promise<Buffer> {
    this.#socket.write(Array.isArray(args) ? encodeRequest(args) : args);
    for (;;) {
      const end = this.#input.length > 0 ? valueEnd(this.#input, 0) : -1;
      if (end > 0) {
        const reply = this.#input.subarray(0, end);
        this.#input = this.#input.subarray(end);
        return reply;
      }
      if (this.closed) return Buffer.alloc(0);
      await once(this.#socket, 'progress');
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}
