// Clients that connect, ask once, and then hold their connection and do nothing, in a process of their own.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { encodeRequest } from '../src/resp3/encode.ts';

/** That connect at a time. */
const AT_ONCE = 100;
const PING = encodeRequest(['PING']);

export interface Idlers {
  /** Closes their connections. */
  stop(): Promise<void>;
}

/** Resolves when all are connected and have been answered. Throws when one is not. */
export async function gatherIdlers(port: number, count: number): Promise<Idlers> {
  const child = fork(fileURLToPath(import.meta.url), [String(port), String(count)]);
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`the idle clients ended with code ${code}`);
  });
  // It will end some day, when nobody waits.
  exited.catch(() => {});
  await Promise.race([once(child, 'message'), exited]);
  return {
    async stop() {
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
}

function join(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(PING));
    socket.once('data', (reply) => {
      if (reply.toString() === '+PONG\r\n') resolve(socket);
      else reject(new Error(reply.toString()));
    });
    socket.on('error', reject);
    socket.on('close', () => fail(new Error('the connection of an idle client was closed')));
  });
}

function fail(error: Error): never {
  console.error(error.message);
  process.exit(1);
}

async function main(port: number, count: number): Promise<void> {
  process.on('disconnect', () => process.exit(0));
  for (let left = count; left > 0; left -= AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, () => join(port)));
  }
  process.send?.('gathered');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(Number(process.argv[2]), Number(process.argv[3])).catch(fail);
}
