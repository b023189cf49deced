// Commands that may wait: BLPOP and its like, XREAD BLOCK, WAIT. Each goes over a pinned connection, so that nobody
// else waits with it, and its client is read no further until it is answered.

import { argumentIs } from '../../commands/argument.ts';
import type { Command } from '../../commands/command.ts';
import { hashKeys, type KeyPositions } from '../../commands/keys.ts';
import { C, type Counters } from '../../counters.ts';
import { encodeRequest } from '../../resp3/encode.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { CallOwner } from '../../upstream/call.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import { sendQuietly } from '../../upstream/quiet.ts';
import type { Topology } from '../../upstream/topology.ts';
import type { Answers } from '../answers.ts';
import { takeRequest, WRITES_LATE } from '../request.ts';
import type { Scatter } from '../scatter.ts';
import type { Session } from '../session.ts';
import type { Writes } from '../writes.ts';

const PING = encodeRequest(['PING']);

/** Whether this request of a command that may block can really wait: XREAD without BLOCK does not. */
export function mayWait(command: Command, frame: RequestFrame): boolean {
  if (command.name !== 'xread' && command.name !== 'xreadgroup') return true;
  // XREADGROUP GROUP name consumer: the two names may be any word.
  for (let i = command.name === 'xread' ? 1 : 4; i < frame.argc; i++) {
    if (argumentIs(frame, i, 'streams')) return false;
    if (argumentIs(frame, i, 'block')) return true;
    if (argumentIs(frame, i, 'count')) i++;
  }
  return false;
}

export interface BlockingOptions {
  readonly topology: Topology;
  readonly answers: Answers;
  readonly scatter: Scatter;
  readonly writes: Writes;
  readonly counters: Counters;
}

export class Blocking {
  readonly #on: BlockingOptions;
  readonly #owner: CallOwner;

  constructor(options: BlockingOptions) {
    this.#on = options;
    const { answers } = options;
    this.#owner = {
      replied: (call, buf, start, end) => answers.replied(call, buf, start, end),
      failed: (call, reason, sent) => answers.failed(call, reason, sent),
    };
  }

  /** Sends a command with those keys to their node; its client has nothing else under way. */
  send(
    session: Session,
    frame: RequestFrame,
    command: Command,
    keys: KeyPositions,
    node: UpstreamNode,
  ): void {
    const { writes } = this.#on;
    const pins = session.pin();
    pins.blocked = true;
    const { lane } = pins.need(node);
    const request = takeRequest(this.#owner);
    request.space = session.space;
    if (command.isWrite) {
      const hashes: number[] = [];
      hashKeys(frame, keys, hashes);
      request.keyHashes = hashes;
      request.writes = WRITES_LATE;
      session.writing++;
      writes.begin(request);
    }
    this.#on.counters[C.forwarded]++;
    this.#on.counters[command.isWrite ? C.sentWrite : C.sentRead]++;
    session.enqueue(request);
    lane.send(request, frame.buf, frame.start, frame.end);
  }

  /**
   * WAIT and WAITAOF ask about the writes of their connection, and the client's went over others. But all of those
   * are answered, so the server's offset at any command sent now lies behind them: PING takes it over.
   * https://redis.io/docs/latest/commands/wait/
   */
  sendWait(session: Session, frame: RequestFrame, command: Command): void {
    const pins = session.pin();
    pins.blocked = true;
    const request = takeRequest(this.#on.answers);
    request.space = session.space;
    const bytes = Buffer.from(frame.buf.subarray(frame.start, frame.end));
    const parts = this.#on.topology.nodes.map((node) => ({ node, request: bytes, positions: [] }));
    for (const { node } of parts) sendQuietly(pins.need(node).lane, PING);
    this.#on.counters[C.forwarded]++;
    session.enqueue(request);
    this.#on.scatter.send(request, command, parts);
  }
}
