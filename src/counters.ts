// What the workers count while they serve: slots of a Float64Array each, so that counting is an add and no more, in
// memory that all threads can read. Every folder may write here; rows become Prometheus series in admin/.

interface Row {
  /** Prometheus name without the `heatsink_` prefix and the `_total` suffix. */
  readonly metric: string;
  readonly help: string;
  readonly labels?: Readonly<Record<string, string>>;
}

const requests = 'Client requests by how they were answered';
const observed =
  'Requests that would have been answered without one of their own upstream, were they not only observed';
const invalidations = 'Invalidations of the local tier by what caused them';
const upstream = 'Requests sent to upstream nodes by purpose';
const verified =
  'Hits that were compared with the server, by what came of it; a mismatch is a broken promise';
const fallbacks = 'Reads of keys with reads: replicas that the primary was asked for all the same, by why';
const rejections = 'Client connections refused when they came, by the reason';
const overruns = 'Client connections closed for passing a limit, by which';
const redirects = 'Redirections followed on behalf of clients';
const copies = 'Copies of hot keys on other masters by what became of them';
const spread = 'Reads of keys with copies by where they were sent';
const large = 'Requests and replies too large to be held, passed on as they came';
const big = 'Values above bigKeys.bytes or bigKeys.elements that went by, one for each key of a request';
const leases = 'Leases of missing keys by how clients came by them';
const leaseWaits = 'Reads that waited for a missing key to be rebuilt, by what ended their wait';
const notified = 'Notifications of PostgreSQL by what came of them';
const swept = 'Sweeps of what may have changed unnoticed, by how they ended';
const bytes = 'Bytes read and written on client connections';

const row = (metric: string, help: string, labels?: Record<string, string>): Row =>
  labels ? { metric, help, labels } : { metric, help };

