// What a new value of a live option does to the parts that run.

import type { GuessLimit } from '../access/guesses.ts';
import type { Tier } from '../cache/tier.ts';
import type { Detector } from '../hotkeys/detector.ts';
import type { KeepLimits } from '../hotkeys/heat.ts';
import type { ClientLimits } from '../proxy/clients/client-limits.ts';
import type { Gate } from '../proxy/clients/gate.ts';
import type { LagLimit } from '../proxy/loop-lag.ts';
import type { FillLimits } from '../proxy/reads/fills.ts';
import type { LeaseLimits } from '../proxy/reads/lease-waits.ts';
import type { Sizes } from '../proxy/seen/sizes.ts';
import type { SlowLog } from '../proxy/seen/slow-log.ts';
import type { Quota } from '../quota.ts';
import type { Appliers } from './live.ts';

/** The parts that options are changed in; their fields are read when they are used. */
export interface Tuned {
  readonly detector: Detector;
  readonly tier: Tier;
  /** What all workers' tiers may take together, and how much of it is this one's. */
  readonly tierLimit: { maxBytes: number };
  readonly share: (all: number) => number;
  readonly keep: KeepLimits;
  readonly limits: FillLimits & { verifyShare: number };
  readonly leaseLimits: LeaseLimits;
  readonly log: { level: string };
  /** What /hotkeys shows and says. */
  readonly shown: { top: number; thresholdPerSecond: number };
  /** Null before there can be any. */
  readonly clients: () => { maxPipeline: number } | null;
  readonly gate: Gate;
  readonly pinQuota: Quota;
  readonly shed: LagLimit;
  readonly guessLimit: GuessLimit;
  readonly clientLimits: ClientLimits;
  readonly sizes: Sizes;
  readonly slowLog: SlowLog;
  readonly shutdown: { timeout: number };
  readonly lagLimit: { maxLag: number };
}

export function appliersFor(tuned: Tuned): Appliers {
  const {
    detector,
    tier,
    limits,
    leaseLimits,
    log,
    shown,
    clients,
    gate,
    pinQuota,
    shed,
    guessLimit,
    clientLimits,
    sizes,
    slowLog,
    shutdown,
    lagLimit,
  } = tuned;
  return {
    shutdownTimeout(value) {
      shutdown.timeout = value;
    },
    'client.maxPipeline'(value) {
      const serving = clients();
      if (serving !== null) serving.maxPipeline = value;
    },
    'client.maxClients'(value) {
      gate.quota.most = value;
    },
    'client.idleTimeout'(value) {
      clientLimits.idleTimeout = value;
    },
    'client.requestTimeout'(value) {
      clientLimits.requestTimeout = value;
    },
    'client.queryBuffer'(value) {
      clientLimits.queryBuffer = value;
    },
    'client.outputBuffer'(value) {
      clientLimits.outputBuffer = value || Number.POSITIVE_INFINITY;
    },
    'client.protectedMode'(value) {
      gate.protects = value;
    },
    'client.authDelay'(value) {
      guessLimit.authDelay = value;
    },
    'shed.lag'(value) {
      shed.lag = value;
    },
    'nodes.maxPinned'(value) {
      pinQuota.most = value;
    },
    'reads.maxLag'(value) {
      lagLimit.maxLag = value;
    },
    'hot.threshold'(value) {
      detector.tune({ threshold: value });
      shown.thresholdPerSecond = value;
    },
    'hot.cool': (value) => detector.tune({ cool: value }),
    'hot.top'(value) {
      shown.top = value;
    },
    'tier.maxBytes'(value) {
      tuned.tierLimit.maxBytes = value;
      tier.limit(tuned.share(value));
    },
    'tier.maxEntryBytes'(value) {
      tier.options.maxEntryBytes = value;
    },
    'tier.maxNegatives'(value) {
      tier.options.maxSpare = tuned.share(value);
    },
    'tier.minHits'(value) {
      tuned.keep.minHits = value;
    },
    'tier.ttl'(value) {
      limits.ttl = value;
    },
    'tier.maxStaleness'(value) {
      limits.maxStaleness = value;
    },
    'tier.untrackedTtl'(value) {
      limits.untrackedTtl = value;
    },
    'tier.verifyShare'(value) {
      limits.verifyShare = value;
    },
    'tier.staleOnError'(value) {
      limits.staleOnError = value;
    },
    'bigKeys.bytes': (bytes) => sizes.tune({ bytes }),
    'bigKeys.elements': (elements) => sizes.tune({ elements }),
    'bigKeys.top': (top) => sizes.tune({ top }),
    'slowLog.slowerThan': (slowerThan) => slowLog.tune({ slowerThan }),
    'slowLog.maxLen': (maxLen) => slowLog.tune({ maxLen }),
    'lease.wait'(value) {
      leaseLimits.wait = value;
    },
    'lease.hold'(value) {
      leaseLimits.hold = value;
    },
    'log.level'(value) {
      log.level = value;
    },
  };
}
