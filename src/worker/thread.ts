// Where a worker thread begins: it serves until it is told to close. Its log goes through the main thread, so that
// lines of several threads never mix.

import { parentPort, workerData } from 'node:worker_threads';
import { pino } from 'pino';
import { connectPeers } from '../proxy/peers.ts';
import { setHashSeed } from '../resp3/hash.ts';
import { startWorker, type Worker, type WorkerOptions } from './worker.ts';

export interface ThreadData
  extends Pick<WorkerOptions, 'config' | 'upstream' | 'memory' | 'worker' | 'doors' | 'version' | 'about'> {
  /** Options that were changed since heatsink started. */
  readonly changes: Parameters<Worker['configure']>[0];
  /** What was done about keys since then. */
  readonly marks: readonly Parameters<Worker['act']>[0][];
}

/** What a thread tells the main one. */
export type ThreadNews =
  | { readonly log: string }
  /** It could let clients come. */
  | { readonly prepared: true }
  | { readonly ready: { readonly addresses: readonly string[] } }
  /** It cannot start. */
  | { readonly failed: { readonly message: string; readonly code?: string; readonly port?: number } };

/** What it is told. */
export type ThreadOrder = 'listen' | 'close' | 'renew certificates';

const port = parentPort;
if (port === null) throw new Error('this is no worker thread');
const data = workerData as ThreadData;
const tell = (news: ThreadNews) => port.postMessage(news);
const log = pino({ level: data.config.log.level }, { write: (line) => tell({ log: line }) });
// Before anything is hashed.
setHashSeed(data.memory.hashSeed);
const peers = connectPeers(data.memory.peers, data.worker);
const closers: (() => Promise<void> | void)[] = [];
let running: Worker | null = null;
/** Whether certificates were renewed while it started. */
let outdated = false;
const listening = Promise.withResolvers<void>();

async function close(): Promise<void> {
  for (const closer of closers.splice(0).reverse()) await closer();
  peers.close();
  process.exit(0);
}

port.on('message', (order: ThreadOrder) => {
  if (order === 'close') void close();
  else if (order === 'listen') listening.resolve();
  else if (running === null) outdated = true;
  else running.renewCertificates();
});

startWorker({
  ...data,
  log,
  peers,
  onClose: (closer) => closers.push(closer),
  mayListen() {
    tell({ prepared: true });
    return listening.promise;
  },
  serving(source) {
    peers.on('snapshot', () => source.snapshot());
    peers.on('hot keys', (top: number) => source.hotKeys(top));
    peers.join();
  },
}).then(
  (worker) => {
    running = worker;
    worker.configure(data.changes);
    for (const action of data.marks) worker.act(action);
    if (outdated) worker.renewCertificates();
    tell({ ready: { addresses: worker.addresses } });
  },
  ({ message, code, port }: NodeJS.ErrnoException & { port?: number }) => {
    tell({ failed: { message, ...(code && { code }), ...(port && { port }) } });
  },
);
