// What one worker needs to answer reads: to share them, to keep what they found, to pass on what is large, and to check
// what was kept.

import type { Logger } from 'pino';
import { Flights } from '../cache/flights.ts';
import type { Rules } from '../cache/rules.ts';
import type { Tier } from '../cache/tier.ts';
import type { Versions } from '../cache/versions.ts';
import { Witness } from '../cache/witness.ts';
import type { Counters } from '../counters.ts';
import type { FanOut } from '../fanout/fan-out.ts';
import type { Detector } from '../hotkeys/detector.ts';
import type { SharedMemory } from '../memory.ts';
import { Answers } from '../proxy/answers.ts';
import { Downloads } from '../proxy/large/downloads.ts';
import { CopyReads } from '../proxy/reads/copy-reads.ts';
import { type FillLimits, type FillOptions, Fills } from '../proxy/reads/fills.ts';
import { LastValues } from '../proxy/reads/last-values.ts';
import type { LeaseWaits } from '../proxy/reads/lease-waits.ts';
import { Negatives } from '../proxy/reads/negatives.ts';
import { ObservedFills } from '../proxy/reads/observed-fills.ts';
import { ObservedReads } from '../proxy/reads/observed-reads.ts';
import { Refreshes } from '../proxy/reads/refreshes.ts';
import { SharedReads } from '../proxy/reads/shared-reads.ts';
import { Verifier } from '../proxy/reads/verify.ts';
import type { Redirects } from '../proxy/redirects.ts';
import type { Sizes } from '../proxy/seen/sizes.ts';
import type { Writes } from '../proxy/writes.ts';
import type { PinBudget } from '../upstream/pin-budget.ts';
import type { Topology } from '../upstream/topology.ts';

export interface ReadParts {
  readonly memory: SharedMemory;
  readonly log: Logger;
  readonly topology: Topology;
  readonly versions: Versions;
  readonly tier: Tier;
  /** What is served: the tier, or one that is empty. */
  readonly served: Tier;
  /** Whether nothing is to be served from the tier, but counted. */
  readonly observes: boolean;
  /** Whether anything may be kept at all. */
  readonly tierOn: boolean;
  readonly detector: Detector;
  readonly rules: Rules;
  /** May change at any time. */
  readonly limits: FillLimits & { readonly verifyShare: number };
  readonly writes: Writes;
  readonly redirects: Redirects;
  readonly pinned: PinBudget;
  readonly sizes: Sizes;
  /** Null where no key can have copies. */
  readonly fanOut: FanOut | null;
  /** Null where no rule gives leases. */
  readonly leases: LeaseWaits | null;
  readonly counters: Counters;
}

export function composeReads(parts: ReadParts) {
  const { memory, log, versions, redirects, counters, fanOut } = parts;
  const flights = new Flights();
  const witness = new Witness(versions, memory.witness);
  const lastValues = new LastValues({ ...parts, tier: parts.served });
  const negatives = new Negatives(parts.detector, counters);
  const filling: FillOptions = {
    ...parts,
    witness,
    lastValues,
    planRefresh: (entry, { asks, lease }, { sentAt }) => refreshes.plan(entry, asks, lease, sentAt),
  };
  const observed = parts.observes ? new ObservedFills(filling) : null;
  const fills = observed ?? new Fills(filling);
  const downloads = new Downloads({ ...parts, flights, fills, lastValues });
  const copies = fanOut && new CopyReads({ fanOut, witness, redirects, counters, answers: () => answers });
  const answers: Answers = new Answers({
    ...parts,
    flights,
    fills,
    negatives,
    witness,
    downloads,
    lastValues,
    copies,
  });
  const refreshes = new Refreshes({ ...parts, flights, fills, answers });
  const shared = new SharedReads({ ...parts, flights, fills, answers, negatives, copies });
  const reads = observed === null ? shared : new ObservedReads({ ...parts, flights, fills: observed });
  const mismatch = (key: Buffer) =>
    log.error(
      { key: key.toString() },
      'a reply that was kept outlived the promise on stale reads: it is dropped; please report this',
    );
  return { answers, reads, again: shared, copies, downloads, verifier: new Verifier({ ...parts, mismatch }) };
}
