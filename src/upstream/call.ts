// A request on its way to an upstream node: what a lane must know of it, and no more.

import { clock } from '../clock.ts';
import type { Chunk } from './chunk.ts';

/** The lane that carries a call, as far as a call and its owner need to know it. */
export interface Carrier {
  readonly options: {
    readonly host: string;
    readonly port: number;
    readonly once?: boolean;
    readonly replica?: boolean;
  };
  /** How often bytes were handed to the socket. */
  readonly writes: number;
  /** Whether the server has said that it closes this connection. */
  ending: boolean;
  /** Copies bytes that are only noted. */
  seal(): void;
  send(call: Call, buf: Buffer, start: number, end: number): void;
  /** Sends a call that has its bytes already. */
  resend(call: Call): void;
}

/** Who asked, as far as others may be told of it. */
export interface CallClient {
  /** `host:port`. */
  readonly address: string;
  /** Empty when it gave none. */
  readonly name: string;
}

/** Who gets the answer of a call. */
export interface CallOwner {
  /** The reply is `buf[start, end)`, valid only during this call. */
  replied(call: Call, buf: Buffer, start: number, end: number): void;
  /**
   * No reply will come. If `sent`, the server may have executed the command all the same. The reason is
   * `host:port (why)`, or the error reply, with its `-`, by which the server refused the connection.
   */
  failed(call: Call, reason: string, sent: boolean): void;
  /**
   * The reply is large, at least `size` bytes, and has not come whole. Who takes it piece by piece; LATER to be asked again once the
   * lane, which reads no more until then, is resumed; null, as without this, for the reply in one piece.
   */
  large?(call: Call, lane: Carrier, size: number): LargeReply | typeof LATER | null;
}

export const LATER = 'later';

/** Takes a reply that is too large to be held: `begin`, then its parts, then `ended` or `broken`. */
export interface LargeReply {
  /** The call has left its lane, and may be sent on another one. */
  begin(): void;
  /** The next bytes are `buf[start, end)`, valid until the lane's `chunkDone`. */
  part(buf: Buffer, start: number, end: number): void;
  ended(): void;
  /** The connection broke before the end. */
  broken(): void;
}

/** The bytes of a call stay in its chunk until the call ends, so that it can be sent again elsewhere. */
export class Call {
  owner: CallOwner;
  nextInLane: Call | null = null;
  lane: Carrier | null = null;
  chunk: Chunk | null = null;
  offset = 0;
  length = 0;
  /** The lane's number of writes when the bytes were appended: they are on the socket once it is higher. */
  writeNumber = 0;
  /** Whether it may be sent a second time after its connection broke: true for reads alone. */
  repeatable = false;
  /** How often it was sent again, after a broken connection or a redirection. */
  repeats = 0;
  /** How often it waited for a slot that is half moved. */
  waits = 0;
  /** Whether it goes to a node that does not own its slot yet, which needs ASKING each time. */
  asking = false;
  /** Whether it was sent on because a node knew no owner of its slot: the next one is believed. */
  strayed = false;
  /** Frames of its reply that come before the last one: a subscription is confirmed channel by channel. */
  more = 0;
  /** Whether it turns the connection into a stream of bytes, all of which are its reply: SYNC. */
  stream = false;
  /** `clock.us` when it was handed to the lane; until then, when it was made. */
  begunAt = clock.us;

  constructor(owner: CallOwner) {
    this.owner = owner;
  }

  /** Whether it may be sent again now that its connection broke. */
  get mayRepeat(): boolean {
    return this.repeatable;
  }

  /** The client that asks; null when heatsink itself does. */
  get client(): CallClient | null {
    return null;
  }

  /** Whether its bytes have left for the socket. */
  get sent(): boolean {
    return this.lane !== null && this.lane.writes > this.writeNumber;
  }
}
