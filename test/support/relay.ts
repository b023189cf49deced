// A relay in front of a server, that can do to connections what networks and dying servers do.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Relay {
  readonly port: number;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** While it is true, connections are accepted and nothing passes, in either direction. */
  mute: boolean;
  /**
   * How many of the next chunks of requests reach the server without an answer: the client's connection is cut as
   * soon as the server has been sent the bytes.
   */
  cuts: number;
  /** Cuts all connections. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts a relay to that port on loopback. */
export async function startRelay(to: number): Promise<Relay> {
  const clients = new Set<Socket>();
  const held: (() => void)[] = [];
  let mute = false;
  let accepted = 0;
  const server = createServer((client) => {
    accepted++;
    clients.add(client);
    const upstream = connect({ port: to, host: '127.0.0.1' });
    const pass = (action: () => void) => void (mute ? held.push(action) : action());
    client.on('data', (chunk) =>
      pass(() => {
        if (relay.cuts <= 0) {
          upstream.write(chunk);
          return;
        }
        relay.cuts--;
        // The server executes what it was sent, whether or not somebody still listens.
        upstream.end(chunk);
        client.destroy();
      }),
    );
    upstream.on('data', (chunk) => pass(() => void client.write(chunk)));
    client.on('close', () => {
      clients.delete(client);
      if (!upstream.writableEnded) upstream.destroy();
    });
    upstream.on('close', () => pass(() => client.destroy()));
    client.on('error', () => {});
    upstream.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay: Relay = {
    port: (server.address() as AddressInfo).port,
    cuts: 0,
    get accepted() {
      return accepted;
    },
    get mute() {
      return mute;
    },
    set mute(on) {
      mute = on;
      if (!on) for (const action of held.splice(0)) action();
    },
    cut() {
      for (const client of clients) client.destroy();
    },
    async close() {
      relay.cut();
      server.close();
      await once(server, 'close');
    },
  };
  return relay;
}
