// The pipeline of a heatsink that traces some of the requests. Without traces there is none, so that they cost
// nothing; with them each request pays for a countdown.

import { C, type Counters } from '../../counters.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import { Pipeline, type PipelineParts } from '../pipeline.ts';
import type { Session } from '../session.ts';
import { now, Trace, type TraceOutcome, type Traces } from './trace.ts';

/** What a request that was just served is counted as; the first that fits. */
const OUTCOMES: readonly (readonly [number, TraceOutcome])[] = [
  [C.hit, 'tier_hit'],
  [C.coalesced, 'coalesced'],
  [C.failed, 'error'],
  [C.shed, 'shed'],
  [C.refused, 'refused'],
  [C.local, 'local'],
  [C.forwarded, 'forwarded'],
];

/** `traces` is null when nothing is traced. */
export function createPipeline(traces: Traces | null, parts: PipelineParts): Pipeline {
  return traces === null ? new Pipeline(parts) : new TracedPipeline(parts, traces);
}

class TracedPipeline extends Pipeline {
  readonly #traces: Traces;
  readonly #table: PipelineParts['table'];
  #left: number;
  /** Whose request was drawn last and has to wait, and since when: its client's next one that is offered. */
  #waiting: Session | null = null;
  #since = 0;

  constructor(parts: PipelineParts, traces: Traces) {
    super(parts);
    this.#traces = traces;
    this.#table = parts.table;
    this.#left = traces.draw();
  }

  override serve(session: Session, asked: RequestFrame): boolean {
    const passes = --this.#left > 0 && session !== this.#waiting;
    return passes ? super.serve(session, asked) : this.#traced(session, asked);
  }

  #traced(session: Session, asked: RequestFrame): boolean {
    const waited = session === this.#waiting;
    if (!waited) this.#left = this.#traces.draw();
    const begun = waited ? this.#since : now();
    const { pending } = session;
    const before = OUTCOMES.map(([slot]) => this.counters[slot]);
    const name = this.#table().find(asked)?.name ?? '_other';
    const trace = new Trace(this.#traces, name.toUpperCase().replace('|', ' '), session, begun);
    if (!super.serve(session, asked)) {
      this.#waiting = session;
      this.#since = begun;
      return false;
    }
    if (waited) this.#waiting = null;
    const outcome = outcomeSince(before, this.counters);
    const request = session.pending > pending ? session.newest : null;
    // What has its reply waits for those before it at the most.
    if (request === null || request.ready) {
      trace.answered(outcome ?? 'local');
    } else {
      trace.outcome = outcome ?? 'forwarded';
      request.trace = trace;
    }
    return true;
  }
}

function outcomeSince(before: readonly number[], counters: Counters): TraceOutcome | null {
  const found = OUTCOMES.find(([slot], i) => counters[slot] > before[i]);
  return found === undefined ? null : found[1];
}
