// Increments of one counter that come in one event-loop turn go upstream as one, by rule, and each caller gets what it
// would have got one after the other. A counter that everybody writes costs its shard one command a turn.
//
//   INCR k      client 1 ─┐                            ┌─> :42
//   INCRBY k 5  client 2 ─┼─> INCRBY k 7  ──> :48  ──> ┼─> :47
//   INCR k      client 3 ─┘                            └─> :48

import type { Rules } from '../cache/rules.ts';
import { argument } from '../commands/argument.ts';
import type { Command } from '../commands/command.ts';
import { amountOf } from '../commands/increments.ts';
import { finalize, hashBytes } from '../resp3/hash.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { Lane } from '../upstream/lane.ts';
import { holdBytes } from '../upstream/outgoing.ts';
import { beforeFlush } from '../upstream/turn.ts';
import type { Dispatch } from './dispatch.ts';
import { Increments, type IncrementsParts } from './increments.ts';
import { type Request, WRITES_KEY } from './request.ts';
import type { Session } from './session.ts';

export interface CombiningParts extends IncrementsParts {
  readonly rules: Rules;
  readonly dispatch: Dispatch;
}

/** More than that at once is sent as several. */
const MEMBERS_MAX = 4096;

export class Combining {
  readonly #on: CombiningParts;
  /** What gathers in this turn, by counter. */
  readonly #open = new Map<Lane, Map<number, Increments>>();
  /** Those who have something in it. */
  #sessions: Session[] = [];
  #waits = false;

  constructor(parts: CombiningParts) {
    this.#on = parts;
  }

  /**
   * Whether the request in `frame` is taken, to be sent with others at the end of the turn at the latest. Its key is
   * `[keyStart, keyEnd)`, and `request` has its hash and space.
   */
  join(
    session: Session,
    frame: RequestFrame,
    command: Command,
    request: Request,
    lane: Lane,
    keyStart: number,
    keyEnd: number,
  ): boolean {
    const { buf, view, start, end } = frame;
    const form = command.increment;
    if (form === null || session.pins !== null || !this.#on.rules.of(buf, keyStart, keyEnd).combine)
      return false;
    const amount = amountOf(frame, form);
    if (amount === null) return false;
    const key = buf.subarray(keyStart, keyEnd);
    const field = form.fieldAt === 0 ? null : argument(frame, form.fieldAt);
    const fieldHash =
      field === null
        ? 0
        : hashBytes(
            view,
            field.byteOffset - buf.byteOffset,
            field.byteOffset - buf.byteOffset + field.length,
          );
    const place = finalize(request.keyHash ^ (fieldHash + 1));
    let gathered = this.#openOf(lane, place);
    if (gathered !== null && !gathered.takes(key, field, amount)) {
      // Another counter in its place, or the other direction: what came first goes first.
      gathered.send();
      gathered = null;
    }
    if (gathered === null) {
      gathered = new Increments(this.#on, lane, Buffer.from(key), field && Buffer.from(field), () =>
        this.#close(lane, place),
      );
      this.#open.get(lane)?.set(place, gathered);
    }
    this.#on.dispatch.begin(session, request, WRITES_KEY);
    holdBytes(request, buf, start, end);
    request.keyStart = keyStart - start;
    request.keyEnd = keyEnd - start;
    gathered.add(request, amount);
    this.#remember(session, gathered);
    if (gathered.count === MEMBERS_MAX) gathered.send();
    return true;
  }

  #openOf(lane: Lane, place: number): Increments | null {
    if (!this.#waits) {
      this.#waits = true;
      beforeFlush(() => this.#sendAll());
    }
    const places = this.#open.get(lane);
    if (places !== undefined) return places.get(place) ?? null;
    this.#open.set(lane, new Map());
    return null;
  }

  #close(lane: Lane, place: number): void {
    this.#open.get(lane)?.delete(place);
  }

  #sendAll(): void {
    this.#waits = false;
    for (const places of this.#open.values()) {
      for (const gathered of places.values()) gathered.send();
    }
    this.#open.clear();
    for (const session of this.#sessions) session.gathered.length = 0;
    this.#sessions = [];
  }

  #remember(session: Session, increments: Increments): void {
    const { gathered } = session;
    if (gathered.length === 0) this.#sessions.push(session);
    if (gathered.at(-1) !== increments) gathered.push(increments);
  }
}
