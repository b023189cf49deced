// A client that keeps so many tasks under way on one connection, and notes when each was begun and answered.

import { connect, type Socket } from 'node:net';
import { valueEnd } from '../../src/commands/elements.ts';
import { encodeRequest } from '../../src/resp3/encode.ts';

/** Requests that are sent together, and what is made of one of their replies. */
export interface Task {
  /** The requests' bytes, each character one. */
  readonly text: string;
  readonly replies: number;
  /** Which reply tells the outcome, from 0. */
  readonly wanted: number;
  /** When it was sent, and by whom; set by the client. */
  invoked: number;
  client: string;
  /** The wanted reply is `buf[start, end)`, and no error. */
  took(buf: Buffer, start: number, end: number, responded: number): void;
  /** The outcome will never be known: an error, or the connection broke. */
  lost(): void;
}

export interface PipelinedClientOptions {
  readonly port: number;
  readonly protocol: 2 | 3;
  /** Tasks under way at once. */
  readonly depth: number;
  /** The next task; null when there is no more to do. */
  readonly next: () => Task | null;
  /** Milliseconds between a reply and the next task. */
  readonly pause?: number;
  /** Any error reply. */
  readonly error: (text: string, task: Task) => void;
}

/** After an error, in milliseconds, so that a node that is down is not asked a hundred thousand times a second. */
const AFTER_ERROR = 10;
const ERROR = 0x2d;

let clients = 0;

export class PipelinedClient {
  /** When all its tasks have ended and it is closed. */
  readonly ended: Promise<void>;
  readonly #options: PipelinedClientOptions;
  readonly #socket: Socket;
  readonly #name: string;
  /** Tasks under way, the oldest at `#head`. */
  #tasks: Task[] = [];
  #head = 0;
  /** Replies that the oldest has had. */
  #replied = 0;
  #input: Buffer | null = null;
  #failed = false;
  #resting = false;
  #done = false;

  constructor(options: PipelinedClientOptions) {
    const { port, protocol } = options;
    this.#options = options;
    this.#name = `client ${++clients} RESP${protocol}`;
    const hello: Task = {
      text: encodeRequest(['HELLO', protocol]).toString('latin1'),
      replies: 1,
      wanted: 0,
      invoked: 0,
      client: '',
      took() {},
      lost() {},
    };
    this.#tasks.push(hello);
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.write(hello.text, 'latin1');
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.#socket.on('close', () => {
        for (const task of this.#tasks.slice(this.#head)) {
          if (!this.#done) options.error('the connection was closed', task);
          task.lost();
        }
        resolve();
      });
    });
  }

  /** Gives up: what is under way is lost. */
  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    // Before the replies are looked at: they have come by now.
    const now = performance.now();
    const input = this.#input === null ? chunk : Buffer.concat([this.#input, chunk]);
    let at = 0;
    while (at < input.length) {
      const end = valueEnd(input, at);
      if (end < 0) break;
      this.#reply(input, at, end, now);
      at = end;
    }
    this.#input = at < input.length ? input.subarray(at) : null;
    this.#goOn();
  }

  #reply(input: Buffer, start: number, end: number, now: number): void {
    const task = this.#tasks[this.#head];
    const failed = input[start] === ERROR;
    if (failed) {
      this.#failed = true;
      this.#options.error(input.toString('latin1', start + 1, end - 2), task);
    }
    if (this.#replied === task.wanted) {
      if (failed) task.lost();
      else task.took(input, start, end, now);
    }
    if (++this.#replied < task.replies) return;
    this.#replied = 0;
    this.#head++;
    if (this.#head > 256) {
      this.#tasks = this.#tasks.slice(this.#head);
      this.#head = 0;
    }
  }

  #goOn(): void {
    if (this.#resting) return;
    const pause = this.#failed ? AFTER_ERROR : (this.#options.pause ?? 0);
    this.#failed = false;
    if (pause === 0) {
      this.#send();
      return;
    }
    this.#resting = true;
    setTimeout(() => {
      this.#resting = false;
      this.#send();
    }, pause);
  }

  #send(): void {
    let text = '';
    const now = performance.now();
    while (!this.#done && this.#tasks.length - this.#head < this.#options.depth) {
      const task = this.#options.next();
      if (task === null) {
        this.#done = true;
        break;
      }
      task.invoked = now;
      task.client = this.#name;
      this.#tasks.push(task);
      text += task.text;
    }
    if (text !== '') this.#socket.write(text, 'latin1');
    if (this.#done && this.#tasks.length === this.#head) this.#socket.destroy();
  }
}
