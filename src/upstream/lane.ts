// A lane: one pipelined connection to one node for one protocol version and database, shared by many clients.
// Replies come in the order of the calls, so a queue of calls is all it takes to match them.

import type { Socket } from 'node:net';
import { clock, microsSince } from '../clock.ts';
import { C, type Counters, countLatency } from '../counters.ts';
import { Input } from '../resp3/input.ts';
import { writeCopy } from '../resp3/pieces.ts';
import { ReplyFrame, TYPE } from '../resp3/reply-frame.ts';
import { ReplyTail } from '../resp3/reply-tail.ts';
import { COMPLETE, INCOMPLETE, INVALID } from '../resp3/request-frame.ts';
import { connectSocket, reasonOf } from '../resp3/socket.ts';
import { Backoff } from './backoff.ts';
import { Call, type Carrier, LATER, type LargeReply } from './call.ts';
import type { Chunk } from './chunk.ts';
import type { Circuit } from './circuit.ts';
import { isForClients, type LaneOptions, type NodeLoad, type Progress } from './lane-options.ts';
import { holdBytes, Outgoing, releaseBytes } from './outgoing.ts';
import type { SlowWatch } from './slow-watch.ts';
import { type Flushable, flushAtTurnEnd } from './turn.ts';

/** Unsent bytes past which a lane asks its clients to wait. */
const HIGH_WATER = 1024 * 1024;
/** A call that waits longer makes newcomers go another way: a script or a large reply holds the lane up. In us. */
const STALLED = 100_000;
/** Bytes from which on a reply is not held in one piece if its owner can take it in many. */
const LARGE_REPLY = 1024 * 1024;
const UNHEEDED = { replied: releaseBytes, failed: releaseBytes };
/** How often a read is sent again after its connection broke. */
const READ_REPEATS = 1;

export type LaneState = 'idle' | 'connecting' | 'up' | 'closed';

export class Lane implements Carrier, Flushable {
  readonly options: LaneOptions;
  state: LaneState = 'idle';
  /** How often bytes were handed to the socket. */
  writes = 0;
  /** Calls without a reply. */
  pending = 0;
  /** Whether frames that are no replies may come in any type: RESP2 messages, the lines of MONITOR. */
  mixed = false;
  /** Whether one of its calls is a `stream`. */
  streaming = false;
  /** See `Answering`. */
  answeredAt = 0;
  ending = false;

  #socket: Socket | null = null;
  #head: Call | null = null;
  #tail: Call | null = null;
  #waiting: Call[] = [];
  #waitingBytes = 0;
  #dirty = false;
  #input = new Input();
  #frame = new ReplyFrame();
  /** The large reply that is passed on as it comes, in place of the first call. */
  #passing: { readonly reply: LargeReply; readonly tail: ReplyTail } | null = null;
  #outgoing = new Outgoing();
  #progress: Progress = 'none';
  /** `clock.ms` until which calls fail, as the server would not have this connection though it can be reached. */
  #refuseUntil = 0;
  readonly #backoff = new Backoff();
  #lastError = '';
  #drainWaiters: (() => void)[] = [];

  // Options come in many shapes, and these are asked for with every reply.
  readonly #counters: Counters;
  readonly #load: NodeLoad;
  readonly #slow: SlowWatch;
  readonly #circuit: Circuit;
  readonly #once: boolean;
  readonly #unasked: LaneOptions['unasked'];

  constructor(options: LaneOptions) {
    this.options = options;
    this.#counters = options.counters;
    this.#load = options.load;
    this.#slow = options.slow;
    this.#circuit = options.circuit;
    this.#once = options.once === true;
    this.#unasked = options.unasked;
  }

  /**
   * Sends `buf[start, end)` and gives the reply to `call.owner`. The bytes are copied by `seal`, at the latest
   * when the turn ends. Connects when there is no connection; fails at once while the node is known to be down.
   */
  send(call: Call, buf: Buffer, start: number, end: number): void {
    call.begunAt = clock.us;
    if (this.state !== 'up') {
      this.#wait(call, buf, start, end);
      return;
    }
    this.#append(call, buf, start, end);
  }

  /** Sends a call that has its bytes already, from another lane or from `holdBytes`. */
  resend(call: Call): void {
    const from = call.chunk as Chunk;
    const { offset, length } = call;
    from.users++;
    releaseBytes(call);
    this.send(call, from.buf, offset, offset + length);
    this.seal();
    from.users--;
  }

