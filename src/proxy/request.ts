// One client request between its arrival and its reply: a place in its session's queue and, mostly, a call to
// an upstream node. Requests are reused, so that serving one allocates nothing.

import { Flight } from '../cache/flights.ts';
import type { HeldLease } from '../cache/leases.ts';
import type { FanOutMode } from '../cache/rules.ts';
import { ASKS_OTHER, type Asks } from '../cache/witness.ts';
import type { Load } from '../fanout/key-copies.ts';
import type { CallClient, CallOwner, Carrier } from '../upstream/call.ts';
import type { NodeLoad } from '../upstream/lane-options.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { releaseBytes } from '../upstream/outgoing.ts';
import type { Proof } from '../upstream/tracking.ts';
import type { Warmth } from './reads/negatives.ts';
import type { Trace } from './tracing/trace.ts';

/** What was true when a fill was sent. */
export interface Fill {
  readonly heat: Warmth;
  readonly proof: Proof;
  /** Null when time alone ends what is kept. */
  readonly node: UpstreamNode | null;
  readonly load: NodeLoad;
  readonly version: number;
  readonly epoch: number;
  readonly generation: number;
  /** `clock.ms`. */
  readonly sentAt: number;
  /** Milliseconds that the entry may live at the most, besides the key's own time to live. */
  readonly ttl: number;
  /** The key's PTTL; NaN until it is known: https://redis.io/docs/latest/commands/pttl/ */
  pttl: number;
  /** Whether what is kept is read again ahead of its end. */
  readonly refreshes: boolean;
}

/** The client that asks, as far as its requests need to know it; see session.ts. */
export interface Asker extends CallClient {
  readonly id: number;
  /** Its requests that travel apart from the others, and those that write. */
  shared: number;
  writing: number;
  /** The oldest of its requests without a reply. */
  readonly waiting: Request | null;
  /** How many of its requests wait for whoever rebuilds their keys, and the leases that it was given; see lease-waits.ts. */
  leaseWaits: number;
  leases: readonly HeldLease[];
  /** Whether it has not taken much of what it was sent already. */
  readonly slow: boolean;
  /** Its upstream connections of its own, if it has any. */
  readonly pins: object | null;
  /** Where its commands for that node go. */
  laneTo(node: UpstreamNode): Carrier;
  /** Sends the request, which has its bytes, to that node beside the others once it is `waiting`. */
  sendAside(request: Request, node: UpstreamNode): void;
  /** The reply to the request is `buf[start, end)`. The request must not be used any more. */
  complete(request: Request, buf: Buffer, start: number, end: number): void;
  /** The next bytes of the reply to the request that is `waiting`; `complete` gets the last ones, or none. */
  part(buf: Buffer, start: number, end: number): void;
  /** What it waits with may go on once this chunk is done. */
  touch(): void;
  /** Ends the connection at once. */
  kill(): void;
}

export const NO_WRITE = 0;
/** Writes the key of `keyHash`. */
export const WRITES_KEY = 1;
/** Writes the keys of `keyHashes`. */
export const WRITES_KEYS = 2;
/** May write any key. */
export const WRITES_ALL = 3;
/**
 * Writes keys of `keyHashes` at some time until its reply, for which it may wait long. Others may see what it did
 * before that reply is here, so nothing of these keys is kept or served meanwhile; any key, when there are none.
 */
export const WRITES_LATE = 4;

export class Request extends Flight {
  /** Null for a flight that boards for others, and once its client has gone. */
  session: Asker | null = null;
  /** The request that the client sent after this one. */
  next: Request | null = null;
  ready = false;
  /** The reply, where it could not be passed on at once because earlier ones are still open. */
  reply: Buffer | null = null;
  /** Whether it travels apart from its client's other commands: their writes must wait for it. */
  shared = false;
  /** Where it is sent when it is its client's oldest one: see asides.ts. */
  aside: UpstreamNode | null = null;
  writes = NO_WRITE;
  /** Told of its reply; null when it is not traced, as most are not. */
  trace: Trace | null = null;
  keyHash = 0;
  keyHashes: number[] | null = null;
  /** Where the key is in the request's bytes. */
  keyStart = 0;
  keyEnd = 0;
  /** What a read asks for. */
  asks: Asks = ASKS_OTHER;
  /** Whether its reply may go into the tier if it is sent while its key is hot. */
  mayFill = false;
  fill: Fill | null = null;
  /** Whether it is noted when the reply says that the key is missing. */
  negative = false;
  /** Whether its key may have copies, and the load that it is part of when its key has some. */
  fanOut: FanOutMode = 'off';
  load: Load | null = null;
  /** Whether it may have to wait for whoever rebuilds its key, and since which state of the key: see lease-waits.ts. */
  lease = false;
  stamp = 0;
  /** Until when it does, on `clock.ms`; 0 while it has not. */
  waitUntil = 0;

  /** Not behind a write of its own client that may have been executed: the read would see what came after it. */
  override get mayRepeat(): boolean {
    return this.repeatable && (this.session === null || this.session.writing === 0);
  }

  /** Any of those who share it. */
  override get client(): CallClient {
    return this.session ?? (this.joined as Request | null)?.session ?? GONE;
  }
}

/** A client that has left since. */
const GONE: CallClient = { address: '', name: '' };

const pool: Request[] = [];
const POOL_MAX = 65536;

export function takeRequest(owner: CallOwner): Request {
  const request = pool.pop();
  if (request === undefined) return new Request(owner);
  request.owner = owner;
  return request;
}

/** From now on the request travels apart from its client's others. */
export function share(session: Asker, request: Request): void {
  request.shared = true;
  session.shared++;
}

/** The request is part of that load from now on, and of no other. */
export function carry(request: Request, load: Load): void {
  if (request.load !== null) request.load.outstanding--;
  request.load = load;
  load.outstanding++;
}

/** Gives a request back that nobody holds any more: no session's queue, no lane, no flight. */
export function recycle(request: Request): void {
  releaseBytes(request);
  request.lane = null;
  request.repeatable = false;
  request.repeats = 0;
  request.waits = 0;
  request.asking = false;
  request.strayed = false;
  request.more = 0;
  request.stream = false;
  request.joined = null;
  request.lastJoined = null;
  request.nextJoined = null;
  request.boarding = null;
  request.session = null;
  request.next = null;
  request.ready = false;
  request.reply = null;
  request.shared = false;
  request.aside = null;
  request.writes = NO_WRITE;
  request.keyHashes = null;
  request.asks = ASKS_OTHER;
  request.mayFill = false;
  request.fill = null;
  request.negative = false;
  request.fanOut = 'off';
  if (request.load !== null) {
    request.load.outstanding--;
    request.load = null;
  }
  request.lease = false;
  request.waitUntil = 0;
  request.trace = null;
  if (pool.length < POOL_MAX) pool.push(request);
}
