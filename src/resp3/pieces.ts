// Copies of bytes on their way to a socket, in pieces of one size that are used again once the socket has let go of
// them: however much passes through, no more memory is taken than what waits in sockets.

import type { Socket } from 'node:net';

const SIZE = 64 * 1024;
const SPARES = 64;

class Piece {
  readonly buf = Buffer.allocUnsafeSlow(SIZE);
  readonly free = (): void => {
    if (spares.length < SPARES) spares.push(this);
  };
}

const spares: Piece[] = [];

/** Writes `src[start, end)`, which may change right after. */
export function writeCopy(socket: Socket, src: Buffer, start: number, end: number): void {
  const several = end - start > SIZE;
  if (several) socket.cork();
  for (let at = start; at < end; at += SIZE) {
    const piece = spares.pop() ?? new Piece();
    const to = Math.min(end, at + SIZE);
    src.copy(piece.buf, 0, at, to);
    socket.write(piece.buf.subarray(0, to - at), piece.free);
  }
  if (several) socket.uncork();
}
