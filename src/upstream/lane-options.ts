// What a lane is told when it is made: to whom it connects and how, and who hears of what becomes of it.

import type { Counters } from '../counters.ts';
import type { ServerTls } from '../resp3/socket.ts';
import type { Circuit } from './circuit.ts';
import type { RetryBudget } from './retry-budget.ts';
import type { SlowWatch } from './slow-watch.ts';

/** Why a server that is alive refuses to begin with anybody. */
const SERVER_STATE = /^(BUSY|LOADING|MASTERDOWN) /;
/** Why it begins with somebody else, but not with this user. */
const REFUSAL = /^(NOAUTH|WRONGPASS|NOPERM) /;

/**
 * How far a try to connect has come: not to the server, to its port, to an error reply by which it refuses this
 * connection, or to the end of the time for it.
 */
export type Progress = 'none' | 'reached' | 'refused' | 'late';

/** What a node has had to do with requests, and what it was spared. Both only grow. */
export interface NodeLoad {
  /** Replies that came from it. */
  requests: number;
  /** Requests for its keys that were answered without one of their own upstream: kept, or shared. */
  spared: number;
}

export interface LaneOptions {
  readonly host: string;
  readonly port: number;
  /** Null for plain TCP. */
  readonly tls: ServerTls | null;
  /** Milliseconds for connect and handshake together. */
  readonly connectTimeout: number;
  /** Of its node: while it is open, no connection is tried. */
  readonly circuit: Circuit;
  /** Of its node. */
  readonly load: NodeLoad;
  /** Of its node: what may be sent again. */
  readonly retries: RetryBudget;
  /** Requests that open the connection; an error reply to one of them closes it. */
  readonly handshake: readonly Buffer[];
  /** A request that follows it, whose reply does not matter: not every user may name a connection. */
  readonly introduction: Buffer | null;
  readonly slow: SlowWatch;
  readonly counters: Counters;
  /** After all replies of one chunk were given out: time to write to clients. */
  readonly chunkDone: () => void;
  /**
   * Gets each RESP3 push, and every other frame while the lane is `mixed`, valid during the call. False: it is a
   * reply all the same. Without it pushes are dropped.
   */
  readonly unasked?: (buf: Buffer, start: number, end: number) => boolean;
  /** The handshake is through; `replies` are its raw replies. */
  readonly opened?: (replies: readonly Buffer[]) => void;
  readonly lost?: (reason: string) => void;
  /** Whether reads may be sent again on a new connection. Not so on a tracked one, whose connection matters. */
  readonly repeatReads: boolean;
  /** Whether it is a client's own user to the server, so that its client must hear why that is refused. */
  readonly forClients?: boolean;
  /** Whether it lives for one connection only, whose state nothing may outlive: what it leaves behind fails. */
  readonly once?: boolean;
  /** Whether it leads to a server as a replica. */
  readonly replica?: boolean;
}

/** Whether the error by which a server refused a connection is for clients, as it is: in words that they know. */
export function isForClients(reason: string, { forClients }: LaneOptions): boolean {
  return SERVER_STATE.test(reason) || (forClients === true && REFUSAL.test(reason));
}
