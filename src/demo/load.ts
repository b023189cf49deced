// The demo's clients, on a thread of their own: each sends a few reads, waits for the replies and sends the next. They
// ask the masters themselves or heatsink, as they are told, and never both at once.

import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { encodeRequest } from '../resp3/encode.ts';
import { createDemand, keyOf, PRODUCTS } from './traffic.ts';

export interface LoadData {
  /** Clients in all, and the reads that each sends at once. */
  readonly clients: number;
  readonly pipeline: number;
  readonly heatsink: number;
  readonly masters: readonly number[];
  /** The place in `masters` of each product's. */
  readonly owners: readonly number[];
  /** Bytes of a reply, which are the same for all products. */
  readonly replyBytes: number;
}

export type LoadOrder = { readonly ask: 'masters' | 'heatsink' | 'nobody'; readonly flashSale: boolean };

/** What became of the last order's reads. */
export interface LoadReport {
  readonly reads: number;
  /** Milliseconds until the replies to what a client had sent at once were there. */
  readonly p50: number;
  readonly p99: number;
}

const NOBODY: LoadOrder = { ask: 'nobody', flashSale: false };
const { clients, pipeline, heatsink, masters, owners, replyBytes } = workerData as LoadData;
const demand = createDemand();
const requests = Array.from({ length: PRODUCTS }, (_, product) => encodeRequest(['GET', keyOf(product)]));
let order = NOBODY;
let latencies: number[] = [];
let reads = 0;

class Client {
  readonly #targets: 'masters' | 'heatsink';
  readonly #sockets: readonly Socket[];
  #due = 0;
  #sentAt = 0;

  constructor(targets: 'masters' | 'heatsink', sockets: readonly Socket[]) {
    this.#targets = targets;
    this.#sockets = sockets;
    for (const socket of sockets) socket.on('data', ({ length }) => this.#got(length));
  }

  /** Sends its next reads, unless it is another one's turn or it waits for replies still. */
  go(): void {
    if (order.ask !== this.#targets || this.#due > 0) return;
    const batches: Buffer[][] = this.#sockets.map(() => []);
    for (let i = 0; i < pipeline; i++) {
      const product = demand.next(order.flashSale);
      batches[batches.length === 1 ? 0 : owners[product]].push(requests[product]);
    }
    this.#due = pipeline * replyBytes;
    this.#sentAt = performance.now();
    batches.forEach((batch, i) => {
      if (batch.length > 0) this.#sockets[i].write(Buffer.concat(batch));
    });
  }

  #got(length: number): void {
    this.#due -= length;
    if (this.#due > 0) return;
    this.#due = 0;
    reads += pipeline;
    latencies.push(performance.now() - this.#sentAt);
    this.go();
  }
}

function report(): LoadReport {
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { reads, p50: at(0.5), p99: at(0.99) };
}

async function open(ports: readonly number[]): Promise<Socket[]> {
  return Promise.all(
    ports.map(
      (port) =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
          socket.on('error', reject);
        }),
    ),
  );
}

const all = await Promise.all(
  Array.from({ length: clients }, async () => [
    new Client('masters', await open(masters)),
    new Client('heatsink', await open([heatsink])),
  ]),
).then((pairs) => pairs.flat());

parentPort?.on('message', (next: LoadOrder) => {
  parentPort?.postMessage(report());
  order = next;
  latencies = [];
  reads = 0;
  for (const client of all) client.go();
});
parentPort?.postMessage(report());
