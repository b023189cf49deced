// SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites, on pinned connections: messages pass as they come, and each
// channel is confirmed by a frame of its own. https://redis.io/docs/latest/develop/interact/pubsub/

import { argument } from '../../commands/argument.ts';
import type { Command } from '../../commands/command.ts';
import { C, type Counters } from '../../counters.ts';
import { encodeRequest, errorReply } from '../../resp3/encode.ts';
import { parseLength } from '../../resp3/length.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import { Call, type CallOwner } from '../../upstream/call.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import { releaseBytes } from '../../upstream/outgoing.ts';
import type { Pin } from '../../upstream/pin.ts';
import type { Topology } from '../../upstream/topology.ts';
import { type Answers, failure } from '../answers.ts';
import { REPLY_ON } from '../client.ts';
import type { Redirects } from '../redirects.ts';
import { type Request, takeRequest } from '../request.ts';
import type { Session } from '../session.ts';

/** The words that begin a confirmation, by the kind of subscription. */
const CONFIRMATIONS = new Map<string, 'channels' | 'patterns' | 'shards'>([
  ['subscribe', 'channels'],
  ['unsubscribe', 'channels'],
  ['psubscribe', 'patterns'],
  ['punsubscribe', 'patterns'],
  ['ssubscribe', 'shards'],
  ['sunsubscribe', 'shards'],
]);
const MESSAGES = new Set(['message', 'pmessage', 'smessage']);

/** What one client is subscribed to. */
export class Subscriptions {
  readonly channels = new Set<string>();
  readonly patterns = new Set<string>();
  /** By channel, on which connection. */
  readonly shards = new Map<string, Pin>();
  /** The kind of confirmations that are still to come, and their number. */
  kind = '';
  expected = 0;

  get count(): number {
    return this.channels.size + this.patterns.size + this.shards.size;
  }

  /** Whether the frame is no reply: a message, or the server's word that it dropped a subscription. */
  isMessage(pin: Pin, buf: Buffer, start: number): boolean {
    const [kind, name] = beginning(buf, start);
    const which = CONFIRMATIONS.get(kind);
    if (which === undefined) return buf[start] === TYPE.push || MESSAGES.has(kind);
    const expected = this.expected > 0 && kind === this.kind;
    if (expected) this.expected--;
    if (name === null) return !expected;
    if (!kind.includes('un')) {
      if (which === 'shards') this.shards.set(name, pin);
      else this[which].add(name);
    } else if (which !== 'shards') {
      this[which].delete(name);
    } else if (this.shards.get(name) === pin) {
      // Else the old owner of its slot says so, and it is subscribed to at the new one.
      this.shards.delete(name);
    }
    return !expected;
  }
}

