// Traces of this worker's requests, if the environment asks for any.

import type { Logger } from 'pino';
import { readTraceSettings } from '../config/traces.ts';
import type { Traces } from '../proxy/tracing/trace.ts';

export interface TracesOptions {
  readonly worker: number;
  readonly version: string;
  readonly log: Logger;
  readonly onClose: (closer: () => Promise<void> | void) => void;
}

/** How long the last spans may take to be sent when heatsink ends, in milliseconds. */
const PATIENCE = 1500;

/** Null when nothing is to be traced; then nothing is loaded for it either. */
export async function startTraces({ worker, version, log, onClose }: TracesOptions): Promise<Traces | null> {
  const { settings, warnings } = readTraceSettings(process.env);
  if (worker === 0)
    for (const reason of warnings) log.warn({ reason }, 'traces are not as they were asked for');
  if (settings === null) return null;
  const { createSpans } = await import('./spans.ts');
  const spans = createSpans({ settings, worker, version, log });
  onClose(async () => {
    const late = new Promise((resolve) => setTimeout(resolve, PATIENCE).unref());
    // What cannot be sent was said to be so already.
    await Promise.race([spans.close().catch(() => {}), late]);
  });
  if (worker === 0) log.info({ share: settings.share }, 'some requests are traced');
  return {
    // Drawn, so that no pattern of requests can hide from it.
    draw: () => Math.ceil(Math.random() * 2 * (1 / settings.share - 0.5)),
    record: (trace) => spans.record(trace),
  };
}
