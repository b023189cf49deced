// One client connection: its bytes in, its replies out in the order of its requests, and when it must wait.

import type { Socket } from 'node:net';
import type { HeldLease } from '../cache/leases.ts';
import { clock } from '../clock.ts';
import { C, type Counters } from '../counters.ts';
import { errorReply } from '../resp3/encode.ts';
import { Input } from '../resp3/input.ts';
import { INCOMPLETE, INVALID, RequestFrame } from '../resp3/request-frame.ts';
import type { CallOwner } from '../upstream/call.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { sealAll } from '../upstream/turn.ts';
import { type Beginning, Client, REPLY_OFF, REPLY_ON, REPLY_SKIP } from './client.ts';
import type { ClientLimits } from './clients/client-limits.ts';
import { Asides } from './large/asides.ts';
import type { Upload } from './large/upload.ts';
import { Outbox } from './outbox.ts';
import { FORWARD, HOLD } from './outcome.ts';
import type { Pins } from './pinned/pins.ts';
import { type Asker, type Request, recycle, share, takeRequest } from './request.ts';

/** Bytes that a client has not taken yet past which no more is read from it. */
const SLOW_CLIENT = 1024 * 1024;
/** Bytes that are read behind a command that waits: further ones wait in the socket. */
const READ_AHEAD = 1024 * 1024;
/** Bytes from which on a request is not gathered if it can be passed on as it comes. */
const LARGE_REQUEST = 1024 * 1024;
const NOTHING = Buffer.alloc(0);
const NO_LEASES: readonly HeldLease[] = [];
/** 'close' follows. */
const ignore = () => {};
/** A request with more arguments than this leaves a large table behind. */
const MANY_ARGS = 128;

/** Who serves the requests of sessions; see pipeline.ts. */
export interface Servant extends Beginning {
  readonly counters: Counters;
  /** Owner of the requests that a session answers itself. */
  readonly answers: CallOwner;
  /** Requests that one client may have unanswered. */
  readonly maxPipeline: number;
  readonly limits: ClientLimits;
  /** Serves one request; false when it must wait. */
  serve(session: Session, frame: RequestFrame): boolean;
  /**
   * What becomes of a large request of which a part is there: the upload to which it goes as it comes; HOLD when that
   * must wait; FORWARD for a request that is served when it is whole.
   */
  upload(session: Session, frame: RequestFrame): Upload | typeof HOLD | typeof FORWARD;
  chunkBegun(): void;
  /** The session has something to write, or may go on. */
  touched(session: Session): void;
  /** Its client says nothing more, and waits for what may take any time. */
  left(session: Session): void;
  /** It waits for a lease or has one, and its client says nothing more, or is gone. */
  lapsed(session: Session): void;
}

export class Session extends Client implements Asker {
  readonly socket: Socket;
  /** Those of the requests without a reply that travel apart (`Request.shared`), and those that write. */
  shared = 0;
  writing = 0;
  leaseWaits = 0;
  leases = NO_LEASES;
  /** The topology generation under which the pending ones were routed. */
  generation = 0;
  /** Increments of this turn that others may be added to: what it sends next must not overtake them. */
  readonly gathered: { send(): void }[] = [];
  /** Whether it waits in the pipeline's list for the end of the chunk. */
  dirty = false;
  /** Whether a request waits for what is pending, or for `release`. */
  held = false;
  /** Whether COMMAND GETKEYS is under way for the request at the front, and what it said. */
  asking = false;
  askedKeys: readonly number[] | null = null;
  closed = false;
  /** The large request that is passed on as it comes. */
  upload: Upload | null = null;
  /** While it has reads whose replies are large. */
  #asides: Asides | null = null;
  /** Since when a request is half read, or last got on, by `clock.ms`, and how much of it there was; 0 for none. */
  begunAt = 0;
  begunBytes = 0;
  /** Bytes that the system had not taken when it was last looked at; see client-limits.ts. */
  unsent = 0;
  #uploaded = 0;
  /** Bytes of replies that wait for those before them. */
  #queued = 0;
  #head: Request | null = null;
  #tail: Request | null = null;
  #ended = false;
  /** Whether it takes no more requests, and whether it has told its client so. */
  #retired = false;
  #saidGoodbye = false;
  #blocked = false;
  readonly #input = new Input();
  readonly #frame = new RequestFrame(this);
  readonly #outbox: Outbox;
  readonly #pipeline: Servant;

