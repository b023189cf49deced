// One client connection: its bytes in, its replies out in the order of its requests, and when it must wait.

import type { Socket } from 'node:net';
import { isLoopback, type Login, type Visitor } from '../access/login.ts';
import { limited, type Rights, readsAll } from '../access/rights.ts';
import { clock } from '../clock.ts';
import { PAUSED, type PauseMode, RUNNING } from '../commands/client-pause.ts';
import type { Command } from '../commands/command.ts';
import type { ClientState } from '../commands/local.ts';
import { C, type Counters } from '../counters.ts';
import { type Argument, encodeRequest, errorReply, type Protocol } from '../resp3/encode.ts';
import { Input } from '../resp3/input.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import { INCOMPLETE, INVALID, RequestFrame } from '../resp3/request-frame.ts';
import type { CallOwner } from '../upstream/call.ts';
import type { Lane } from '../upstream/lane.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import type { Pin } from '../upstream/pin.ts';
import { sendQuietly } from '../upstream/quiet.ts';
import { type Identity, spaceOf } from '../upstream/space.ts';
import { sealAll } from '../upstream/turn.ts';
import { Outbox } from './outbox.ts';
import { type PinnedClient, Pins } from './pins.ts';
import { type Asker, type Request, recycle, takeRequest } from './request.ts';

/** Bytes that a client has not taken yet past which no more is read from it. */
const SLOW_CLIENT = 1024 * 1024;
/** Bytes that are read behind a command that waits: further ones wait in the socket. */
const READ_AHEAD = 1024 * 1024;
/** Given to the tier by who must not be served from it. */
const NO_SPACE = -1;
/** CLIENT REPLY: whether replies are sent. https://redis.io/docs/latest/commands/client-reply/ */
export const REPLY_ON = 0;
export const REPLY_OFF = 1;
export const REPLY_SKIP = 2;
/** A request with more arguments than this leaves a large table behind. */
const MANY_ARGS = 128;

/** Who serves the requests of sessions; see pipeline.ts. */
export interface Servant {
  readonly counters: Counters;
  /** Owner of the requests that a session answers itself. */
  readonly answers: CallOwner;
  /** Requests that one client may have unanswered. */
  readonly maxPipeline: number;
  readonly firstDb: number;
  readonly login: Login;
  /** What a pause holds now. */
  readonly paused: PauseMode;
  /** Serves one request; false when it must wait. */
  serve(session: Session, frame: RequestFrame): boolean;
  chunkBegun(): void;
  /** The session has something to write, or may go on. */
  touched(session: Session): void;
}

export class Session implements ClientState, Asker, PinnedClient, Visitor {
  readonly id: number;
  readonly socket: Socket;
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
  /** Those of them that travel apart (`Request.shared`), and those that write. */
  shared = 0;
  writing = 0;
  /** The topology generation under which the pending ones were routed. */
  generation = 0;
  /** Whether it waits in the pipeline's list for the end of the chunk. */
  dirty = false;
  /** Whether a request waits for what is pending, or for `release`. */
  held = false;
  /** Whether COMMAND GETKEYS is under way for the request at the front, and what it said. */
  asking = false;
  askedKeys: readonly number[] | null = null;
  closed = false;
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
  #head: Request | null = null;
  #tail: Request | null = null;
  /** The lane beside its usual one that it uses while that is stalled; -1 for none. */
  #detour = -1;
  /** Whether a script comes next, which must not hold up the lane that everybody uses. */
  #script = false;
  #ended = false;
  #blocked = false;
  readonly #input = new Input();
  readonly #frame = new RequestFrame();
  readonly #outbox: Outbox;
  readonly #pipeline: Servant;

