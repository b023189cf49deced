// Whether a server answers at all: one connection, one PING. Any reply will do, an error too: who says BUSY, LOADING
// or NOAUTH is alive.

import { encodeRequest } from '../resp3/encode.ts';
import { connectSocket, reasonOf, type ServerTls } from '../resp3/socket.ts';

/** As heatsink's other ones: MONITOR leaves it out. */
const PING = encodeRequest(['PING', 'heatsink']);

export interface Askable {
  readonly host: string;
  readonly port: number;
  /** Null for plain TCP. */
  readonly tls: ServerTls | null;
  /** Milliseconds for connect and reply together. */
  readonly connectTimeout: number;
}

/** Calls back once, with null or why there is no answer; not at all once the returned function was called. */
export function askAlive(server: Askable, told: (trouble: string | null) => void): () => void {
  const { tls, connectTimeout } = server;
  let trouble = '';
  let done = false;
  const socket = connectSocket(server, () => end(null));
  // An answer may have come while this thread was busy: it is read before the immediate runs.
  const late = () => setImmediate(() => end(`no answer within ${connectTimeout} ms`));
  const timer = setTimeout(late, connectTimeout).unref();
  socket.on(tls === null ? 'connect' : 'secureConnect', () => socket.write(PING));
  socket.on('error', (error) => {
    trouble = reasonOf(error, tls !== null);
  });
  socket.on('close', () => end(trouble || 'connection closed by the server'));

  function end(result: string | null): void {
    if (done) return;
    stop();
    told(result);
  }

  function stop(): void {
    done = true;
    clearTimeout(timer);
    socket.destroy();
  }

  return stop;
}
