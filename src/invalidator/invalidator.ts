// Deletes keys through heatsink when PostgreSQL says that their rows have changed. PostgreSQL tells only those who
// listen at that moment; so after each connect a sweep finds what may have changed unnoticed, from a time on of which
// it is known that all has been deleted. https://www.postgresql.org/docs/current/sql-notify.html

import type { Logger } from 'pino';
import { parseTemplate } from '../config/key-template.ts';
import type { Config } from '../config/schema.ts';
import { C, type Counters } from '../counters.ts';
import type { Call } from '../worker/inside-client.ts';
import { Deletes } from './deletes.ts';
import { fillFromPayload, SWEEP } from './fill.ts';
import { listenTo } from './listen.ts';
import { OwedSweeps } from './owed-sweeps.ts';

export interface InvalidatorOptions {
  /** With a PostgreSQL. */
  readonly config: Config['invalidator'];
  /** Sends a command through heatsink. */
  readonly call: Call;
  readonly counters: Counters;
  readonly log: Logger;
}

export interface Invalidator {
  /** Stops listening, and goes on deleting what waits for at most that many milliseconds. */
  close(grace: number): Promise<void>;
}

/** So much of a payload that does not fit is logged, in characters. */
const SHOWN = 200;

/** Begins to connect; what goes wrong from then on is logged, and tried again. */
export function startInvalidator({ config, call, counters, log }: InvalidatorOptions): Invalidator {
  const url = config.postgres ?? '';
  const templates = config.delete.map(parseTemplate);
  const { channel: channels, margin, keepalive, lookback } = config;
  const begun = performance.now();
  const end = new AbortController();
  const { signal } = end;
  /** All that was committed by then is deleted; null before that is known of any time. */
  let good: string | null = null;
  /** The time that will be good when the keys that were added until then are deleted. */
  let next: { readonly time: string; readonly added: number } | null = null;
  const sweeps = new OwedSweeps({
    url,
    call,
    templates,
    sql: config.sweep,
    pattern: config.sweepDelete,
    signal,
    counters,
    log,
    since: () => good ?? { back: lookback + margin + performance.now() - begun },
  });
  const deletes = new Deletes({
    call,
    counters,
    log,
    most: config.maxPending,
    gaveUp(keys) {
      log.error({ keys }, 'too many keys wait to be deleted: they are given up for a sweep');
      missed('recent');
    },
  });

  function missed(what: 'recent' | 'all'): void {
    next = null;
    sweeps.owe(what);
  }

  function notified(payload: string): void {
    const filled = fillFromPayload(templates, payload);
    if (filled === SWEEP) {
      counters[C.notified]++;
      missed('all');
      return;
    }
    const { keys, misfit } = filled;
    counters[misfit === null ? C.notified : C.notFitting]++;
    if (misfit !== null)
      log.warn({ payload: payload.slice(0, SHOWN), reason: misfit }, 'a notification does not fit');
    deletes.add(keys);
  }

  function alive(time: string): void {
    if (sweeps.running) return;
    if (next !== null && deletes.settled(next.added)) {
      good = next.time;
      next = null;
    }
    next ??= { time, added: deletes.added };
  }

  void listenTo({
    url,
    channels,
    keepalive,
    margin,
    log,
    signal,
    notified,
    alive,
    listening() {
      counters[C.databaseConnects]++;
      missed('recent');
    },
    lost() {
      counters[C.databaseLosses]++;
      next = null;
    },
  });

  return {
    async close(grace) {
      end.abort();
      const keys = await deletes.close(grace);
      if (keys > 0) log.error({ keys }, 'stopped before these keys were deleted');
    },
  };
}
