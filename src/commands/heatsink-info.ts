// The section of INFO that is heatsink's own. Its fields begin with heatsink_, as most readers of INFO throw the
// fields of all sections into one bag.

import { C, COUNTERS, type Counters, G } from '../counters.ts';

/** What the section tells besides the counters. */
export interface OwnState {
  readonly version: string;
  readonly upstream: 'standalone' | 'cluster' | 'sentinel';
  /** Masters. */
  readonly nodes: number;
  /** Bytes that the tier may take. */
  readonly maxBytes: number;
  readonly hotKeys: number;
  readonly candidates: number;
}

const startedAt = Date.now();

/** Clients that are connected now. */
export function connectedClients(counters: Counters): number {
  return counters[C.accepted] - counters[C.closed];
}

/** What there is to tell, by name; counters in the words of the metrics: requests_tier_hit, say. */
export function ownFields(state: OwnState, counters: Counters): (readonly [string, string | number])[] {
  const gauges: (readonly [string, string | number])[] = [
    ['version', state.version],
    ['uptime_in_seconds', Math.floor((Date.now() - startedAt) / 1000)],
    ['upstream', state.upstream],
    ['upstream_nodes', state.nodes],
    ['connected_clients', connectedClients(counters)],
    ['tier_entries', counters[G.tierEntries]],
    ['tier_bytes', counters[G.tierBytes]],
    ['tier_max_bytes', state.maxBytes],
    ['hot_keys', state.hotKeys],
    ['hot_candidates', state.candidates],
  ];
  // In the words of the metrics: requests_tier_hit is heatsink_requests_total{outcome="tier_hit"}.
  const counted = Object.values<(typeof COUNTERS)[keyof typeof COUNTERS]>(COUNTERS).map((row, slot) => {
    const labels: Readonly<Record<string, string>> = 'labels' in row ? (row.labels ?? {}) : {};
    return [[row.metric, ...Object.values(labels)].join('_'), counters[slot]] as const;
  });
  return [...gauges, ...counted];
}

/** The section with its heading, from the counters of all workers; every line ends with `\r\n`. */
export function heatsinkSection(state: OwnState, counters: Counters): string {
  const lines = ownFields(state, counters).map(([name, value]) => `heatsink_${name}:${value}\r\n`);
  return `# Heatsink\r\n${lines.join('')}`;
}
