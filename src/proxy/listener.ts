// Accepts clients and ends their sessions in order.

import { createServer, type Server, type Socket } from 'node:net';
import { C } from '../counters.ts';
import type { Certificates } from '../resp3/certificates.ts';
import { adoptSocket, type OnBytes, readByEvents } from '../resp3/socket.ts';
import type { Gate } from './clients/gate.ts';
import type { Pipeline } from './pipeline.ts';
import { Session } from './session.ts';
import { type ClientTls, createTlsServer, type TlsServer } from './tls.ts';

/** An address for clients, and how they speak there: null for plain TCP. */
export interface Door {
  readonly at: { readonly host: string; readonly port: number };
  readonly tls: ClientTls | null;
}

export interface Listener {
  /** `host:port` of each door. */
  readonly addresses: readonly string[];
  /** Gives these certificates to clients that connect by TLS from now on. */
  renew(certificates: Certificates): void;
  /**
   * Accepts nobody any more, lets what is in flight be answered for at most that many milliseconds, then closes
   * every connection.
   */
  close(grace: number): Promise<void>;
}

/** How long a client that has all its replies gets to close its end, in milliseconds. */
const LINGER = 500;
/** How often a closing listener looks whether its sessions are idle, in milliseconds. */
const DRAIN_POLL = 10;

export interface Listening {
  /** By their ids; kept true. */
  readonly sessions: Map<number, Session>;
  readonly nextId: () => number;
  readonly gate: Gate;
  /** Whether other threads listen on the same addresses, and the system spreads the clients over all. */
  readonly reusePort: boolean;
}

/** Rejects with the system's error when an address cannot be had. */
export async function listen(
  doors: readonly Door[],
  pipeline: Pipeline,
  { sessions, nextId, gate, reusePort }: Listening,
): Promise<Listener> {
  const servers: Server[] = [];
  const secured: TlsServer[] = [];
  const leaveGate = () => gate.leave();
  // With TLS the place at the gate is that of the connection below.
  const ignore = () => {};

  function acceptPlain(accepted: Socket): void {
    if (!gate.enter()) {
      gate.turnAway(accepted);
    } else if (gate.refuses(accepted)) {
      gate.leave();
    } else {
      accept(accepted, adoptSocket, leaveGate);
    }
  }

  function accept(
    accepted: Socket,
    adopt: (accepted: Socket, onBytes: OnBytes) => Socket,
    leave: () => void,
  ): void {
    const session = new Session(nextId(), accepted, (onBytes) => adopt(accepted, onBytes), pipeline);
    pipeline.counters[C.accepted]++;
    sessions.set(session.id, session);
    endWith(session, leave);
  }

  /** Apart from `accept`, so that what listens does not keep the socket that was replaced. */
  function endWith(session: Session, leave: () => void): void {
    session.socket.on('close', () => {
      pipeline.counters[C.closed]++;
      sessions.delete(session.id);
      session.close();
      leave();
    });
  }

  function serverFor(tls: ClientTls | null): Server {
    if (tls === null) return createServer({ pauseOnConnect: true, allowHalfOpen: true }, acceptPlain);
    const made = createTlsServer(tls, pipeline.counters, gate, (socket) => {
      if (!gate.refuses(socket)) accept(socket, readByEvents, ignore);
    });
    secured.push(made);
    return made.server;
  }

  try {
    for (const { at, tls } of doors) servers.push(await bind(serverFor(tls), { ...at, reusePort }));
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }

  return {
    addresses: servers.map(addressOf),
    renew(certificates) {
      for (const server of secured) server.renew(certificates);
    },
    async close(grace) {
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
      const until = performance.now() + grace;
      for (const session of sessions.values()) session.retire();
      await waitWhile(() => [...sessions.values()].some(({ busy }) => busy), until);
      await waitWhile(() => sessions.size > 0, Math.min(until, performance.now() + LINGER));
      for (const session of sessions.values()) session.socket.destroy();
      for (const server of secured) server.destroyAll();
      await Promise.all(closed);
    },
  };
}

async function waitWhile(so: () => boolean, until: number): Promise<void> {
  while (so() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL));
}

function bind(server: Server, at: Door['at'] & { reusePort: boolean }): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...at, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

function addressOf(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the listener has no address');
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}
