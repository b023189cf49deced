// What came of each setting, in numbers, and which one is recommended.

import type { Replay } from './replay.ts';
import type { Setting, Tunable } from './settings.ts';
import type { Simulated } from './simulated.ts';

/** Shares of the hottest shard's load that are as good as each other. */
const A_POINT = 0.01;

export interface Result {
  readonly setting: Setting['written'];
  /** Share of the requests about keys that the tier answers, from 0 to 1. */
  readonly hit_ratio: number;
  /** Requests per second to the master that has the most of them: on average, and in its busiest second. */
  readonly hottest_shard: { readonly mean: number; readonly peak: number };
  /** Shares of what the hottest shard has without heatsink, from 0 to 1; below 0 when it has more. */
  readonly spared: { readonly mean: number; readonly peak: number };
  /** Of the tier at its fullest. */
  readonly memory_bytes: number;
  readonly entries: number;
  readonly hot_keys: number;
  readonly fills: number;
  readonly too_large: number;
  readonly invalidated: number;
  readonly evicted: number;
}

export interface Recommendation {
  readonly setting: Setting['written'];
  readonly reason: string;
}

export interface Results {
  readonly seconds: number;
  readonly requests: number;
  readonly reads: number;
  /** Reads whose reply may be kept. */
  readonly keepable_reads: number;
  readonly writes: number;
  readonly nodes: number;
  /** Without heatsink. */
  readonly hottest_shard: { readonly mean: number; readonly peak: number };
  readonly results: readonly Result[];
  /** Null when no setting spares the hottest shard anything worth it. */
  readonly recommended: Recommendation | null;
}

export function resultsOf(replay: Replay, nodes: number): Results {
  const { seconds, requests, reads, keepable, writes, direct } = replay;
  const results = replay.simulated.map((simulated) => resultOf(simulated, replay));
  return {
    seconds,
    requests,
    reads,
    keepable_reads: keepable,
    writes,
    nodes,
    hottest_shard: { mean: Math.max(...direct.total) / seconds, peak: direct.peak },
    results,
    recommended: recommend(
      results,
      replay.simulated.map(({ setting }) => setting),
    ),
  };
}

function resultOf(simulated: Simulated, { seconds, requests, direct }: Replay): Result {
  const { setting, hits, loads, fills, tooLarge, invalidated, evicted } = simulated;
  const most = Math.max(...loads.total);
  return {
    setting: setting.written,
    hit_ratio: hits / requests,
    hottest_shard: { mean: most / seconds, peak: loads.peak },
    spared: { mean: 1 - most / Math.max(...direct.total), peak: 1 - loads.peak / direct.peak },
    memory_bytes: simulated.peakBytes,
    entries: simulated.peakEntries,
    hot_keys: simulated.peakHotKeys,
    fills,
    too_large: tooLarge,
    invalidated,
    evicted,
  };
}

/** What a setting spares the hottest shard, on average and at its peak, of which a point of either counts the same. */
const relief = ({ spared }: Result) => (spared.mean + spared.peak) / 2;

/**
 * Among the settings that spare the hottest shard as much as the best one, to within a point, the one with the least
 * memory; of those, the one that leaves the most keys alone.
 */
export function recommend(results: readonly Result[], settings: readonly Setting[]): Recommendation | null {
  const best = Math.max(...results.map(relief));
  if (!(best >= A_POINT)) return null;
  const good = results.map((result, i) => ({ result, setting: settings[i] }));
  const [chosen, ...others] = good
    .filter(({ result }) => relief(result) >= best - A_POINT)
    .sort(
      (a, b) =>
        a.result.memory_bytes - b.result.memory_bytes ||
        value(b, 'hot.threshold') - value(a, 'hot.threshold') ||
        value(a, 'tier.maxBytes') - value(b, 'tier.maxBytes') ||
        value(b, 'tier.ttl') - value(a, 'tier.ttl'),
    );
  const { spared } = chosen.result;
  const share = (part: number) => `${Math.round(part * 100)} %`;
  const even =
    others.length > 0 ? `as much as the best of the ${results.length} settings to within a point` : '';
  const why =
    results.length === 1
      ? 'the only setting'
      : others.length > 0
        ? `${even}, with the least memory`
        : `no other of the ${results.length} settings spares as much to within a point`;
  return {
    setting: chosen.setting.written,
    reason: `spares the hottest shard ${share(spared.mean)} of its requests, ${share(spared.peak)} in its busiest second: ${why}`,
  };
}

function value({ setting }: { readonly setting: Setting }, name: Tunable): number {
  return setting.values[name];
}