/** Every counter, in the order of its slot. */
export const COUNTERS = {
  hit: row('requests', requests, { outcome: 'tier_hit' }),
  coalesced: row('requests', requests, { outcome: 'coalesced' }),
  forwarded: row('requests', requests, { outcome: 'forwarded' }),
  staleServed: row('requests', requests, { outcome: 'stale_on_error' }),
  local: row('requests', requests, { outcome: 'local' }),
  refused: row('requests', requests, { outcome: 'refused' }),
  shed: row('requests', requests, { outcome: 'shed' }),
  failed: row('requests', requests, { outcome: 'error' }),
  observedHits: row('observed_requests', observed, { outcome: 'tier_hit' }),
  observedShared: row('observed_requests', observed, { outcome: 'coalesced' }),
  observedFills: row(
    'observed_fills',
    'Replies that the local tier would have kept, were it not only observed',
  ),
  sentRead: row('upstream_requests', upstream, { purpose: 'read' }),
  sentReplica: row('upstream_requests', upstream, { purpose: 'replica_read' }),
  sentWrite: row('upstream_requests', upstream, { purpose: 'write' }),
  sentFill: row('upstream_requests', upstream, { purpose: 'fill' }),
  sentVerify: row('upstream_requests', upstream, { purpose: 'verify' }),
  sentProbe: row('upstream_requests', upstream, { purpose: 'probe' }),
  fillsKept: row('tier_fills', 'Fills of the local tier by what became of them', { result: 'kept' }),
  fillsDropped: row('tier_fills', 'Fills of the local tier by what became of them', { result: 'dropped' }),
  verifiedSame: row('tier_verified', verified, { result: 'same' }),
  verifiedChanged: row('tier_verified', verified, { result: 'changed_meanwhile' }),
  verifiedStale: row('tier_verified', verified, { result: 'stale' }),
  verifiedMismatch: row('tier_verified', verified, { result: 'mismatch' }),
  staleSeconds: row(
    'tier_observed_staleness_seconds',
    'Time that verified hits which were stale went on being so',
  ),
  refreshes: row('tier_refreshes', 'Replies of hot keys that were read again ahead of their end'),
  negativeHits: row('negative_hits', 'Reads of missing keys that are not hot that were served from the tier'),
  leaseGiven: row('leases', leases, { how: 'given' }),
  leasePassedSilent: row('leases', leases, { how: 'passed_on_silence' }),
  leasePassedGone: row('leases', leases, { how: 'passed_on_disconnect' }),
  leaseWaitFound: row('lease_waits', leaseWaits, { result: 'value' }),
  leaseWaitLease: row('lease_waits', leaseWaits, { result: 'lease' }),
  leaseWaitTimedOut: row('lease_waits', leaseWaits, { result: 'timed_out' }),
  leaseWaitEnded: row('lease_waits', leaseWaits, { result: 'ended' }),
  evictions: row('tier_evictions', 'Entries dropped from the local tier to make room'),
  invalidatedByPush: row('invalidations', invalidations, { cause: 'server_push' }),
  invalidatedByWrite: row('invalidations', invalidations, { cause: 'write' }),
  invalidatedByFlush: row('invalidations', invalidations, { cause: 'flush' }),
  invalidatedByLoss: row('invalidations', invalidations, { cause: 'tracking_lost' }),
  invalidatedByMove: row('invalidations', invalidations, { cause: 'slot_moved' }),
  copiesMade: row('fan_out_copies', copies, { event: 'made' }),
  copiesFailed: row('fan_out_copies', copies, { event: 'failed' }),
  copiesRetired: row('fan_out_copies', copies, { event: 'retired' }),
  copyBytes: row('fan_out_copied_bytes', 'Bytes of values sent to other masters as copies'),
  spreadPrimary: row('fan_out_reads', spread, { target: 'primary' }),
  spreadCopy: row('fan_out_reads', spread, { target: 'copy' }),
  copyFallback: row(
    'fan_out_fallbacks',
    'Reads whose copy could not be believed, sent to the primary as well',
  ),
  moved: row('redirects', redirects, { kind: 'moved' }),
  asked: row('redirects', redirects, { kind: 'ask' }),
  tryAgain: row('redirects', redirects, { kind: 'tryagain' }),
  retried: row('read_retries', 'Reads sent again after their upstream connection broke'),
  retriesRefused: row(
    'read_retries_refused',
    'Reads not sent again because too many were: nodes.retryBudget',
  ),
  jittered: row('jittered_ttls', 'Times to live that were moved by the jitter of a rule'),
  combined: row('combined_increments', 'Increments that went upstream together with others'),
  combinedSent: row('combined_increment_requests', 'Requests that carried several increments upstream'),
  replicaUnfit: row('replica_fallbacks', fallbacks, { reason: 'none_fit' }),
  replicaRefused: row('replica_fallbacks', fallbacks, { reason: 'refused' }),
  replicaBroken: row('replica_fallbacks', fallbacks, { reason: 'connection_broken' }),
  circuitOpened: row('upstream_circuit_opened', 'Times a node was found out of reach'),
  failedFast: row('upstream_fast_failures', 'Requests failed at once because their node is out of reach'),
  topologyRefreshes: row('topology_refreshes', 'Times the upstream topology was read'),
  upstreamConnects: row('upstream_connects', 'Upstream connections opened'),
  accepted: row('client_connections', 'Client connections accepted'),
  closed: row('client_disconnects', 'Client connections closed'),
  tooManyClients: row('client_rejections', rejections, { reason: 'max_clients' }),
  unprotected: row('client_rejections', rejections, { reason: 'protected_mode' }),
  closedIdle: row('client_overruns', overruns, { limit: 'idle_timeout' }),
  closedStuck: row('client_overruns', overruns, { limit: 'request_timeout' }),
  closedUnread: row('client_overruns', overruns, { limit: 'query_buffer' }),
  closedUnsent: row('client_overruns', overruns, { limit: 'output_buffer' }),
  unpinned: row('pin_refusals', 'Commands refused because too many upstream connections were pinned'),
  http: row('cross_protocol', 'Client connections closed because they spoke HTTP'),
  wrongPasswords: row('auth_failures', 'Logins with a wrong name or password'),
  tlsFailures: row('tls_handshake_failures', 'Client connections closed because their TLS handshake failed'),
  largeReads: row('large_values', large, { direction: 'read' }),
  largeWrites: row('large_values', large, { direction: 'write' }),
  bigReplies: row('big_values', big, { direction: 'reply' }),
  bigArguments: row('big_values', big, { direction: 'argument' }),
  slowCommands: row('slow_commands', 'Upstream commands that were slow: slowLog.slowerThan'),
  notified: row('invalidator_notifications', notified, { result: 'applied' }),
  notFitting: row('invalidator_notifications', notified, { result: 'not_fitting' }),
  invalidatorDeletes: row('invalidator_deletes', 'Keys deleted for notifications of PostgreSQL'),
  invalidatorFailures: row('invalidator_delete_failures', 'Deletes that failed and are tried again'),
  invalidatorGivenUp: row('invalidator_given_up', 'Keys not deleted because too many waited for it'),
  sweepsDone: row('invalidator_sweeps', swept, { result: 'done' }),
  sweepsFailed: row('invalidator_sweeps', swept, { result: 'failed' }),
  databaseConnects: row('invalidator_connects', 'Connections to PostgreSQL that listened'),
  databaseLosses: row('invalidator_disconnects', 'Connections to PostgreSQL that listened and ended'),
  protocolErrors: row('protocol_errors', 'Client connections closed for a protocol error'),
  bytesIn: row('client_bytes', bytes, { direction: 'in' }),
  bytesOut: row('client_bytes', bytes, { direction: 'out' }),
} as const satisfies Record<string, Row>;

