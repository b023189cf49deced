// One client that asks for a lot: a large value written, or read, or many requests whose replies it never reads.
// A process of its own, so that it does not slow down those who measure.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { encodeRequest } from '../src/resp3/encode.ts';

export type HeavyWork = 'SET' | 'GET' | 'flood';

/** The key of the large value, and the one that the flood asks for; its value has that many bytes. */
export const LARGE_KEY = 'large';
export const FLOOD_KEY = 'flood';
export const FLOOD_VALUE = 1000;

const MIB = 2 ** 20;
/** Requests that the flood hands to its socket at a time. */
const FLOOD_STEP = 1000;

export interface HeavyClient {
  /**
   * Does the work once: `amount` is the size of the value in MiB, or the number of requests of the flood. Resolves
   * when it is done: a flood as soon as all is sent, or else it goes on.
   */
  work(what: HeavyWork, amount: number): Promise<void>;
  /** How many bytes of its requests the flood has got rid of. */
  sent(): Promise<number>;
  stop(): void;
}

/** Resolves when it is connected. */
export async function startHeavyClient(port: number): Promise<HeavyClient> {
  const child = fork(fileURLToPath(import.meta.url), [String(port)]);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the heavy client ended with code ${code}`);
  });
  // It will end some day, when nobody waits.
  ended.catch(() => {});
  const news = async (word: string): Promise<number> => {
    for (;;) {
      const [[said, value]] = (await Promise.race([once(child, 'message'), ended])) as [[string, number]];
      if (said === word) return value;
    }
  };
  await news('connected');
  return {
    async work(what, amount) {
      child.send([what, amount]);
      await news('done');
    },
    async sent() {
      child.send(['sent', 0]);
      return news('sent');
    },
    stop: () => void child.kill('SIGKILL'),
  };
}

async function set(socket: Socket, amount: number): Promise<void> {
  const block = Buffer.alloc(MIB, 'x');
  const reply = once(socket, 'data');
  socket.write(`*3\r\n$3\r\nSET\r\n$${LARGE_KEY.length}\r\n${LARGE_KEY}\r\n$${amount * MIB}\r\n`);
  for (let i = 0; i < amount; i++) {
    if (!socket.write(block)) await once(socket, 'drain');
  }
  socket.write('\r\n');
  const [text] = await reply;
  if (String(text) !== '+OK\r\n') fail(`SET was answered with ${text}`);
}

function get(socket: Socket, amount: number): Promise<void> {
  const head = `$${amount * MIB}\r\n`;
  let left = head.length + amount * MIB + 2;
  return new Promise((resolve) => {
    socket.on('data', function take(chunk: Buffer) {
      const first = left === head.length + amount * MIB + 2;
      if (first && chunk.toString('latin1', 0, head.length) !== head)
        fail(`GET was answered with ${chunk.toString('latin1', 0, 100)}`);
      left -= chunk.length;
      if (left > 0) return;
      socket.off('data', take);
      resolve();
    });
    socket.write(encodeRequest(['GET', LARGE_KEY]));
  });
}

async function flood(socket: Socket, amount: number): Promise<void> {
  socket.pause();
  const step = Buffer.concat(Array(FLOOD_STEP).fill(encodeRequest(['GET', FLOOD_KEY])));
  for (let i = 0; i < amount; i += FLOOD_STEP) {
    if (!socket.write(step)) await once(socket, 'drain');
  }
}

function fail(why: string): never {
  console.error(`the heavy client: ${why.slice(0, 300)}`);
  process.exit(1);
}

function main(port: number): void {
  const works = { SET: set, GET: get, flood };
  const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => process.send?.(['connected', 0]));
  socket.on('error', (error) => fail(error.message));
  socket.on('close', () => fail('its connection was closed'));
  process.on('message', ([what, amount]: [HeavyWork | 'sent', number]) => {
    if (what === 'sent') process.send?.(['sent', socket.bytesWritten - socket.writableLength]);
    else works[what](socket, amount).then(() => process.send?.(['done', 0]));
  });
  process.on('disconnect', () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(Number(process.argv[2]));
