// The invalidator inside `serve`: on the main thread, once for all workers, deleting as a client of one of them.

import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { CounterMemory } from '../counters.ts';
import type { SharedMemory } from '../memory.ts';
import type { Call } from '../worker/inside-client.ts';

/** Starts it if a PostgreSQL is configured; the result ends it within the time that requests in flight get. */
export async function serveInvalidator(
  { invalidator: config, shutdownTimeout }: Config,
  { memory, call, log }: { memory: SharedMemory; call: Call; log: Logger },
): Promise<(() => Promise<void>) | null> {
  if (config.postgres === null) return null;
  // The client of PostgreSQL is loaded by those who use it.
  const { startInvalidator } = await import('./invalidator.ts');
  // Nobody else writes to these slots, so they may be among those of any worker.
  const counters = new CounterMemory(memory.workers, memory.counters).of(0);
  const invalidator = startInvalidator({ config, call, counters, log });
  return () => invalidator.close(shutdownTimeout);
}