  constructor(
    id: number,
    accepted: Socket,
    adopt: (onBytes: (size: number) => void) => Socket,
    pipeline: Servant,
  ) {
    this.id = id;
    this.address = `${accepted.remoteAddress}:${accepted.remotePort}`;
    this.localAddress = `${accepted.localAddress}:${accepted.localPort}`;
    this.local = isLoopback(accepted.remoteAddress);
    this.#pipeline = pipeline;
    this.#outbox = new Outbox(pipeline.counters);
    this.#db = pipeline.firstDb;
    this.#rights = pipeline.login.enter(this.local);
    this.#space = spaceOf(2, this.#db, this.#rights.identity);
    this.tierSpace = this.#space;
    this.paused = pipeline.paused;
    this.socket = adopt((size) => this.#read(size));
    this.socket.on('drain', () => this.settle());
    this.socket.on('end', () => {
      this.#ended = true;
      // As with a server, nobody is left to get what it would take from a list.
      if (this.waits) this.socket.destroy();
      else this.settle();
    });
    this.socket.on('error', () => {});
  }

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
    return this.#pipeline.login.authenticate(this, name, password);
  }

  /** Clients of one space may share replies; see `spaceOf`. */
  get space(): number {
    return this.#space;
  }

  /** Whether what it waits for may take any time: a blocking command, a stream. */
  get waits(): boolean {
    return this.tunnel !== null || this.postponed || this.pins?.blocked === true;
  }

  /** Bytes that wait to be served. */
  get unread(): number {
    return this.#input.kept;
  }

