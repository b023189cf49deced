// Who a client is, what it may do, the state of its connection, and by which upstream connections its commands go.

import { isLoopback, type Login, type Visitor } from '../access/login.ts';
import { limited, type Rights, readsAll } from '../access/rights.ts';
import { clock } from '../clock.ts';
import { PAUSED, type PauseMode, RUNNING } from '../commands/client-pause.ts';
import type { Command } from '../commands/command.ts';
import type { ClientState } from '../commands/local.ts';
import { type Argument, encodeRequest, type Protocol } from '../resp3/encode.ts';
import type { Lane } from '../upstream/lane.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import type { Pin } from '../upstream/pin.ts';
import type { PinBudget } from '../upstream/pin-budget.ts';
import { sendQuietly } from '../upstream/quiet.ts';
import { type Identity, spaceOf } from '../upstream/space.ts';
import { type PinnedClient, Pins } from './pinned/pins.ts';

/** Given to the tier by who must not be served from it. */
const NO_SPACE = -1;
/** CLIENT REPLY: whether replies are sent. https://redis.io/docs/latest/commands/client-reply/ */
export const REPLY_ON = 0;
export const REPLY_OFF = 1;
export const REPLY_SKIP = 2;

/** Both ends of the client's connection. */
export interface Ends {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** What every client begins with. */
export interface Beginning {
  readonly firstDb: number;
  readonly login: Login;
  readonly pinned: PinBudget;
  /** What a pause holds now. */
  readonly paused: PauseMode;
}

export abstract class Client implements ClientState, PinnedClient, Visitor {
  readonly id: number;
  readonly address: string;
  readonly localAddress: string;
  /** Whether it came over loopback. */
  readonly local: boolean;
  readonly createdAt = Date.now();
  libName = '';
  libVer = '';
  /** Set by a command after whose reply the connection closes. */
  closing = false;
  /** Requests without a reply. */
  pending = 0;
  /** Its own upstream connections, while it needs any. */
  pins: Pins | null = null;
  /** Where its bytes go as they are, instead of being served. */
  tunnel: Lane | null = null;
  /** Whether the pipeline must look closer at each of its requests. */
  restricted = false;
  /** `space`, or one that has no entries while it must not be served from the tier. */
  tierSpace: number;
  replies: typeof REPLY_ON | typeof REPLY_OFF | typeof REPLY_SKIP = REPLY_ON;
  noEvict = false;
  /** Whether a pause holds the request at the front. */
  postponed = false;
  /** The last command that was looked up, for CLIENT LIST: not one that the tier answered. */
  lastCommand: Command | null = null;
  /** When it last sent something, by `clock.ms`. */
  lastAt = clock.ms;

  #paused: PauseMode = RUNNING;
  #name = '';
  #protocol: Protocol = 2;
  #db: number;
  #rights: Rights;
  #space: number;
  /** The lane beside its usual one that it uses while that is stalled; -1 for none. */
  #detour = -1;
  /** Whether a script comes next, which must not hold up the lane that everybody uses. */
  protected script = false;
  readonly #login: Login;
  readonly #pinned: PinBudget;

  constructor(id: number, ends: Ends, { firstDb, login, pinned, paused }: Beginning) {
    this.id = id;
    this.address = `${ends.remoteAddress}:${ends.remotePort}`;
    this.localAddress = `${ends.localAddress}:${ends.localPort}`;
    this.local = isLoopback(ends.remoteAddress);
    this.#login = login;
    this.#pinned = pinned;
    this.#db = firstDb;
    this.#rights = login.enter(this.local);
    this.#space = spaceOf(2, this.#db, this.#rights.identity);
    this.tierSpace = this.#space;
    this.paused = paused;
  }

  /** Offers the request that had to wait again. */
  abstract release(): void;
  abstract push(buf: Buffer, start: number, end: number): void;
  abstract hangUp(): void;

  /** What a pause holds now. */
  get paused(): PauseMode {
    return this.#paused;
  }

  set paused(mode: PauseMode) {
    this.#paused = mode;
    this.#limit();
  }

  get name(): string {
    return this.#name;
  }

  set name(name: string) {
    this.#name = name;
    for (const pin of this.pins?.all ?? []) pin.name = name;
  }

  get protocol(): Protocol {
    return this.#protocol;
  }

  set protocol(protocol: Protocol) {
    this.#protocol = protocol;
    this.#moveTo(['HELLO', protocol]);
  }

  get db(): number {
    return this.#db;
  }

  set db(db: number) {
    this.#db = db;
    this.#moveTo(['SELECT', db]);
  }

  /** What it may do, by who it is. */
  get rights(): Rights {
    return this.#rights;
  }