  constructor(
    id: number,
    accepted: Socket,
    adopt: (onBytes: (size: number) => void) => Socket,
    pipeline: Servant,
  ) {
    super(id, accepted, pipeline);
    this.#pipeline = pipeline;
    this.#outbox = new Outbox(pipeline.counters);
    this.socket = adopt((size) => this.#read(size));
    this.socket.on('drain', () => this.settle());
    this.socket.on('end', () => {
      this.#ended = true;
      this.#lapse();
      if (this.waits) pipeline.left(this);
      else this.settle();
    });
    this.socket.on('error', ignore);
  }

  /** Bytes that wait to be served. */
  get unread(): number {
    return this.#input.kept;
  }

  /** Bytes that have come of the request that is half read. */
  get arrived(): number {
    return this.upload === null ? this.#input.kept : this.#uploaded;
  }

  /** The oldest request without a reply. */
  get waiting(): Request | null {
    return this.#head;
  }

  /** The one that came last. */
  get newest(): Request | null {
    return this.#tail;
  }

  get slow(): boolean {
    return this.#blocked;
  }

  /** Requests without a reply, but for those that wait until somebody rebuilds their key. */
  get #open(): number {
    return this.pending - this.leaseWaits;
  }

  touch(): void {
    if (!this.dirty) this.#pipeline.touched(this);
  }

  sendAside(request: Request, node: UpstreamNode): void {
    if (!request.shared) share(this, request);
    this.#asides ??= new Asides(this);
    this.#asides.add(request, node);
  }

