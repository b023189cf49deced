// The commands for which the server keeps something per connection, or waits: they get a connection of their own.

export type State =
  | 'transaction'
  | 'subscription'
  | 'blocking'
  | 'wait'
  | 'tracking'
  | 'monitor'
  | 'replication';

const ROWS: readonly (readonly [State, string])[] = [
  ['transaction', 'multi exec discard watch unwatch'],
  ['subscription', 'subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe'],
  ['wait', 'wait waitaof'],
  ['tracking', 'client|tracking client|caching client|trackinginfo client|getredir'],
  ['monitor', 'monitor'],
  ['replication', 'sync psync replconf'],
];

const STATES: ReadonlyMap<string, State> = new Map(
  ROWS.flatMap(([state, names]) => names.split(' ').map((name) => [name, state] as const)),
);

/** What the command, by its lower-case name, needs its connection for; null for most. `blocking`: it may wait. */
export function stateOf(name: string, blocking: boolean): State | null {
  return STATES.get(name) ?? (blocking || name === 'xread' || name === 'xreadgroup' ? 'blocking' : null);
}
