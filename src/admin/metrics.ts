// Prometheus metrics, made from plain counters when somebody scrapes: nothing is counted through the library.
// https://prometheus.io/docs/practices/naming/

import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';
import { C, COUNTERS, G, LATENCY_BOUNDS, LATENCY_SLOTS } from '../counters.ts';
import type { AdminSource, NodeState, ReplicaState, Snapshot } from './snapshot.ts';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly value: number;
  readonly labels: Labels;
  readonly metricName?: string;
}

/** A metric and how its samples are read from a snapshot. */
export interface MetricRow {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly samples: (snapshot: Snapshot, info: AdminSource['info']) => readonly Sample[];
}

const LATENCY = 'heatsink_upstream_latency_seconds';

/** All metrics of heatsink's own, in the order in which they are shown. */
export const METRICS: readonly MetricRow[] = [
  ...counterRows(),
  {
    name: LATENCY,
    help: 'Round trip of upstream requests, from the hand-over to the connection to the reply',
    type: 'histogram',
    labels: ['le'],
    samples: ({ counters }) => latencySamples(counters),
  },
  gauge('connected_clients', 'Client connections that are open', ({ counters }) => {
    const slots = Object.keys(COUNTERS);
    return counters[slots.indexOf('accepted')] - counters[slots.indexOf('closed')];
  }),
  gauge(
    'tier_worst_staleness_seconds',
    'Longest time that a verified hit was found to be stale',
    ({ counters }) => counters[G.worstStaleness],
  ),
  gauge('tier_bytes', 'Bytes that the local tier takes', ({ tier }) => tier.bytes),
  gauge('tier_max_bytes', 'Bytes that the local tier may take', ({ tier }) => tier.maxBytes),
  gauge('tier_entries', 'Replies in the local tier', ({ tier }) => tier.entries),
  gauge(
    'fan_out_live_copies',
    'Copies of hot keys on other masters that there are now',
    ({ counters }) => counters[G.copies],
  ),
  gauge(
    'pinned_connections',
    'Upstream connections that belong to one client, or wait for the next',
    ({ counters }) => counters[G.pinned],
  ),
  gauge(
    'lease_waiters',
    'Reads that wait for a missing key to be rebuilt',
    ({ counters }) => counters[G.leaseWaiters],
  ),
  gauge(
    'event_loop_lag_seconds',
    'How late the thread that is latest was last',
    ({ counters }) => counters[G.loopLag],
  ),
  gauge(
    'negatives',
    'Missing keys that are kept though they are not hot',
    ({ counters }) => counters[G.negatives],
  ),
  gauge(
    'write_hot_keys',
    'Hot keys that are written too often to be kept',
    ({ counters }) => counters[G.writeHot],
  ),
  gauge(
    'largest_value_bytes',
    'Size of the largest value above bigKeys.bytes or bigKeys.elements that went by',
    ({ counters }) => counters[G.largest],
  ),
  gauge('hot_keys', 'Keys that are hot now', (snapshot) => snapshot.hotKeys),
  gauge('hot_candidates', 'Keys whose reads are counted exactly', (snapshot) => snapshot.candidates),
  gauge('invalidator_connected', '1 while the invalidator listens to PostgreSQL', ({ counters }) => {
    return counters[C.databaseConnects] - counters[C.databaseLosses];
  }),
  gauge('ready', '1 when clients can be served', ({ ready }) => Number(ready)),
  {
    ...perNode('node_replies_total', 'Replies that came from the node', ({ requests }) => requests),
    type: 'counter',
  },
  {
    ...perNode(
      'node_spared_requests_total',
      'Requests for keys of the node that were answered without one of their own upstream: kept, or shared',
      ({ spared }) => spared,
    ),
    type: 'counter',
  },
  perNode('upstream_connected', '1 when a connection to the node is up', (node) => Number(node.connected)),
  perNode('upstream_circuit_open', '1 when the node is out of reach: requests for it fail at once', (node) =>
    Number(node.circuitOpen),
  ),
  perNode('upstream_pending_requests', 'Requests without a reply from the node', (node) => node.pending),
  perNode('tracking_up', '1 when the node tells of changes (CLIENT TRACKING)', ({ tracking }) =>
    Number(tracking === 'on'),
  ),
  perNode(
    'staleness_bound_seconds',
    'Age of the last proof that no invalidation of the node was missed; +Inf before the first',
    ({ proofAgeMs }) => (proofAgeMs === null ? Number.POSITIVE_INFINITY : proofAgeMs / 1000),
  ),
  perReplica('replica_fit', '1 when the replica is read from where a rule says reads: replicas', ({ fit }) =>
    Number(fit),
  ),
  perReplica('replica_pending_requests', 'Reads without a reply from the replica', ({ pending }) => pending),
  perReplica(
    'replica_lag_seconds',
    'Time by which the replica may be behind its primary at the most; +Inf when nothing is proven',
    ({ lagMs }) => (lagMs === null ? Number.POSITIVE_INFINITY : lagMs / 1000),
  ),
  {
    name: 'heatsink_build_info',
    help: 'Always 1; the version is in the label',
    type: 'gauge',
    labels: ['version'],
    samples: (_, { version }) => [{ value: 1, labels: { version } }],
  },
];

