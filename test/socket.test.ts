// Sockets that read into the thread's fixed buffer, both ways: over the handle, and by events where there is none.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { READ_AREA, READ_SIZE } from '../src/resp3/input.ts';
import { adoptSocket, type OnBytes, readByEvents } from '../src/resp3/socket.ts';

let server: Server;
afterEach(() => new Promise((resolve) => server.close(resolve)));

for (const [name, adopt] of [
  ['over the handle that it took over', adoptSocket],
  ['by events', readByEvents],
  ['by events, when the socket has no handle to take over', withoutHandle],
] as const) {
  it(`reads what a client sends, ${name}, and lets the server close`, async () => {
    let events = 0;
    server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
      const socket: Socket = adopt(accepted, (size) => {
        expect(size).toBeLessThanOrEqual(READ_SIZE);
        socket.write(Buffer.from(READ_AREA.subarray(0, size)));
      });
      socket.on('data', () => events++);
      socket.on('end', () => socket.end());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const sent = Buffer.alloc(300_000, 'some bytes of a client ');
    const client = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1' });
    client.end(sent);
    const received: Buffer[] = [];
    for await (const chunk of client) received.push(chunk);
    expect(Buffer.concat(received).equals(sent)).toBe(true);
    // The fast way must not have fallen back silently: it emits no 'data'.
    expect(events > 0).toBe(adopt !== adoptSocket);
  });
}

function withoutHandle(accepted: Socket, onBytes: OnBytes): Socket {
  const handle = (accepted as unknown as { _handle: { readStart?: unknown } })._handle;
  const readStart = handle.readStart;
  // Hidden while it is looked for, as on a socket of another kind.
  Object.defineProperty(handle, 'readStart', { value: undefined, configurable: true, writable: true });
  const adopted = adoptSocketThen(accepted, onBytes, () => {
    handle.readStart = readStart;
  });
  return adopted;
}

function adoptSocketThen(accepted: Socket, onBytes: OnBytes, then: () => void): Socket {
  const resume = accepted.resume.bind(accepted);
  accepted.resume = () => {
    then();
    return resume();
  };
  return adoptSocket(accepted, onBytes);
}