  /** Whether its socket takes no more for now: feed it again after `onDrain`. */
  get congested(): boolean {
    return (
      this.#waitingBytes > HIGH_WATER || (this.#socket !== null && this.#socket.writableLength > HIGH_WATER)
    );
  }

  /** Whether it has no connection, and none is tried for now. */
  get down(): boolean {
    return (
      (this.#circuit.open && this.state !== 'up') || (this.state === 'idle' && clock.ms < this.#refuseUntil)
    );
  }

  /** Whether its oldest call has waited longer than others should have to wait behind it, or is known to. */
  get stalled(): boolean {
    if (this.#head === null || this.state !== 'up') return false;
    return this.#passing !== null || clock.us - this.#head.begunAt > STALLED;
  }

  /** Reads no more for now, so that the server holds back what nobody takes; `resume` ends it. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Sends bytes that are no request, behind a call that is a `stream`. */
  write(bytes: Buffer): void {
    if (this.state === 'up') {
      this.flush();
      this.#socket?.write(bytes);
    } else {
      this.send(new Call(UNHEEDED), bytes, 0, bytes.length);
    }
  }

  /** Sends more bytes of the call that was sent last. They are copied; the lane must be up. */
  feed(buf: Buffer, start: number, end: number): void {
    this.flush();
    if (this.#socket !== null) writeCopy(this.#socket, buf, start, end);
  }

  onDrain(resume: () => void): void {
    this.#drainWaiters.push(resume);
  }

  get #address(): string {
    return `${this.options.host}:${this.options.port}`;
  }

  connect(): void {
    if (this.state !== 'idle') return;
    this.state = 'connecting';
    this.#progress = 'none';
    if (this.#circuit.open) {
      // Not at once: the caller has not finished with what it does here.
      queueMicrotask(() => this.#notConnected());
      return;
    }
    this.options.counters[C.upstreamConnects]++;
    const socket = connectSocket(this.options, (size) => this.#read(size));
    this.#socket = socket;
    const timer = setTimeout(() => {
      this.#progress = 'late';
      socket.destroy(new Error(`no answer within ${this.options.connectTimeout} ms`));
    }, this.options.connectTimeout);
    socket.on('connect', () => {
      this.#progress = 'reached';
    });
    const connected = this.options.tls === null ? 'connect' : 'secureConnect';
    socket.on(connected, () => this.#shakeHands(timer));
    socket.on('error', (error) => {
      this.#lastError = reasonOf(error, this.options.tls !== null && this.state === 'connecting');
    });
    socket.on('drain', () => this.#drained());
    socket.on('close', () => {
      clearTimeout(timer);
      if (this.#socket === socket) this.#broken(this.#lastError || 'connection closed by the server');
    });
  }

  /** Closes for good; calls without a reply fail. */
  close(reason = 'heatsink is shutting down'): void {
    this.#lastError = reason;
    this.state = 'closed';
    if (this.#socket !== null) this.#socket.destroy();
    else this.#settle(reason, true);
  }

  /** Breaks the connection as if the server had: what hangs on it is lost or repeated by the usual rules. */
  breakUp(reason: string): void {
    this.#lastError = reason;
    this.#socket?.destroy();
  }

  seal(): void {
    this.#outgoing.seal();
  }

  flush(): void {
    this.#dirty = false;
    if (this.#socket === null || this.state !== 'up') return;
    this.writes++;
    this.#outgoing.write(this.#socket);
  }

  #append(call: Call, buf: Buffer, start: number, end: number): void {
    if (this.#outgoing.wouldTurn(end - start)) this.writes++;
    this.#outgoing.append(call, buf, start, end, this.#socket as Socket);
    this.#enqueue(call);
    if (!this.#dirty) {
      this.#dirty = true;
      flushAtTurnEnd(this);
    }
  }

  #enqueue(call: Call): void {
    call.lane = this;
    call.writeNumber = this.writes;
    call.nextInLane = null;
    if (this.#tail === null) this.#head = call;
    else this.#tail.nextInLane = call;
    this.#tail = call;
    this.pending++;
  }

  #wait(call: Call, buf: Buffer, start: number, end: number): void {
    call.lane = null;
    holdBytes(call, buf, start, end);
    this.#waiting.push(call);
    this.#waitingBytes += call.length;
    if (this.state === 'closed' || (this.state === 'idle' && clock.tick() < this.#refuseUntil)) {
      // Not within `send`: its caller has not finished with the call yet.
      queueMicrotask(() => this.#failWaiting(this.#lastError));
    } else {
      this.connect();
    }
  }

  #shakeHands(timer: NodeJS.Timeout): void {
    const replies: Buffer[] = [];
    const { handshake } = this.options;
    const owner = {
      replied: (_: Call, buf: Buffer, start: number, end: number) => {
        if (buf[start] === TYPE.error) {
          this.#lastError = buf.toString('latin1', start + 1, end - 2);
          this.#progress = 'refused';
          this.#socket?.destroy();
          return;
        }
        replies.push(Buffer.from(buf.subarray(start, end)));
        if (replies.length === handshake.length) this.#up(timer, replies);
      },
      failed: () => {},
    };
    clock.tick();
    for (const _ of handshake) {
      const call = new Call(owner);
      call.begunAt = clock.us;
      this.#enqueue(call);
    }
    this.#socket?.write(Buffer.concat(handshake));
    if (handshake.length === 0) this.#up(timer, replies);
  }

  #up(timer: NodeJS.Timeout, replies: Buffer[]): void {
    clearTimeout(timer);
    this.state = 'up';
    this.#backoff.reset();
    this.#circuit.made();
    this.#lastError = '';
    // First, so that what it sends comes before any waiting call.
    this.options.opened?.(replies);
    const { introduction } = this.options;
    if (introduction !== null) this.#append(new Call(UNHEEDED), introduction, 0, introduction.length);
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const call of waiting) {
      const chunk = call.chunk as Chunk;
      this.#append(call, chunk.buf, call.offset, call.offset + call.length);
      this.seal();
    }
    this.#drained();
  }

  #read(size: number): void {
    this.#circuit.heardAt = clock.tick();
    const input = this.#input;
    if (!input.take(size)) return;
    const { buf } = input;
    const frame = this.#frame;
    let { pos, end } = input;
    let needed = 0;
    if (this.#passing !== null) {
      pos = this.#pass(buf, pos, end);
      if (this.#passing !== null) end = pos;
    }
    while (pos < end) {
      if (this.streaming && this.#head?.stream) {
        this.#head.owner.replied(this.#head, buf, pos, end);
        pos = end;
        break;
      }
      const status = frame.read(buf, pos, end);
      if (status === INVALID) this.breakUp(`the server sent ${frame.error}`);
      if (status !== COMPLETE) {
        if (status === INCOMPLETE) needed = frame.needed;
        break;
      }
      pos = frame.end;
      const isPush = buf[frame.start] === TYPE.push;
      if ((isPush || this.mixed) && (this.#unasked?.(buf, frame.start, pos) ?? isPush)) continue;
      if (!this.#give(buf, frame.start, pos)) break;
    }
    if (needed > LARGE_REPLY) {
      const reply = this.#takerOf(buf[pos], needed);
      if (reply !== null) needed = 0;
      if (reply === LATER) this.pause();
      else if (reply !== null) pos = this.#passOn(reply, buf, pos, end);
    }
    if (pos !== input.pos) this.answeredAt = clock.us;
    // Always, and before the bytes move: clients have only noted so far where in them their replies are.
    this.options.chunkDone();
    if (this.#socket !== null && !this.#socket.destroyed) input.keep(pos, needed);
  }

  /** Who takes the reply of at least that size that has begun with that byte, if it is the first call's. */
  #takerOf(type: number, size: number): LargeReply | typeof LATER | null {
    const call = this.#head;
    if (call === null || call.more > 0 || this.mixed || type === TYPE.push) return null;
    return call.owner.large?.(call, this, size) ?? null;
  }

  /** From now on the reply at `pos` goes to `reply`; returns what `#pass` does. */
  #passOn(reply: LargeReply, buf: Buffer, pos: number, end: number): number {
    const call = this.#head as Call;
    const place = new Call({ replied() {}, failed: () => reply.broken() });
    place.begunAt = call.begunAt;
    place.nextInLane = call.nextInLane;
    call.nextInLane = null;
    this.#head = place;
    if (this.#tail === call) this.#tail = place;
    this.#frame.reset();
    this.#passing = { reply, tail: new ReplyTail() };
    reply.begin();
    return this.#pass(buf, pos, end);
  }

  /** Passes bytes of a large reply on; returns where the next reply begins, or what must be kept for the next time. */
  #pass(buf: Buffer, pos: number, end: number): number {
    const { reply, tail } = this.#passing as { reply: LargeReply; tail: ReplyTail };
    const to = tail.take(buf, pos, end);
    if (tail.error !== '') {
      this.breakUp(`the server sent ${tail.error}`);
      return to;
    }
    if (to > pos) reply.part(buf, pos, to);
    if (!tail.ended) return to;
    this.#passing = null;
    this.#pop(this.#head as Call);
    reply.ended();
    return to;
  }

  #give(buf: Buffer, start: number, end: number): boolean {
    const call = this.#head;
    if (call === null) {
      this.breakUp('the server sent a reply that nobody asked for');
      return false;
    }
    // An error ends the call, however many frames were expected.
    if (call.more > 0 && buf[start] !== TYPE.error) call.more--;
    else this.#pop(call);
    call.owner.replied(call, buf, start, end);
    return true;
  }

  /** Takes the first call out of the queue, as its reply is there. */
  #pop(call: Call): void {
    this.#head = call.nextInLane;
    if (this.#head === null) this.#tail = null;
    call.nextInLane = null;
    this.pending--;
    this.#load.requests++;
    const micros = microsSince(call.begunAt);
    // What waits on purpose says nothing of the server's speed.
    if (!this.#once) countLatency(this.#counters, micros);
    if (micros > this.#slow.above) this.#slow.saw(call, micros, this);
  }

  #broken(reason: string): void {
    clock.tick();
    const wasUp = this.state === 'up';
    const meant = this.state === 'closed';
    this.#socket = null;
    this.#input.release();
    this.#frame.reset();
    this.#passing = null;
    this.#outgoing.clear();
    // Who calls now, on a lane that is not connected again, hears it too.
    this.#lastError = reason;
    if (!meant) this.state = this.#once ? 'closed' : 'idle';
    if (!meant && !wasUp) this.#unmade(reason);
    this.#settle(reason, wasUp);
    this.options.lost?.(reason);
    this.#drained();
    this.options.chunkDone();
  }

  /** Nobody connects to the node for now. */
  #notConnected(): void {
    // It may have been closed in the meantime.
    if (this.state !== 'connecting' || this.#socket !== null) return;
    this.options.counters[C.failedFast] += this.#waiting.length;
    this.#broken(this.#circuit.reason);
  }

  /** A connection could not be made: whose fault is it? */
  #unmade(reason: string): void {
    if (this.#circuit.open) return;
    if (this.#progress === 'none' || this.#progress === 'late') {
      this.#circuit.unmade(reason);
      return;
    }
    this.#refuseUntil = clock.ms + this.#backoff.next();
    // What broke without a word may have been broken by anybody.
    if (this.#progress === 'reached') this.#circuit.suspect();
  }

  /** What may be sent again waits for a new connection; the rest fails. */
  #settle(reason: string, wasUp: boolean): void {
    let call = this.#head;
    this.#head = null;
    this.#tail = null;
    this.pending = 0;
    if (!wasUp) this.#failWaiting(reason);
    const writes = this.writes++;
    while (call !== null) {
      const next = call.nextInLane;
      const sent = call.writeNumber < writes;
      call.nextInLane = null;
      call.lane = null;
      const again =
        this.state !== 'closed' && wasUp && call.chunk !== null && (!sent || this.#mayRepeat(call));
      if (again) {
        if (sent) {
          call.repeats++;
          this.options.counters[C.retried]++;
        }
        this.#waiting.push(call);
        this.#waitingBytes += call.length;
      } else {
        call.owner.failed(call, `${this.#address} (${reason})`, sent);
      }
      call = next;
    }
    if (this.state === 'closed') this.#failWaiting(reason);
    // Not after a connection that could not be made: who calls now is refused for a while.
    else if (wasUp && this.#waiting.length > 0) this.connect();
  }

  #failWaiting(reason: string): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const why = isForClients(reason, this.options) ? `-${reason}` : `${this.#address} (${reason})`;
    for (const call of waiting) call.owner.failed(call, why, false);
    this.#drained();
    this.options.chunkDone();
  }

  #mayRepeat(call: Call): boolean {
    const { repeatReads, retries, counters } = this.options;
    if (!repeatReads || !call.mayRepeat || call.repeats >= READ_REPEATS) return false;
    if (retries.take()) return true;
    counters[C.retriesRefused]++;
    return false;
  }

  #drained(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resume of waiters) resume();
  }
}