export type CounterName = keyof typeof COUNTERS;

/** The slot of each counter. */
export const C = Object.fromEntries(Object.keys(COUNTERS).map((name, slot) => [name, slot])) as Readonly<
  Record<CounterName, number>
>;

/** Upper bounds of the upstream latency buckets in microseconds: 32 us to 4.2 s, by powers of two. */
export const LATENCY_BOUNDS: readonly number[] = Array.from({ length: 18 }, (_, i) => 32 << i);

const LATENCY_AT = Object.keys(COUNTERS).length;
/** Slots behind the counters: one per latency bucket, one for all above, one for the sum in microseconds. */
export const LATENCY_SLOTS = { first: LATENCY_AT, sum: LATENCY_AT + LATENCY_BOUNDS.length + 1 } as const;

const GAUGE_AT = LATENCY_SLOTS.sum + 1;
/** What one worker has now, and what there is to say of all together: the sum, or that of the worst. */
const GAUGES = {
  tierBytes: 'sum',
  tierEntries: 'sum',
  /** Clients that a pause holds. */
  held: 'sum',
  /** Connections of heatsink itself to one server that it tracks keys for. */
  tracked: 'sum',
  /** The longest that a verified hit was stale, in seconds. */
  worstStaleness: 'worst',
  /** Upstream connections that belong to one client, or wait for the next one. */
  pinned: 'sum',
  /** Seconds by which its thread was late last. */
  loopLag: 'worst',
  /** Missing keys that are kept, or are being read for that. */
  negatives: 'sum',
  /** Hot keys that are written too often to be kept. */
  writeHot: 'worst',
  /** Bytes of the largest value that went by. */
  largest: 'worst',
  /** Copies of keys on other masters. */
  copies: 'sum',
  /** Reads that wait for a missing key to be rebuilt. */
  leaseWaiters: 'sum',
} as const;

type GaugeName = keyof typeof GAUGES;

/** The slot of each of them, behind the counters. */
export const G = Object.fromEntries(Object.keys(GAUGES).map((name, i) => [name, GAUGE_AT + i])) as Readonly<
  Record<GaugeName, number>
>;
const WORST = (Object.keys(GAUGES) as GaugeName[])
  .filter((name) => GAUGES[name] === 'worst')
  .map((name) => G[name]);
const SLOTS = GAUGE_AT + Object.keys(GAUGES).length;

/** What one worker has counted: it alone writes there. */
export type Counters = Float64Array;

/** Bytes from one worker's slots to the next one's: no two share a cache line. */
const STRIDE = Math.ceil((SLOTS * 8) / 128) * 128;

export class CounterMemory {
  readonly shared: SharedArrayBuffer;
  readonly workers: number;

  constructor(workers: number, shared = new SharedArrayBuffer(STRIDE * workers)) {
    this.shared = shared;
    this.workers = workers;
  }

  /** The slots of worker 0, 1, ... */
  of(worker: number): Counters {
    return new Float64Array(this.shared, STRIDE * worker, SLOTS);
  }

  /** The sums over all workers; of what is late, the latest. */
  totals(): Counters {
    const sums = new Float64Array(SLOTS);
    for (let worker = 0; worker < this.workers; worker++) {
      const slots = this.of(worker);
      for (let slot = 0; slot < SLOTS; slot++) sums[slot] += slots[slot];
    }
    for (const slot of WORST) {
      const values = Array.from({ length: this.workers }, (_, worker) => this.of(worker)[slot]);
      sums[slot] = Math.max(...values);
    }
    return sums;
  }

  /** That worker is gone, and with it its clients and all that it had. */
  workerLost(worker: number): void {
    const slots = this.of(worker);
    slots[C.closed] = slots[C.accepted];
    slots.fill(0, GAUGE_AT);
  }
}

/** Counts one upstream round trip of that many microseconds. */
export function countLatency(counters: Counters, micros: number): void {
  const bucket = micros <= 32 ? 0 : Math.min(27 - Math.clz32(micros - 1), LATENCY_BOUNDS.length);
  counters[LATENCY_AT + bucket]++;
  counters[LATENCY_SLOTS.sum] += micros;
}
