// The log: JSON lines on standard output, or lines for people on a terminal.

import { destination, type Logger, pino, stdTimeFunctions } from 'pino';
import { build as pretty } from 'pino-pretty';
import type { Config } from './config/schema.ts';

/** A logger that writes at once, so that the last lines before an exit are not lost. */
export function createLog(options: Config['log']): Logger {
  const forPeople = options.pretty === 'on' || (options.pretty === 'auto' && process.stdout.isTTY === true);
  // In this thread, not as a pino transport: those run in a worker thread and lose lines on exit.
  const stream = forPeople
    ? pretty({ sync: true, singleLine: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' })
    : destination({ fd: 1, sync: true });
  return pino({ level: options.level, timestamp: stdTimeFunctions.isoTime }, stream);
}