/** The error for anything else that a client with subscriptions sends in RESP2. */
export function onlySubscriptions(command: Command): Buffer {
  // EXEC says what became of the transaction, even if there is none.
  const code = command.name === 'exec' ? 'EXECABORT Transaction discarded because of:' : 'ERR';
  return errorReply(
    `${code} Can't execute '${command.name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
  );
}

/** The reply to PING of a client with subscriptions in RESP2. On a cluster not every node knows that it has some. */
export function pongBeside(frame: RequestFrame): Buffer {
  return encodeRequest(['pong', frame.argc > 1 ? argument(frame, 1) : '']);
}

export interface SubscribingOptions {
  readonly topology: Topology;
  readonly answers: Answers;
  readonly redirects: Redirects;
  readonly counters: Counters;
}

export class Subscribing {
  readonly #on: SubscribingOptions;

  constructor(options: SubscribingOptions) {
    this.#on = options;
  }

  /** Sends a command of this family; its client has nothing else under way. `node`: the owner of its channels. */
  send(session: Session, frame: RequestFrame, command: Command, node: UpstreamNode): void {
    const pins = session.pin();
    pins.subscriptions ??= new Subscriptions();
    const { subscriptions } = pins;
    const sharded = command.name.startsWith('s') && command.name !== 'subscribe';
    const everyShard = command.name === 'sunsubscribe' && frame.argc === 1;
    const nodes =
      everyShard && subscriptions.shards.size > 0 ? [...new Set(subscriptions.shards.values())] : [];
    const targets = nodes.length > 0 ? nodes : [pins.need(sharded ? node : (pins.home ?? node))];
    const request = takeRequest(this.#on.answers);
    request.space = session.space;
    this.#on.counters[C.forwarded]++;
    session.enqueue(request);
    const frames = targets.map((pin) => framesOf(command, frame, subscriptions, pin));
    const owner = this.#owner(session, request, subscriptions, frames);
    targets.forEach((pin, i) => {
      pin.lane.mixed ||= session.protocol === 2;
      const call = new Call(owner);
      call.more = frames[i] - 1;
      pin.lane.send(call, frame.buf, frame.start, frame.end);
      pin.lane.seal();
    });
    subscriptions.kind = command.name;
    subscriptions.expected = frames.reduce((sum, count) => sum + count, 0);
  }

  #owner(session: Session, request: Request, subscriptions: Subscriptions, frames: number[]): CallOwner {
    let left = frames.reduce((sum, count) => sum + count, 0);
    const { answers, topology, redirects } = this.#on;
    const laneTo = (node: UpstreamNode) => {
      const { lane } = session.pin().need(node);
      lane.mixed ||= session.protocol === 2;
      return lane;
    };
    const done = (call: Call, buf: Buffer, start: number, end: number): void => {
      releaseBytes(call);
      if (--left > 0) {
        session.push(buf, start, end);
        return;
      }
      subscriptions.expected = 0;
      if (subscriptions.count === 0) session.unsubscribed();
      // Confirmations are no replies: CLIENT REPLY does not keep them back.
      const silent = session.replies !== REPLY_ON && buf[start] !== TYPE.error;
      if (silent) session.push(buf, start, end);
      answers.settle(request, buf, silent ? end : start, end);
    };
    return {
      replied: (call, buf, start, end) => {
        if (buf[start] === TYPE.error) {
          if (!session.closed && redirects.follow(call, buf, start, end, laneTo)) return;
          // Refused as a whole, in one frame.
          left -= call.more;
          done(call, buf, start, end);
          return;
        }
        const whole = topology.cluster ? recounted(buf, start, end, subscriptions) : null;
        if (whole === null) done(call, buf, start, end);
        else done(call, whole, 0, whole.length);
      },
      failed: (call, reason, sent) => {
        left -= call.more;
        const bytes = failure(reason, sent);
        done(call, bytes, 0, bytes.length);
      },
    };
  }
}

/** How many confirmations the command will get: one for each channel that it names, or that it stands for. */
function framesOf(command: Command, frame: RequestFrame, subscriptions: Subscriptions, pin: Pin): number {
  if (frame.argc > 1) return frame.argc - 1;
  const { channels, patterns, shards } = subscriptions;
  if (command.name === 'unsubscribe') return Math.max(1, channels.size);
  if (command.name === 'punsubscribe') return Math.max(1, patterns.size);
  return Math.max(1, [...shards.values()].filter((at) => at === pin).length);
}

/** A confirmation of a sharded channel with the number of all of them, which no single node knows. */
function recounted(buf: Buffer, start: number, end: number, subscriptions: Subscriptions): Buffer | null {
  const [kind] = beginning(buf, start);
  if (CONFIRMATIONS.get(kind) !== 'shards') return null;
  const colon = buf.lastIndexOf(0x3a, end);
  return Buffer.concat([buf.subarray(start, colon), Buffer.from(`:${subscriptions.shards.size}\r\n`)]);
}

/** The first two strings of an array or push; the second is null when it is no string. */
function beginning(buf: Buffer, start: number): [string, string | null] {
  const [kind, after] = bulkAt(buf, buf.indexOf(10, start) + 1);
  return [kind ?? '', bulkAt(buf, after)[0]];
}

function bulkAt(buf: Buffer, at: number): [string | null, number] {
  const line = buf.indexOf(13, at);
  const length = buf[at] === TYPE.bulk ? parseLength(buf, at + 1, line) : -1;
  if (length < 0) return [null, line + 2];
  const from = line + 2;
  return [buf.toString('latin1', from, from + length), from + length + 2];
}
