// What is told of a client's request that was drawn to be traced: its way through heatsink, and the round trip
// upstream. Never a key or a value.

import { microsSince } from '../../clock.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { Carrier } from '../../upstream/call.ts';

/** Who makes spans of traces. */
export interface Traces {
  /** Of how many requests the next one to be traced is the last, drawn anew each time. */
  draw(): number;
  record(trace: Trace): void;
}

/** How a request was answered, in the words of the metric `heatsink_requests_total`. */
export type TraceOutcome =
  | 'tier_hit'
  | 'coalesced'
  | 'forwarded'
  | 'stale_on_error'
  | 'local'
  | 'refused'
  | 'shed'
  | 'error';

/** The client went away before the reply came. */
export const CLIENT_GONE = 'client_gone';
/** An error's first word is not read any further: `-WRONGTYPE Operation against ...`. */
const LONGEST_CODE = 32;
const SPACE = 0x20;
const CR = 0x0d;

/** A request, as far as its trace looks at it. */
interface Traced {
  readonly lane: Carrier | null;
  /** `clock.us`. */
  readonly begunAt: number;
  /** Other than 0 when it waited for whoever rebuilds its key. */
  readonly waitUntil: number;
}

export class Trace {
  readonly #traces: Traces;
  /** In capitals; `_OTHER` for what the server does not know, as that may be anything. */
  readonly command: string;
  readonly db: number;
  /** `host:port` where the client connected. */
  readonly door: string;
  /** In milliseconds since 1970, with fractions, as all times here. */
  readonly begunAt: number;
  outcome: TraceOutcome = 'forwarded';
  /** The error reply's first word, such as WRONGTYPE; empty when there was none, or it is not known. */
  code = '';
  /** Why it failed; empty when it did not. */
  failure = '';
  endedAt = 0;
  /** The node that answered it, and when it was asked; null when none was asked for this request alone. */
  upstream: { readonly host: string; readonly port: number; readonly begunAt: number } | null = null;

  constructor(
    traces: Traces,
    command: string,
    client: { db: number; localAddress: string },
    begunAt: number,
  ) {
    this.#traces = traces;
    this.command = command;
    this.db = client.db;
    this.door = client.localAddress;
    this.begunAt = begunAt;
  }

  /** It was answered at once. */
  answered(outcome: TraceOutcome): void {
    this.outcome = outcome;
    if (outcome === 'refused' || outcome === 'shed' || outcome === 'error') this.failure = outcome;
    this.#end();
  }

  /** Its reply is `buf[start, end)`, which is empty when it was passed on as it came. */
  replied(request: Traced, buf: Buffer, start: number, end: number): void {
    if (end > start && buf[start] === TYPE.error) this.failure = this.code = codeOf(buf, start + 1, end);
    const { lane, begunAt, waitUntil } = request;
    // What waited for another client's write in between took longer than its round trip.
    if (lane !== null && waitUntil === 0) {
      const sentAt = Math.max(this.begunAt, now() - microsSince(begunAt) / 1000);
      this.upstream = { host: lane.options.host, port: lane.options.port, begunAt: sentAt };
    }
    this.#end();
  }

  /** Nobody waits for the reply any more. */
  abandoned(): void {
    this.failure = CLIENT_GONE;
    this.#end();
  }

  #end(): void {
    this.endedAt = now();
    this.#traces.record(this);
  }
}

/** Milliseconds since 1970, with fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

function codeOf(buf: Buffer, from: number, end: number): string {
  let to = from;
  while (to < end && to - from < LONGEST_CODE && buf[to] !== SPACE && buf[to] !== CR) to++;
  return buf.toString('latin1', from, to);
}
