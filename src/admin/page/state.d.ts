// What /state, /history and /events send. Rates are per second.

/** Any bytes: in base64 where they are not UTF-8. */
export interface Key {
  key: string;
  encoding?: 'base64';
}

export interface Requests {
  total: number;
  tier_hit: number;
  coalesced: number;
  forwarded: number;
  stale_on_error: number;
  local: number;
  refused: number;
  shed: number;
  error: number;
}

export interface Latency {
  p50: number;
  p90: number;
  p99: number;
  p999: number;
}

export interface NodeState {
  address: string;
  connected: boolean;
  circuit_open: boolean;
  pending: number;
  tracking: 'on' | 'connecting' | 'refused' | 'off';
  proof_age_ms: number | null;
  requests: number;
  saved: number;
}

export interface ReplicaState {
  address: string;
  primary: string;
  connected: boolean;
  fit: boolean;
  pending: number;
  lag_ms: number | null;
}

export interface HotKey extends Key {
  state: 'tier' | 'copies' | 'write-hot' | 'hot' | 'candidate' | 'banned';
  reads_per_second: number;
  share: number;
  node: string | null;
  node_share: number | null;
  hits: number;
  entries: number;
  bytes: number;
  hot_since: string | null;
  copies: number;
  lease: { held_ms: number | null; waiters: number } | null;
  pinned: boolean;
  banned: boolean;
}

export interface BigKey extends Key {
  db: number;
  bytes: number;
  elements: number;
  command: string;
  direction: string;
  last_seen: string;
  times: number;
}

export interface SlowCommand {
  id: number;
  time: string;
  duration_us: number;
  arguments: (string | { base64: string })[];
  client: string;
  client_name: string;
  node: string;
}

export interface State {
  version: string;
  now: string;
  started: string;
  mode: 'serve' | 'observe';
  workers: number;
  clients: number;
  ready: boolean;
  reasons: string[];
  token_required: boolean;
  threshold: number;
  window_ms: number;
  requests: Requests;
  /** Those that would have been saved, were heatsink not only observing. */
  observed: number;
  hit_ratio: number | null;
  latency_ms: Latency | null;
  tier: { bytes: number; max_bytes: number; entries: number; hot_keys: number; candidates: number };
  nodes: NodeState[];
  replicas: ReplicaState[];
  hot_keys: HotKey[];
  pinned: Key[];
  banned: Key[];
  big_keys: BigKey[];
  slow_commands: SlowCommand[];
}

/** One second of the past. */
export interface Point {
  /** Epoch seconds. */
  t: number;
  requests: Requests;
  /** Those that would have been saved, were heatsink not only observing. */
  observed: number;
  hit_ratio: number | null;
  latency_ms: Latency | null;
  clients: number;
  tier_bytes: number;
  hot_keys: number;
  nodes: Record<string, { requests: number; saved: number }>;
}