  set rights(rights: Rights) {
    const { identity } = rights;
    const same = identity === this.#rights.identity;
    this.#rights = rights;
    if (!same) this.#moveTo(['AUTH', ...credentials(identity)]);
    this.#limit();
  }

  get user(): string {
    return this.#rights.name;
  }

  get ownUser(): boolean {
    return this.#rights.own;
  }

  get authenticated(): boolean {
    return this.#rights.authenticated;
  }

  authenticate(name: string | null, password: string): Buffer | null {
    return this.#login.authenticate(this, name, password);
  }

  /** Clients of one space may share replies; see `spaceOf`. */
  get space(): number {
    return this.#space;
  }

  /** Whether what it waits for may take any time: a blocking command, a stream. */
  get waits(): boolean {
    return this.tunnel !== null || this.postponed || this.pins?.blocked === true;
  }

  /** Where its commands for that node go: its own connection there, or a lane that it shares. */
  laneTo(node: UpstreamNode): Lane {
    const { pins } = this;
    if (pins !== null) {
      const pin = pins.blocked ? pins.need(node) : pins.to(node);
      if (pin !== null) return pin.lane;
    }
    const lane = node.lane(this.#space, this.id);
    // With nothing under way it can change its way and keep its order.
    if (this.pending === 0) {
      this.#detour = lane.stalled || this.script ? node.findDetour(this.#space) : -1;
    }
    return this.#detour < 0 ? lane : node.detour(this.#space, this.#detour);
  }

  /**
   * A script comes next, over another lane than the usual one; what is sent behind it follows. False while something
   * is under way on the usual lane, which it must not overtake.
   */
  detourNext(): boolean {
    if (this.pins !== null || (this.pending > 0 && this.#detour >= 0)) return true;
    this.script = this.pending === 0;
    return this.script;
  }

  /**
   * Makes sure that it may pin connections to so many of those nodes, besides those that it has. False: there may be
   * no more, and nothing has changed. To be asked before a command begins anything that needs them.
   */
  reserve(nodes: readonly UpstreamNode[], count = 1): boolean {
    const needed = Math.min(count, this.pins?.missing(nodes) ?? nodes.length);
    const spare = this.pins?.spare ?? 0;
    for (let claimed = spare; claimed < needed; claimed++) {
      if (this.#pinned.claim()) continue;
      for (; claimed > spare; claimed--) this.#pinned.quota.release();
      return false;
    }
    if (needed > spare) this.pin().spare = needed;
    return true;
  }

  /** Its pinned connections, which it has from now on; to be asked for with nothing under way elsewhere. */
  pin(): Pins {
    if (this.pins === null) {
      this.pins = new Pins(this, this.#pinned);
      this.#limit();
    }
    return this.pins;
  }

  /** Gives its pinned connections back, which it needs no more and on which nothing is under way. */
  unpin(): void {
    this.pins?.release(true);
    this.pins = null;
    this.#limit();
  }

  forget(): void {
    this.leave();
    this.unpin();
    this.replies = REPLY_ON;
    this.rights = this.#login.enter(this.local);
  }

  /** Its connection to that node, to which the invalidations of other clients are redirected from now on. */
  redirectedTo(node: UpstreamNode): Pin {
    const pins = this.pin();
    pins.redirectedTo = true;
    return pins.need(node);
  }

  /** Its last subscription has ended. */
  unsubscribed(): void {
    const { pins } = this;
    if (pins === null) return;
    pins.subscriptions = null;
    for (const pin of pins.all) pin.lane.mixed = pins.monitoring;
  }

  /** Its connection is gone. */
  protected leave(): void {
    this.pins?.release(false);
    this.#login.leave(this);
  }

  #limit(): void {
    this.restricted = this.pins !== null || this.#paused !== RUNNING || limited(this.#rights);
    const mayHit = this.pins === null && this.#paused !== PAUSED && readsAll(this.#rights);
    this.tierSpace = mayHit ? this.#space : NO_SPACE;
  }

  /** Its space has changed; its own connections get there by that request. */
  #moveTo(request: readonly Argument[]): void {
    const space = spaceOf(this.#protocol, this.#db, this.#rights.identity);
    this.#space = space;
    this.#limit();
    for (const pin of this.pins?.all ?? []) {
      if (pin.space !== space) sendQuietly(pin.lane, encodeRequest(request));
      pin.space = space;
      // A client may subscribe in RESP3, and then take its messages in RESP2.
      pin.lane.mixed ||= this.#protocol === 2 && this.pins?.subscriptions != null;
    }
  }
}

function credentials(identity: Identity | null): Argument[] {
  const { username = '', password = null } = identity ?? {};
  return [Buffer.from(username, 'latin1'), Buffer.from(password ?? '', 'latin1')];
}
