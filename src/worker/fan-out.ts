// What one worker needs to have copies of hot keys on other masters: nothing at all where no key can have any.

import type { Logger } from 'pino';
import type { Rules } from '../cache/rules.ts';
import { G } from '../counters.ts';
import { CopyNameGuard } from '../fanout/copy-names.ts';
import { FanOut, type FanOutOptions } from '../fanout/fan-out.ts';
import { HiddenCopies } from '../fanout/hidden.ts';

export interface FanOutParts extends Omit<FanOutOptions, 'refused'> {
  readonly rules: Rules;
  /** Whether servers tell of changes. */
  readonly tracks: boolean;
  readonly worker: number;
  readonly log: Logger;
  readonly totals: () => Float64Array;
  readonly onClose: (closer: () => Promise<void>) => void;
}

export interface FanOutThings {
  readonly fanOut: FanOut | null;
  readonly hidden: HiddenCopies | null;
  readonly copyNames: CopyNameGuard | null;
}

const NONE: FanOutThings = { fanOut: null, hidden: null, copyNames: null };

export function composeFanOut(parts: FanOutParts): FanOutThings {
  const { rules, tracks, topology, worker, log, totals, onClose } = parts;
  if (!rules.use('fanOut', (value) => value !== 'off')) return NONE;
  const missing = !topology.cluster
    ? 'the upstream is no cluster'
    : !tracks
      ? 'no reply is kept while the server vouches for it: it needs tier and consistency tracked'
      : null;
  if (missing !== null) {
    if (worker === 0) log.warn({ reason: missing }, 'fanOut has no effect');
    return NONE;
  }
  const fanOut = new FanOut({
    ...parts,
    refused: (node, words) =>
      log.warn({ node: node.address, reason: words }, 'the server takes no copy of a hot key'),
  });
  onClose(() => fanOut.close());
  return {
    fanOut,
    hidden: new HiddenCopies(() => totals()[G.copies]),
    copyNames: new CopyNameGuard(),
  };
}
