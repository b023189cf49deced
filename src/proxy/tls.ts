// TLS from clients: who gets through the handshake, and certificates that may change while the port is open.

import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createSecureServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { C, type Counters } from '../counters.ts';
import type { Certificates } from '../resp3/certificates.ts';
import type { Gate } from './clients/gate.ts';

/** How TLS is spoken with clients. */
export interface ClientTls {
  readonly certificates: Certificates;
  /** As redis-server's tls-auth-clients: https://redis.io/docs/latest/operate/oss_and_stack/management/security/encryption/ */
  readonly clientAuth: 'no' | 'optional' | 'yes';
}

/** Gives out connections whose handshake is through. */
export interface TlsServer {
  /** What listens. */
  readonly server: Server;
  /** New connections get these; the others stay as they are. */
  renew(certificates: Certificates): void;
  /** Ends every connection, those amid their handshake too. */
  destroyAll(): void;
}

/** Longest wait for a client's part in the handshake, in milliseconds. */
const HANDSHAKE_TIMEOUT = 10_000;

/**
 * A handshake that fails, or bytes that are no TLS at all, end that connection and are counted, and that is all. Who
 * finds no place at the gate is closed before its handshake, without a word, as Redis does.
 */
export function createTlsServer(
  { certificates, clientAuth }: ClientTls,
  counters: Counters,
  gate: Gate,
  accept: (socket: TLSSocket) => void,
): TlsServer {
  const sockets = new Set<Socket>();
  const options: TlsOptions = {
    ...certificates,
    requestCert: clientAuth !== 'no',
    rejectUnauthorized: clientAuth === 'yes',
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    allowHalfOpen: true,
  };
  const secure = createSecureServer(options, (socket) => {
    if (clientAuth === 'optional' && !socket.authorized && socket.getPeerX509Certificate() !== undefined) {
      counters[C.tlsFailures]++;
      socket.destroy();
    } else {
      accept(socket);
    }
  });
  secure.on('tlsClientError', (_, socket) => {
    counters[C.tlsFailures]++;
    // Node has closed it already, but for a handshake that took too long.
    socket.destroy();
  });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (!gate.enter()) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      gate.leave();
    });
    secure.emit('connection', socket);
  });
  return {
    server,
    renew: (renewed) => secure.setSecureContext(renewed),
    destroyAll() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
