// Waiting for what other processes do: a condition, a free port, a server that answers.
// Everything here polls on loopback, so the steps are a few milliseconds.

import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `check` until it gives something truthy and returns that. A throw counts as "not yet".
 * After `timeoutMs` milliseconds it throws, with the last error as the cause.
 */
export async function waitFor<T>(
  check: () => T | Promise<T>,
  timeoutMs = 5000,
  stepMs = 10,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value) return value as NonNullable<T>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      const name = check.toString().replace(/\s+/g, ' ').slice(0, 120);
      throw new Error(`not true after ${timeoutMs} ms: ${name}`, { cause });
    }
    await sleep(stepMs);
  }
}

const handedOut = new Set<number>();

/**
 * A loopback port that is free now and whose cluster bus port, 10,000 higher, is free too. Both lie below
 * Linux's ephemeral range (32768), where no outgoing connection can take them before the server starts.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_500 + Math.floor(Math.random() * 11_500);
    if (handedOut.has(port)) continue;
    if ((await isFree(port)) && (await isFree(port + 10_000))) {
      handedOut.add(port);
      return port;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Whether a Redis server or proxy on that loopback port answers an unauthenticated PING, with any reply. */
export function answersPing(port: number, timeoutMs = 500): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('*1\r\n$4\r\nPING\r\n'));
    const done = (answered: boolean) => {
      resolve(answered);
      socket.destroy();
    };
    socket.once('data', () => done(true));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
    socket.setTimeout(timeoutMs, () => done(false));
  });
}
