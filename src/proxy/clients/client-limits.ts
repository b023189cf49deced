// What one client may take of memory and time, and the round that looks after those who say nothing: one timer for
// all clients.

import { clock } from '../../clock.ts';
import { C, type Counters } from '../../counters.ts';
import { unsentBytes } from '../../resp3/socket.ts';
import type { Session } from '../session.ts';

/** Read whenever they are needed, so that they may change at any time. */
export interface ClientLimits {
  /** Milliseconds of silence; 0: any. */
  idleTimeout: number;
  /** Milliseconds in which a request that has begun must get on; 0: any. */
  requestTimeout: number;
  /** Bytes that wait to be served. */
  queryBuffer: number;
  /** Bytes of replies that wait for the client; infinite: any. */
  outputBuffer: number;
}

/** Milliseconds between two rounds. */
const ROUND = 250;
/** Bytes of a request that must come within `requestTimeout`, unless it is whole by then: no honest line is slower. */
const PROGRESS = 1024;
/** No reason to close. */
const FINE = -1;

/** Closes clients that are too slow; returns what ends it. */
export function watchClients(
  sessions: ReadonlyMap<number, Session>,
  limits: ClientLimits,
  counters: Counters,
): () => void {
  const timer = setInterval(() => {
    if (limits.idleTimeout === 0 && limits.requestTimeout === 0) return;
    const now = clock.tick();
    for (const session of sessions.values()) {
      const reason = overdue(session, limits, now);
      if (reason === FINE) continue;
      counters[reason]++;
      session.kill();
    }
  }, ROUND).unref();
  return () => clearInterval(timer);
}

/** The slot of the counter that says why it must be closed. */
function overdue(session: Session, limits: ClientLimits, now: number): number {
  if (session.socket.destroyed) return FINE;
  if (limits.requestTimeout > 0 && isStuck(session, limits.requestTimeout, now)) return C.closedStuck;
  return limits.idleTimeout > 0 && isIdle(session, limits.idleTimeout, now) ? C.closedIdle : FINE;
}

/** Whether its request has not got on for too long, however many bytes it still trickles. */
function isStuck(session: Session, timeout: number, now: number): boolean {
  if (session.begunAt === 0 || now - session.begunAt <= timeout) return false;
  // While it is held nothing is taken of what it sends.
  if (!session.held && session.arrived - session.begunBytes < PROGRESS) return true;
  session.begunAt = now;
  session.begunBytes = session.arrived;
  return false;
}

/** As Redis's `timeout`: who waits for something by a command is not idle, nor is who is still taking its replies. */
function isIdle(session: Session, timeout: number, now: number): boolean {
  if (now - session.lastAt <= timeout || session.pending > 0 || session.waits) return false;
  const { pins, socket } = session;
  if ((pins?.subscriptions?.count ?? 0) > 0 || pins?.monitoring) return false;
  const unsent = socket.writableLength > 0 ? unsentBytes(socket) : 0;
  // What is held though all its replies are out waits for a server, not for its client.
  if (session.held && unsent === 0) return false;
  if (unsent === session.unsent) return true;
  session.unsent = unsent;
  session.lastAt = now;
  return false;
}
