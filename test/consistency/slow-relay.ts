// A relay in front of a server that holds back what some connections carry, so that what usually happens at once
// happens milliseconds apart.

import { connect, createServer, type Socket } from 'node:net';

/** Milliseconds on the way to the server, and on the way back. */
export interface Delay {
  readonly there: number;
  readonly back: number;
}

export interface Relay {
  readonly url: string;
  close(): Promise<void>;
}

/** `delayOf` tells it from all that the client has said so far on the connection. */
export async function startSlowRelay(port: number, delayOf: (said: string) => Delay): Promise<Relay> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
    let said = '';
    let delay = delayOf(said);
    const there = slowly((chunk) => upstream.write(chunk));
    const back = slowly((chunk) => client.write(chunk));
    client.on('data', (chunk) => {
      if (said.length < 1000) {
        said += chunk.toString('latin1');
        delay = delayOf(said);
      }
      there(chunk, delay.there);
    });
    upstream.on('data', (chunk) => back(chunk, delay.back));
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as { port: number };
  return {
    url: `redis://127.0.0.1:${address.port}`,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Passes chunks on in their order, each that many milliseconds late. */
function slowly(pass: (chunk: Buffer) => void): (chunk: Buffer, ms: number) => void {
  const waiting: { chunk: Buffer; due: number }[] = [];
  const wait = () => setTimeout(go, Math.max(0, Math.ceil(waiting[0].due - performance.now())));
  const go = () => {
    const now = performance.now();
    while (waiting.length > 0 && waiting[0].due <= now) pass((waiting.shift() as { chunk: Buffer }).chunk);
    if (waiting.length > 0) wait();
  };
  return (chunk, ms) => {
    if (ms === 0 && waiting.length === 0) {
      pass(chunk);
      return;
    }
    waiting.push({ chunk, due: performance.now() + ms });
    if (waiting.length === 1) wait();
  };
}
