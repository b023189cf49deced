// CLIENT PAUSE: what its arguments say, and which commands a pause of writes holds.
// https://redis.io/docs/latest/commands/client-pause/

import type { RequestFrame } from '../resp3/request-frame.ts';
import { argument, argumentIs, argumentText } from './argument.ts';
import { parseInteger } from './client-state.ts';
import type { Command } from './command.ts';

/** What is held, from less to more. */
export const RUNNING = 0;
export const PAUSED_WRITES = 1;
export const PAUSED = 2;
export type PauseMode = typeof RUNNING | typeof PAUSED_WRITES | typeof PAUSED;

export interface PauseOrder {
  readonly mode: PauseMode;
  /** Milliseconds from its execution on. */
  readonly timeout: number;
}

/** What a CLIENT PAUSE orders; null for one that no server takes. */
export function readPause(frame: RequestFrame): PauseOrder | null {
  if (frame.argc !== 3 && frame.argc !== 4) return null;
  const timeout = parseInteger(argumentText(frame, 2));
  if (timeout === null || timeout < 0n) return null;
  const onlyWrites = frame.argc === 4 && argumentIs(frame, 3, 'write');
  if (frame.argc === 4 && !onlyWrites && !argumentIs(frame, 3, 'all')) return null;
  return { mode: onlyWrites ? PAUSED_WRITES : PAUSED, timeout: Number(timeout) };
}

/**
 * Whether only the server can tell if this request may write: its script is there, or says something of itself in
 * its first line. https://redis.io/docs/latest/develop/interact/programmability/eval-intro/#script-flags
 */
export function mayOnlyRead(command: Command, frame: RequestFrame): boolean {
  switch (command.name) {
    case 'evalsha':
    case 'fcall':
      return true;
    case 'eval':
      return argument(frame, 1).toString('latin1', 0, 2) === '#!';
    default:
      return false;
  }
}
