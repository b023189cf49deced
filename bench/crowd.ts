// 500 clients that need connections of their own: transactions, blocking pops, subscriptions, each at a fixed rate
// while they work. A process of its own, so that it is measured neither as server nor as load generator.

import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { encodeRequest } from '../src/resp3/encode.ts';

/** Clients of each kind. */
const TRANSACTIONS = 200;
const POPS = 200;
const SUBSCRIBERS = 100;
/** Milliseconds between two transactions of one client, two values for one blocked client, two messages. */
const TRANSACTION_EVERY = 100;
const PUSH_EVERY = 1000;
const PUBLISH_EVERY = 100;
/** Channels that the subscribers share evenly; each gets its own messages. */
const CHANNELS = 10;
const MESSAGE = 'x'.repeat(100);
/** Of the timers, and until all has come to work or to rest, in milliseconds. */
const TICK = 5;
const SETTLE = 300;
const MINUS = 0x2d;

/** What the crowd does while it works, for the report. */
export const CROWD_WORK =
  `${TRANSACTIONS} run MULTI, INCR, INCR, EXEC in one pipeline every ${TRANSACTION_EVERY} ms, ${POPS} wait in ` +
  `BLPOP for a value that comes every ${PUSH_EVERY} ms, ${SUBSCRIBERS} are subscribed to one of ${CHANNELS} channels, ` +
  `each with a message every ${PUBLISH_EVERY} ms: ` +
  `${(TRANSACTIONS * 1000) / TRANSACTION_EVERY} transactions, ${(POPS * 1000) / PUSH_EVERY} pops and ` +
  `${(SUBSCRIBERS * 1000) / PUBLISH_EVERY} messages a second`;

type Member = { readonly socket: Socket; readonly id: number };

async function main(port: number): Promise<void> {
  let bytes = 0;
  const join = (id: number) =>
    new Promise<Member>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve({ socket, id }));
      socket.on('error', reject);
      socket.on('close', () => process.exit(1));
      socket.on('data', (chunk) => {
        // Every error reply begins a line, and none belongs here.
        if (chunk.includes('\r\n-') || chunk[0] === MINUS) fail(chunk);
        bytes += chunk.length;
      });
    });
  const members = (count: number) => Promise.all(Array.from({ length: count }, (_, id) => join(id)));
  const [buyers, poppers, subscribers, [helper]] = [
    await members(TRANSACTIONS),
    await members(POPS),
    await members(SUBSCRIBERS),
    await members(1),
  ];
  let timers: NodeJS.Timeout[] = [];
  /** How much the crowd has received since it said so last. */
  const tell = () => {
    process.send?.(bytes);
    bytes = 0;
  };

  process.on('message', (word) => {
    if (word === 'work') timers = work(buyers, poppers, subscribers, helper);
    else timers = rest(timers, poppers, subscribers, helper);
    // What was begun or ended must have arrived before anything is measured.
    setTimeout(tell, SETTLE);
  });
  process.on('disconnect', () => process.exit(0));
  tell();
}

/** Everything of a kind is spread evenly over its period, not sent in one go. */
function spread(period: number, count: number, act: (index: number) => void): NodeJS.Timeout {
  const started = performance.now();
  let done = 0;
  return setInterval(() => {
    const due = Math.floor(((performance.now() - started) / period) * count);
    for (; done < due; done++) act(done % count);
  }, TICK);
}

function work(buyers: Member[], poppers: Member[], subscribers: Member[], helper: Member): NodeJS.Timeout[] {
  for (const { socket, id } of poppers) socket.write(encodeRequest(['BLPOP', `queue:${id}`, 0]));
  for (const { socket, id } of subscribers)
    socket.write(encodeRequest(['SUBSCRIBE', `channel:${id % CHANNELS}`]));
  const transactions = buyers.map(({ id }) => transactionOf(id));
  return [
    spread(TRANSACTION_EVERY, TRANSACTIONS, (i) => buyers[i].socket.write(transactions[i])),
    spread(PUSH_EVERY, POPS, (i) => {
      helper.socket.write(encodeRequest(['LPUSH', `queue:${i}`, 'x']));
      // Queued behind the one that is answered by that push.
      poppers[i].socket.write(encodeRequest(['BLPOP', `queue:${i}`, 0]));
    }),
    spread(PUBLISH_EVERY, CHANNELS, (i) =>
      helper.socket.write(encodeRequest(['PUBLISH', `channel:${i}`, MESSAGE])),
    ),
  ];
}

/** All stay connected, and do and wait for nothing any more. */
function rest(timers: NodeJS.Timeout[], poppers: Member[], subscribers: Member[], helper: Member): [] {
  for (const timer of timers) clearInterval(timer);
  if (timers.length === 0) return [];
  for (const { id } of poppers) helper.socket.write(encodeRequest(['LPUSH', `queue:${id}`, 'x']));
  for (const { socket } of subscribers) socket.write(encodeRequest(['UNSUBSCRIBE']));
  return [];
}

function transactionOf(id: number): Buffer {
  // One slot, so that it can be run on a cluster too.
  const commands = [['MULTI'], ['INCR', `{${id}}sold`], ['INCR', `{${id}}earned`], ['EXEC']];
  return Buffer.concat(commands.map((command) => encodeRequest(command)));
}

function fail(chunk: Buffer): never {
  console.error(`the crowd got ${chunk.toString('latin1', 0, 300)}`);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(Number(process.argv[2]));
