// Hands a request over to what sends it: one lane or several. From then on it has its place among its client's, and
// a write counts as under way.

import type { Command } from '../commands/command.ts';
import { C, type Counters } from '../counters.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { Lane } from '../upstream/lane.ts';
import { NO_WRITE, type Request } from './request.ts';
import type { Scatter, ScatteredPart } from './scatter.ts';
import type { Session } from './session.ts';
import type { Writes } from './writes.ts';

export class Dispatch {
  readonly #counters: Counters;
  readonly #scatter: Scatter;
  readonly #writes: Writes;

  constructor(counters: Counters, scatter: Scatter, writes: Writes) {
    this.#counters = counters;
    this.#scatter = scatter;
    this.#writes = writes;
  }

  /** Sends the request in `frame` as it is; `writes` says what it changes, as in request.ts. */
  send(
    session: Session,
    frame: RequestFrame,
    command: Command,
    request: Request,
    lane: Lane,
    writes: number,
  ): void {
    this.begin(session, request, writes);
    request.repeatable = command.isRead;
    this.#counters[writes === NO_WRITE ? C.sentRead : C.sentWrite]++;
    lane.send(request, frame.buf, frame.start, frame.end);
  }

  /** Sends its parts to their nodes; their replies become one. */
  scatter(
    session: Session,
    command: Command,
    request: Request,
    parts: ScatteredPart[],
    writes: number,
  ): void {
    this.begin(session, request, writes);
    this.#scatter.send(request, command, parts);
  }

  /** Before a request is sent in any way: it takes its place, and what it writes is announced. */
  begin(session: Session, request: Request, writes: number): void {
    this.#counters[C.forwarded]++;
    session.enqueue(request);
    if (writes === NO_WRITE) return;
    request.writes = writes;
    session.writing++;
    this.#writes.begin(request);
  }

  /** Answers with an error of heatsink's own; always true, as the request is served. */
  fail(session: Session, reply: Buffer): true {
    this.#counters[C.failed]++;
    session.reply(reply);
    return true;
  }
}

/** The session offers its request again when the lane has room; always false, as it is not served yet. */
export function awaitRoom(session: Session, lane: Lane): false {
  lane.onDrain(() => session.release());
  return false;
}