  push(buf: Buffer, start: number, end: number): void {
    if (this.#outbox.backlog > SLOW_CLIENT && this.#overflows()) return;
    this.#outbox.add(this.socket, buf, start, end);
    if (!this.dirty) this.#pipeline.touched(this);
  }

  part(buf: Buffer, start: number, end: number): void {
    if (this.replies === REPLY_ON) this.push(buf, start, end);
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
    this.script = false;
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
    this.#keep(request, bytes);
    this.enqueue(request);
  }

  /**
   * The reply of a queued request is `buf[start, end)`; the bytes may change after the chunk is done. The request
   * must not be used any more.
   */
  complete(request: Request, buf: Buffer, start: number, end: number): void {
    if (request.trace !== null) request.trace.replied(request, buf, start, end);
    if (request.shared) this.shared--;
    if (request.writes !== 0) this.writing--;
    if (this.#head !== request) {
      this.#keep(request, Buffer.from(buf.subarray(start, end)));
      return;
    }
    this.#emit(buf, start, end);
    this.#pop(request);
    for (let next = this.#head; next?.ready; next = this.#head) {
      const reply = next.reply as Buffer;
      this.#queued -= reply.length;
      this.#emit(reply, 0, reply.length);
      this.#pop(next);
    }
    if (!this.dirty) this.#pipeline.touched(this);
  }

  /** Writes what has gathered, and goes on with what waits when it need not wait any longer. */
  settle(): void {
    if (this.closed) return;
    if (!this.#outbox.empty) this.lastAt = clock.ms;
    this.#outbox.flush(this.socket);
    this.#outbox.backlog = this.socket.writableLength;
    this.#blocked = this.#outbox.backlog > SLOW_CLIENT;
    if (this.pins !== null) this.#settlePins(this.pins);
    if (this.#asides !== null && !this.#asides.settle(this.#blocked)) this.#asides = null;
    if (this.held && !this.#blocked && this.#open <= this.#pipeline.maxPipeline >> 1) this.release();
    this.#endIfDone();
  }

  /** Lets a held session try again. */
  release(): void {
    if (!this.held || this.closed) return;
    this.held = false;
    clock.tick();
    this.socket.resume();
    if (this.#input.resume()) this.#serve();
    else this.#endIfDone();
  }

  /**
   * Takes no more requests: answers what it has read, then says that this is the end, and leaves it to the client to
   * close. What comes meanwhile is read and dropped: left unread, it would have the client's system throw away replies
   * that the client has not read yet. https://www.rfc-editor.org/rfc/rfc1122#page-87
   */
  retire(): void {
    this.#retired = true;
    this.socket.resume();
    this.settle();
  }

  /** Whether it has requests whose replies must not be cut off. */
  get busy(): boolean {
    return this.pending > 0 && !this.waits && this.upload === null;
  }

  /** The connection is gone: replies that still come are for nobody. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#outbox.clear();
    this.#input.release();
    this.#frame.reset();
    this.leave();
    this.#lapse();
    this.#asides?.release();
    for (let request = this.#head; request !== null; ) {
      const next = request.next;
      request.session = null;
      if (request.trace !== null && !request.ready) request.trace.abandoned();
      request.trace = null;
      if (request.ready || request.aside !== null) recycle(request);
      request = next;
    }
    this.#head = null;
    this.#tail = null;
  }

  #lapse(): void {
    if (this.leaseWaits > 0 || this.leases.length > 0) this.#pipeline.lapsed(this);
  }

  #emit(src: Buffer, start: number, end: number): void {
    if (this.replies === REPLY_ON) {
      if (this.#outbox.backlog > SLOW_CLIENT && this.#overflows()) return;
      this.#outbox.add(this.socket, src, start, end);
    } else if (this.replies === REPLY_SKIP) this.replies = REPLY_ON;
  }

  /** Keeps a reply until those before it have left. */
  #keep(request: Request, reply: Buffer): void {
    const kept = this.#overflows() ? NOTHING : reply;
    this.#queued += kept.length;
    request.reply = kept;
    request.ready = true;
  }

  /** Whether there is no room for one more reply, and the connection ends for that. One reply alone always has it. */
  #overflows(): boolean {
    if (this.#queued + this.#outbox.backlog <= this.#pipeline.limits.outputBuffer) return false;
    if (this.socket.destroyed) return true;
    this.#pipeline.counters[C.closedUnsent]++;
    this.replies = REPLY_OFF;
    this.kill();
    return true;
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

  /** Whether the request in the frame is passed on from now on, or waits until it can be. */
  #mayUpload(): boolean {
    const upload = this.#pipeline.upload(this, this.#frame);
    if (upload === FORWARD) return false;
    if (upload === HOLD) {
      this.held = true;
    } else {
      this.upload = upload;
      this.#uploaded = 0;
      this.begunAt = clock.ms;
      this.begunBytes = 0;
      this.#frame.reset();
    }
    return true;
  }

  /** Closes the connection of a client from which nothing comes any more, and to which nothing is on its way. */
  #endIfDone(): void {
    if (this.#retired && !this.#ended && !this.closing && !this.busy) {
      // What is held back, and was not begun, is not for this connection any more.
      this.closing = true;
      this.#saidGoodbye = true;
      this.socket.end();
    }
    if (this.#saidGoodbye && !this.#ended) return;
    if ((!this.closing && !this.#ended) || this.held) return;
    // The rest of a request that it has begun will never come.
    if (this.pending === 0 || this.upload !== null) this.socket.destroySoon();
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
    if (this.closing || this.closed || (this.#retired && this.upload === null)) return;
    if (this.#input.kept + size > this.#pipeline.limits.queryBuffer) {
      this.#pipeline.counters[C.closedUnread]++;
      this.kill();
      return;
    }
    if (!this.#input.take(size)) return;
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
    const { buf, view } = input;
    let { pos, end } = input;
    let needed = 0;
    pipeline.chunkBegun();
    if (this.upload !== null) {
      pos = this.upload.take(buf, pos, end);
      this.#uploaded += pos - input.pos;
      if (this.upload !== null) end = pos;
    }
    while (pos < end && !this.closing) {
      if (this.tunnel !== null) {
        this.tunnel.write(Buffer.from(buf.subarray(pos, end)));
        pos = end;
        break;
      }
      this.#blocked ||= this.#outbox.backlog > SLOW_CLIENT;
      if (this.#open >= pipeline.maxPipeline || this.#blocked) {
        this.held = true;
        break;
      }
      const status = frame.read(buf, view, pos, end);
      if (status === INCOMPLETE) {
        needed = frame.needed;
        if (needed > LARGE_REQUEST && this.#mayUpload()) {
          needed = 0;
          if (this.upload !== null) pos = this.upload.take(buf, pos, end);
        }
        break;
      }
      if (status === INVALID) {
        // Whether the upstream asks for a login at all may have to be asked first.
        if (frame.strange && pipeline.login.asksFirst(this, frame, null)) {
          this.held = true;
          break;
        }
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
    if (needed === 0) {
      if (this.upload === null) this.begunAt = 0;
    } else if (this.begunAt === 0 || pos !== input.pos) {
      this.begunAt = clock.ms;
      this.begunBytes = end - pos;
    }
    // Else a client that is idle from now on would keep its last request.
    if (needed === 0 && (frame.argc > MANY_ARGS || input.apart)) frame.reset();
    sealAll();
    // Of a client that waits for a blocking command it must be seen when it leaves.
    if (this.held && !this.waits) this.socket.pause();
    if (this.closing) input.release();
    else input.keep(pos, needed);
    if (!this.#outbox.empty) this.#outbox.flush(this.socket);
    if (this.socket.writableLength > SLOW_CLIENT) this.#blocked = true;
    this.#endIfDone();
  }
}