/** Renders what Prometheus scrapes: those rows, and what is known of every process. */
export function createMetrics(
  source: AdminSource,
  rows: readonly MetricRow[],
): { contentType: string; render(): Promise<string> } {
  const registry = new Registry();
  let snapshot: Snapshot;
  for (const row of rows) registry.registerMetric(rendered(row, () => row.samples(snapshot, source.info)));
  collectDefaultMetrics({ register: registry });
  return {
    contentType: registry.contentType,
    async render() {
      snapshot = await source.snapshot();
      return registry.metrics();
    },
  };
}

/** What the registry asks of a metric is its name and what `get` returns; its classes would want to count. */
function rendered({ name, help, type, labels }: MetricRow, samples: () => readonly Sample[]): Metric {
  const get = async () => ({ name, help, type, values: samples(), aggregator: 'sum' });
  return { name, help, type, labelNames: labels, get, reset() {} } as unknown as Metric;
}

function counterRows(): MetricRow[] {
  const byMetric = Map.groupBy(Object.values(COUNTERS).entries(), ([, { metric }]) => metric);
  return Array.from(byMetric, ([metric, slots]) => {
    const [, first] = slots[0];
    return {
      name: `heatsink_${metric}_total`,
      help: first.help,
      type: 'counter',
      labels: Object.keys(labelsOf(first)),
      samples: ({ counters }) =>
        slots.map(([slot, row]) => ({ value: counters[slot], labels: labelsOf(row) })),
    };
  });
}

function labelsOf(row: { labels?: Labels }): Labels {
  return row.labels ?? {};
}

function gauge(name: string, help: string, value: (snapshot: Snapshot) => number): MetricRow {
  const samples = (snapshot: Snapshot) => [{ value: value(snapshot), labels: {} }];
  return { name: `heatsink_${name}`, help, type: 'gauge', labels: [], samples };
}

function perNode(name: string, help: string, value: (node: NodeState) => number): MetricRow {
  const samples = ({ nodes }: Snapshot) =>
    nodes.map((node) => ({ value: value(node), labels: { node: node.address } }));
  return { name: `heatsink_${name}`, help, type: 'gauge', labels: ['node'], samples };
}

function perReplica(name: string, help: string, value: (replica: ReplicaState) => number): MetricRow {
  const samples = ({ replicas }: Snapshot) =>
    replicas.map((replica) => ({
      value: value(replica),
      labels: { node: replica.address, primary: replica.primary },
    }));
  return { name: `heatsink_${name}`, help, type: 'gauge', labels: ['node', 'primary'], samples };
}

function latencySamples(counters: Float64Array): Sample[] {
  let below = 0;
  const buckets = [...LATENCY_BOUNDS.map((micros) => `${micros / 1e6}`), '+Inf'].map((le, i) => {
    below += counters[LATENCY_SLOTS.first + i];
    return { value: below, labels: { le }, metricName: `${LATENCY}_bucket` };
  });
  return [
    ...buckets,
    { value: counters[LATENCY_SLOTS.sum] / 1e6, labels: {}, metricName: `${LATENCY}_sum` },
    { value: below, labels: {}, metricName: `${LATENCY}_count` },
  ];
}