  /** The oldest request without a reply. */
  get waiting(): object | null {
    return this.#head;
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
      this.#detour = lane.stalled || this.#script ? node.findDetour(this.#space) : -1;
      this.#script = false;
    }
    return this.#detour < 0 ? lane : node.detour(this.#space, this.#detour);
  }

  /**
   * A script comes next, over another lane than the usual one; what is sent behind it follows. False while something
   * is under way on the usual lane, which it must not overtake.
   */
  detourNext(): boolean {
    if (this.pins !== null || (this.pending > 0 && this.#detour >= 0)) return true;
    this.#script = this.pending === 0;
    return this.#script;
  }

  /** Its pinned connections, which it has from now on; to be asked for with nothing under way elsewhere. */
  pin(): Pins {
    if (this.pins === null) {
      this.pins = new Pins(this);
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
    this.pins?.release(false);
    this.unpin();
    this.replies = REPLY_ON;
    this.#pipeline.login.leave(this);
    this.rights = this.#pipeline.login.enter(this.local);
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

  push(buf: Buffer, start: number, end: number): void {
    this.#outbox.add(this.socket, buf, start, end);
    if (!this.dirty) this.#pipeline.touched(this);
  }

  /** Ends the connection at once. */
  kill(): void {
    this.closing = true;
    this.socket.destroy();
  }

  hangUp(): void {
    this.closing = true;
    this.#outbox.flush(this.socket);
    this.socket.destroySoon();
  }

  /** Puts a request at the end of the queue; its reply leaves when all before it have left. */
  enqueue(request: Request): void {
    request.session = this;
    if (this.#tail === null) this.#head = request;
    else this.#tail.next = request;
    this.#tail = request;
    this.pending++;
  }

  /** Replies at once with bytes that never change, in its place in the order. */
  reply(bytes: Buffer): void {
    if (this.#head === null) {
      this.#emit(bytes, 0, bytes.length);
      return;
    }
    const request = takeRequest(this.#pipeline.answers);
    request.reply = bytes;
    request.ready = true;
    this.enqueue(request);
  }

  /**
   * The reply of a queued request is `buf[start, end)`; the bytes may change after the chunk is done. The request
   * must not be used any more.
   */
  complete(request: Request, buf: Buffer, start: number, end: number): void {
    if (request.shared) this.shared--;
    if (request.writes !== 0) this.writing--;
    if (this.pins !== null && buf[start] === TYPE.error) this.pins.refused();
    if (this.#head !== request) {
      request.reply = Buffer.from(buf.subarray(start, end));
      request.ready = true;
      return;
    }
    this.#emit(buf, start, end);
    this.#pop(request);
    for (let next = this.#head; next?.ready; next = this.#head) {
      const reply = next.reply as Buffer;
      this.#emit(reply, 0, reply.length);
      this.#pop(next);
    }
    if (!this.dirty) this.#pipeline.touched(this);
  }

  /** Writes what has gathered, and goes on with what waits when it need not wait any longer. */
  settle(): void {
    if (this.closed) return;
    this.#outbox.flush(this.socket);
    this.#outbox.backlog = this.socket.writableLength;
    this.#blocked = this.#outbox.backlog > SLOW_CLIENT;
    if (this.pins !== null) this.#settlePins(this.pins);
    if (this.held && !this.#blocked && this.pending <= this.#pipeline.maxPipeline >> 1) this.release();
    if ((this.closing || this.#ended) && this.pending === 0 && !this.held) this.socket.destroySoon();
  }

  /** Lets a held session try again. */
  release(): void {
    if (!this.held || this.closed) return;
    this.held = false;
    clock.tick();
    this.socket.resume();
    if (this.#input.resume()) this.#serve();
  }

  /** The connection is gone: replies that still come are for nobody. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#outbox.clear();
    this.#input.release();
    this.#frame.reset();
    this.pins?.release(false);
    this.#pipeline.login.leave(this);
    for (let request = this.#head; request !== null; ) {
      const next = request.next;
      request.session = null;
      if (request.ready) recycle(request);
      request = next;
    }
    this.#head = null;
    this.#tail = null;
  }

  #emit(src: Buffer, start: number, end: number): void {
    if (this.replies === REPLY_ON) this.#outbox.add(this.socket, src, start, end);
    else if (this.replies === REPLY_SKIP) this.replies = REPLY_ON;
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

  #settlePins(pins: Pins): void {
    // What it does not take must wait in the server, which has a limit for it.
    for (const { lane } of pins.all) {
      if (this.#blocked) lane.pause();
      else lane.resume();
    }
    if (this.pending > 0) return;
    pins.blocked = false;
    if (pins.idle) this.unpin();
  }

  #pop(request: Request): void {
    this.#head = request.next;
    if (this.#head === null) this.#tail = null;
    this.pending--;
    recycle(request);
  }

  #read(size: number): void {
    this.#pipeline.counters[C.bytesIn] += size;
    this.lastAt = clock.tick();
    if (this.closing || this.closed || !this.#input.take(size)) return;
    if (!this.held) {
      this.#serve();
      return;
    }
    this.#input.keep(this.#input.pos, 0);
    if (this.#input.kept > READ_AHEAD) this.socket.pause();
  }

  #serve(): void {
    const input = this.#input;
    const frame = this.#frame;
    const pipeline = this.#pipeline;
    const { buf, view, end } = input;
    let pos = input.pos;
    let needed = 0;
    pipeline.chunkBegun();
    while (pos < end && !this.closing) {
      if (this.tunnel !== null) {
        this.tunnel.write(Buffer.from(buf.subarray(pos, end)));
        pos = end;
        break;
      }
      this.#blocked ||= this.#outbox.backlog > SLOW_CLIENT;
      if (this.pending >= pipeline.maxPipeline || this.#blocked) {
        this.held = true;
        break;
      }
      const status = frame.read(buf, view, pos, end);
      if (status === INCOMPLETE) {
        needed = frame.needed;
        break;
      }
      if (status === INVALID) {
        pipeline.counters[C.protocolErrors]++;
        this.reply(errorReply(`ERR ${frame.error}`));
        this.closing = true;
        break;
      }
      if (frame.argc > 0 && !pipeline.serve(this, frame)) {
        this.held = true;
        break;
      }
      pos = frame.consumed;
    }
    if (frame.argc > MANY_ARGS && needed === 0) frame.reset();
    sealAll();
    // Of a client that waits for a blocking command it must be seen when it leaves.
    if (this.held && !this.waits) this.socket.pause();
    if (this.closing) input.release();
    else input.keep(pos, needed);
    if (!this.#outbox.empty) this.#outbox.flush(this.socket);
    if (this.socket.writableLength > SLOW_CLIENT) this.#blocked = true;
    if ((this.closing || this.#ended) && this.pending === 0 && !this.held) this.socket.destroySoon();
  }
}

function credentials(identity: Identity | null): Argument[] {
  const { username = '', password = null } = identity ?? {};
  return [Buffer.from(username, 'latin1'), Buffer.from(password ?? '', 'latin1')];
}
