// A pinned connection: a lane that belongs to one client for a while, for state that the server keeps per
// connection (a transaction, subscriptions, a blocking command, tracking). It is used again by others when it is
// clean, and never connected again: what it stood for is gone with it.

import { encodeRequest } from '../resp3/encode.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import { Call } from './call.ts';
import { Lane } from './lane.ts';
import type { LaneOptions } from './lane-options.ts';
import { releaseBytes } from './outgoing.ts';
import type { IdlePins, PinBudget } from './pin-budget.ts';
import { sendQuietly } from './quiet.ts';

/** Connections that wait for their next user, per node and space. */
const IDLE_MAX = 64;

/** Who has a pinned connection now. */
export interface PinHolder {
  /** A push, or any frame while the lane is mixed. False: it is a reply to the first call. */
  unasked(pin: Pin, buf: Buffer, start: number, end: number): boolean;
  /** The connection broke; its calls have failed. */
  lost(pin: Pin, reason: string): void;
}

/** What a pinned connection needs of its node. */
export interface PinOwner {
  readonly address: string;
}

export class Pin {
  readonly lane: Lane;
  readonly node: PinOwner;
  /** What clients must have in common to use it; see `spaceOf`. Changes with SELECT and HELLO. */
  space: number;
  holder: PinHolder | null = null;
  #name = '';
  /** The server's CLIENT ID of this connection; empty until it is known. */
  serverId = '';
  #waiters: (() => void)[] = [];

  constructor(node: PinOwner, space: number, options: LaneOptions) {
    this.node = node;
    this.space = space;
    this.lane = new Lane({
      ...options,
      introduction: null,
      once: true,
      repeatReads: false,
      unasked: (buf, start, end) => this.holder?.unasked(this, buf, start, end) ?? true,
      opened: () => this.#askId(),
      lost: (reason) => {
        options.lost?.(reason);
        this.#tell();
        this.holder?.lost(this, reason);
        this.holder = null;
      },
    });
  }

  /** Gives the connection the name of its client, which SLOWLOG and the like show. In latin1. */
  set name(name: string) {
    if (name === this.#name) return;
    this.#name = name;
    sendQuietly(this.lane, encodeRequest(['CLIENT', 'SETNAME', Buffer.from(name, 'latin1')]));
  }

  /** Connects, and calls back once `serverId` is known, or never will be. */
  onServerId(known: () => void): void {
    this.#waiters.push(known);
    this.lane.connect();
  }

  #tell(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  #askId(): void {
    const call = new Call({
      replied: (_, buf, start, end) => {
        releaseBytes(call);
        if (buf[start] === TYPE.integer) this.serverId = buf.toString('latin1', start + 1, end - 2);
        this.#tell();
      },
      failed: releaseBytes,
    });
    this.lane.send(call, CLIENT_ID, 0, CLIENT_ID.length);
  }
}

/** The pinned connections of one node that nobody uses now. */
export class PinPool implements IdlePins {
  readonly #node: PinOwner;
  readonly #budget: PinBudget;
  readonly #options: (space: number) => LaneOptions;
  readonly #all = new Set<Pin>();
  readonly #idle: Pin[] = [];

  constructor(node: PinOwner, budget: PinBudget, options: (space: number) => LaneOptions) {
    this.#node = node;
    this.#budget = budget;
    this.#options = options;
  }

  /**
   * A connection for that holder alone; it may still have to connect, and takes calls at once. Whether there is room
   * for it is for the holder to ask before.
   */
  take(space: number, holder: PinHolder): Pin {
    const at = this.#idle.findLastIndex((pin) => pin.space === space);
    const pin = at >= 0 ? this.#takeIdle(at) : this.#make(space);
    pin.holder = holder;
    return pin;
  }

  /**
   * Gives back a connection without calls of its client. A clean one, as new but for its name, is kept for the next
   * user, once the server has done what cleans it and may still have said something to the last one.
   */
  give(pin: Pin, clean: boolean): void {
    pin.holder = null;
    // Its client may have been too slow to be read for.
    pin.lane.resume();
    if (!clean || pin.lane.state !== 'up' || pin.lane.ending) {
      this.#close(pin);
    } else if (pin.lane.pending === 0) {
      this.#keep(pin);
    } else {
      const last = new Call({
        replied: (call) => {
          releaseBytes(call);
          this.#keep(pin);
        },
        failed: releaseBytes,
      });
      pin.lane.send(last, PING, 0, PING.length);
      pin.lane.seal();
    }
  }

  #keep(pin: Pin): void {
    const full = this.#idle.filter(({ space }) => space === pin.space).length >= IDLE_MAX;
    if (full) {
      this.#close(pin);
    } else {
      this.#idle.push(pin);
      this.#budget.idle.add(this);
    }
  }

  closeIdle(): void {
    this.#close(this.#takeIdle(0));
  }

  /** Closes the connections of a space that nobody uses any more. */
  forget(space: number): void {
    for (const pin of [...this.#all]) if (pin.space === space) pin.lane.close();
  }

  /** Every connection, in use or not. */
  get lanes(): Lane[] {
    return Array.from(this.#all, ({ lane }) => lane);
  }

  #make(space: number): Pin {
    const options = this.#options(space);
    const pin: Pin = new Pin(this.#node, space, {
      ...options,
      lost: (reason) => {
        if (!this.#drop(pin)) return;
        options.lost?.(reason);
        const at = this.#idle.indexOf(pin);
        if (at >= 0) this.#takeIdle(at);
      },
    });
    this.#all.add(pin);
    this.#budget.quota.insist();
    return pin;
  }

  #takeIdle(at: number): Pin {
    const [pin] = this.#idle.splice(at, 1);
    if (this.#idle.length === 0) this.#budget.idle.delete(this);
    return pin;
  }

  #drop(pin: Pin): boolean {
    if (!this.#all.delete(pin)) return false;
    this.#budget.quota.release();
    return true;
  }

  /** First out of the list: what is closed on purpose is not lost. */
  #close(pin: Pin): void {
    this.#drop(pin);
    pin.lane.close();
  }
}

const CLIENT_ID = encodeRequest(['CLIENT', 'ID']);
/** As heatsink's other ones: MONITOR leaves it out. */
const PING = encodeRequest(['PING', 'heatsink']);
