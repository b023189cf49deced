// Accepts clients and ends their sessions in order.

import { createServer, type Server, type Socket } from 'node:net';
import { C } from '../counters.ts';
import { adoptSocket } from '../resp3/socket.ts';
import type { Pipeline } from './pipeline.ts';
import { Session } from './session.ts';

export interface Listener {
  /** `host:port` that it is bound to. */
  readonly address: string;
  /**
   * Accepts nobody any more, lets what is in flight be answered for at most that many milliseconds, then closes
   * every connection.
   */
  close(grace: number): Promise<void>;
}

/** How often a closing listener looks whether its sessions are idle, in milliseconds. */
const DRAIN_POLL = 10;

/** Keeps `sessions` true, by their ids. Rejects with the system's error when the address cannot be had. */
export async function listen(
  at: { host: string; port: number },
  pipeline: Pipeline,
  sessions: Map<number, Session>,
): Promise<Listener> {
  let lastId = 0;

  function accept(accepted: Socket): void {
    const { counters } = pipeline;
    const session = new Session(++lastId, accepted, (onBytes) => adoptSocket(accepted, onBytes), pipeline);
    counters[C.accepted]++;
    sessions.set(session.id, session);
    session.socket.on('close', () => {
      counters[C.closed]++;
      sessions.delete(session.id);
      session.close();
    });
  }

  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, accept);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...at, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });

  return {
    address: addressOf(server),
    async close(grace) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const until = performance.now() + grace;
      for (const session of sessions.values()) session.socket.pause();
      const wait = async (busy: () => boolean) => {
        while (busy() && performance.now() < until)
          await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL));
      };
      await wait(() => [...sessions.values()].some((session) => session.pending > 0 && !session.waits));
      for (const session of sessions.values()) session.socket.destroySoon();
      await wait(() => sessions.size > 0);
      for (const session of sessions.values()) session.socket.destroy();
      await closed;
    },
  };
}

function addressOf(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the listener has no address');
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}
