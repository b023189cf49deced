// Many clients that each send one request after the other at a fixed pace, whatever becomes of the replies: who waits
// shows how long, and does not spare the others its load. Raw connections, so that the load itself costs little.

import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReplyFrame } from '../src/resp3/reply-frame.ts';
import { COMPLETE } from '../src/resp3/request-frame.ts';
import { percentile } from './statistics.ts';

export interface PacedGroup {
  readonly name: string;
  readonly port: number;
  readonly clients: number;
  /** Milliseconds between two requests of one client. */
  readonly period: number;
  /** What that client asks over and over, and the reply that is due. */
  ask(client: number): { request: Buffer; due: Buffer };
}

/** What a group met with the requests that it sent in some time. */
export class Sample {
  /** Of those that were answered, in milliseconds. */
  readonly latencies: number[] = [];
  /** Error replies and lost requests, by their words. */
  readonly errors = new Map<string, number>();
  /** The longest that a request waited for an error, in milliseconds. */
  slowestError = 0;
  /** Replies that were neither due nor an error. */
  wrong = 0;
  sent = 0;

  get failed(): number {
    return [...this.errors.values()].reduce((sum, count) => sum + count, 0);
  }
  get unanswered(): number {
    return this.sent - this.latencies.length - this.failed - this.wrong;
  }

  fail(words: string, waited = 0): void {
    this.errors.set(words, (this.errors.get(words) ?? 0) + 1);
    this.slowestError = Math.max(this.slowestError, waited);
  }

  /** Latency in milliseconds that this share of the answered requests did not exceed. */
  latency(share: number): number {
    return percentile(
      this.latencies.sort((a, b) => a - b),
      share,
    );
  }
}

/** By name of the group. */
export type Samples = ReadonlyMap<string, Sample>;

export interface Paced {
  /** What is sent from now on counts there, whenever its reply comes. */
  open(): Samples;
  /** Sends nothing more, and waits until all has been answered, for that many milliseconds at the most. */
  finish(timeout: number): Promise<void>;
  stop(): void;
}

/** Of the timer that sends what is due, in milliseconds. */
const TICK = 1;
const RECONNECT = 50;
const MINUS = 0x2d;

/** Resolves when all clients are connected and at work. */
export async function startPaced(groups: readonly PacedGroup[]): Promise<Paced> {
  const clients: Client[][] = [];
  for (const group of groups) {
    const joined = Array.from({ length: group.clients }, (_, i) => new Client(group, group.ask(i)));
    await Promise.all(joined.map((client) => client.connected));
    clients.push(joined);
  }
  const all = clients.flat();
  const open = () => new Map(groups.map(({ name }) => [name, new Sample()]));
  let samples: Samples = open();
  const started = performance.now();
  const sent = groups.map(() => 0);
  const timer = setInterval(() => {
    const elapsed = performance.now() - started;
    for (const [i, { name, period }] of groups.entries()) {
      const due = Math.floor((elapsed / period) * clients[i].length);
      const sample = samples.get(name) as Sample;
      for (; sent[i] < due; sent[i]++) clients[i][sent[i] % clients[i].length].send(sample);
    }
  }, TICK);
  return {
    open: () => {
      samples = open();
      return samples;
    },
    async finish(timeout) {
      clearInterval(timer);
      const end = performance.now() + timeout;
      while (performance.now() < end && all.some((client) => client.isWaiting)) await sleep(10);
    },
    stop() {
      clearInterval(timer);
      for (const client of all) client.close();
    },
  };
}

class Client {
  readonly connected: Promise<void>;
  #port: number;
  #request: Buffer;
  #due: Buffer;
  #socket!: Socket;
  #up = false;
  #closed = false;
  #frame = new ReplyFrame();
  #rest: Buffer = Buffer.alloc(0);
  #waiting: { at: number; sample: Sample }[] = [];

  constructor({ port }: PacedGroup, { request, due }: ReturnType<PacedGroup['ask']>) {
    this.#port = port;
    this.#request = request;
    this.#due = due;
    this.connected = new Promise((resolve) => this.#connect(resolve));
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  send(sample: Sample): void {
    sample.sent++;
    if (!this.#up) {
      sample.fail('not connected');
      return;
    }
    this.#waiting.push({ at: performance.now(), sample });
    this.#socket.write(this.#request);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #connect(connected = () => {}): void {
    this.#socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true }, () => {
      this.#up = true;
      connected();
    });
    this.#socket.on('error', () => {});
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('close', () => {
      this.#up = false;
      this.#rest = Buffer.alloc(0);
      this.#frame = new ReplyFrame();
      for (const { at, sample } of this.#waiting.splice(0)) sample.fail('closed', performance.now() - at);
      if (!this.#closed) setTimeout(() => this.#closed || this.#connect(connected), RECONNECT);
    });
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    let pos = 0;
    while (pos < bytes.length && this.#frame.read(bytes, pos, bytes.length) === COMPLETE) {
      this.#settle(bytes.subarray(pos, this.#frame.end));
      pos = this.#frame.end;
    }
    this.#rest = bytes.subarray(pos);
  }

  #settle(reply: Buffer): void {
    const asked = this.#waiting.shift();
    if (asked === undefined) throw new Error(`a reply to nothing: ${reply.toString('latin1', 0, 100)}`);
    const waited = performance.now() - asked.at;
    if (reply.equals(this.#due)) asked.sample.latencies.push(waited);
    else if (reply[0] === MINUS) asked.sample.fail(reply.toString('latin1', 1, reply.length - 2), waited);
    else asked.sample.wrong++;
  }
}
