// How far a trace has been read, on a terminal.

import type { WriteStream } from 'node:tty';
import { Presets, SingleBar } from 'cli-progress';
import { count } from './report.ts';

export interface Progress {
  /** `total` is null when nobody knows it. */
  update(read: number, total: number | null, requests: number): void;
  stop(): void;
}

const NONE: Progress = { update() {}, stop() {} };
const MIB = 2 ** 20;

/** A bar on the stream if it is a terminal; else nothing. */
export function showProgress(stream: WriteStream): Progress {
  if (!stream.isTTY) return NONE;
  let bar: SingleBar | null = null;
  return {
    update(read, total, requests) {
      const of = total === null ? '' : ' {percentage} % {bar}';
      if (bar === null) {
        const format = `${of} {mib} MiB, {requests} requests`.trimStart();
        bar = new SingleBar(
          { stream, format, clearOnComplete: true, hideCursor: true },
          Presets.shades_classic,
        );
        bar.start(total ?? 1, 0, { mib: '0', requests: '0' });
      }
      bar.update(total === null ? 0 : read, { mib: (read / MIB).toFixed(1), requests: count(requests) });
    },
    stop() {
      bar?.stop();
    },
  };
}
