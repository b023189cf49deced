// Sockets that read into the thread's one fixed buffer. Measured against 'data' events it saves a quarter of
// the user time and an allocation per chunk. For accepted sockets Node has no public way to it, so the handle
// is taken over here, and only here; where there is no such handle, 'data' events do the same job.

import {
  connect,
  isIP,
  type NetConnectOpts,
  type OnReadOpts,
  Socket,
  type SocketConstructorOpts,
} from 'node:net';
import { type ConnectionOptions, type SecureContext, connect as secureConnect } from 'node:tls';
import { READ_AREA, READ_SIZE } from './input.ts';

/** Silence after which TCP asks whether the other side is still there, in milliseconds; 300 s is Redis's own. */
const CLIENT_KEEPALIVE = 300_000;
const SERVER_KEEPALIVE = 15_000;

/** Gets the number of bytes that now lie in READ_AREA. */
export type OnBytes = (size: number) => void;

interface WithHandle {
  _handle: { readStart?: unknown } | null;
}

/**
 * Takes over a socket that a server accepted with `pauseOnConnect`, to read it into READ_AREA. The returned
 * socket replaces the given one, which must not be used any more.
 */
export function adoptSocket(accepted: Socket, onBytes: OnBytes): Socket {
  const handle = (accepted as unknown as WithHandle)._handle;
  if (!handle || typeof handle.readStart !== 'function') return readByEvents(accepted, onBytes);
  (accepted as unknown as WithHandle)._handle = null;
  // Without its handle this closes nothing; it only lets the server forget the connection.
  accepted.destroy();
  const options = { handle, allowHalfOpen: true, onread: intoReadArea(onBytes) };
  const socket = new Socket(options as SocketConstructorOpts);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, CLIENT_KEEPALIVE);
  return socket.resume();
}

/** How TLS is spoken to servers. */
export interface ServerTls {
  /** Replaced when certificates are read again: new connections take the new one. */
  context: SecureContext;
  /** The name to ask for and to expect in the server's certificate; null for the host that is connected to. */
  readonly servername: string | null;
  /** Whether a server is refused whose certificate does not prove who it is. */
  readonly verify: boolean;
}

/** What `tls.connect` needs to reach that host. A server name that is an IP address is not sent, as RFC 6066 says. */
export function tlsTo(host: string, { context, servername, verify }: ServerTls): ConnectionOptions {
  const name = servername ?? (isIP(host) === 0 ? host : undefined);
  return {
    secureContext: context,
    rejectUnauthorized: verify,
    ...(name === undefined ? {} : { servername: name }),
  };
}

/**
 * Connects to a server; what it sends is read into READ_AREA. With TLS the socket is of use from 'secureConnect' on,
 * else from 'connect' on.
 */
export function connectSocket(
  to: { host: string; port: number; tls: ServerTls | null },
  onBytes: OnBytes,
): Socket {
  const { host, port, tls } = to;
  const onread = intoReadArea(onBytes);
  if (tls === null) {
    const options: NetConnectOpts & { onread: OnReadOpts } = {
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: SERVER_KEEPALIVE,
      onread,
    };
    return connect(options);
  }
  const options: ConnectionOptions & { onread: OnReadOpts } = { host, port, onread, ...tlsTo(host, tls) };
  const socket = secureConnect(options);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, SERVER_KEEPALIVE);
  return socket;
}

/**
 * Why a connection broke: the system's code, else what TLS says of it. A server that refuses our certificate may close
 * before its reason is read, which is worth a hint when it happens with TLS before the first reply (`unproven`).
 */
export function reasonOf(error: NodeJS.ErrnoException & { reason?: string }, unproven = false): string {
  const { code, reason, syscall, message } = error;
  if (unproven && code === 'ECONNRESET') return `${code}; perhaps it wants another certificate of heatsink`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return message;
  // The part of OpenSSL's message that is for people.
  if (reason !== undefined) return reason;
  return syscall === undefined ? message : (code ?? message);
}

/** The same through public events alone: one copy more per chunk. */
export function readByEvents(socket: Socket, onBytes: OnBytes): Socket {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, CLIENT_KEEPALIVE);
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length && !socket.destroyed; at += READ_SIZE) {
      const size = Math.min(READ_SIZE, chunk.length - at);
      chunk.copy(READ_AREA, 0, at, at + size);
      onBytes(size);
    }
  });
  // It was accepted paused, and a listener alone does not change that.
  return socket.resume();
}

/** The file descriptor of a connected socket, or -1 where the system has none. */
export function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd?: number } | null })._handle?.fd ?? -1;
}

/** Bytes that were written to the socket and that the system has not taken yet. */
export function unsentBytes(socket: Socket): number {
  const { _handle } = socket as unknown as { _handle: { writeQueueSize?: number } | null };
  return _handle?.writeQueueSize ?? socket.writableLength;
}

function intoReadArea(onBytes: OnBytes): OnReadOpts {
  return {
    buffer: READ_AREA,
    callback(size) {
      onBytes(size);
      return true;
    },
  };
}
