// The commands for which the server keeps something per connection, or waits: they get a connection of their own.
// And those about heatsink's own clients, which see what all connections wait for.

export type State =
  | 'script'
  | 'transaction'
  | 'subscription'
  | 'blocking'
  | 'wait'
  | 'tracking'
  | 'client'
  | 'monitor'
  | 'stream';

const ROWS: readonly (readonly [State, string])[] = [
  // As long as a script runs, its connection is not served.
  ['script', 'eval evalsha eval_ro evalsha_ro fcall fcall_ro'],
  ['transaction', 'multi exec discard watch unwatch'],
  ['subscription', 'subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe'],
  ['wait', 'wait waitaof'],
  // DEBUG SLEEP holds its connection up.
  ['blocking', 'debug'],
  ['tracking', 'client|tracking client|caching client|trackinginfo client|getredir'],
  [
    'client',
    'client|list client|info client|kill client|unblock client|reply client|no-evict client|no-touch ' +
      'client|pause client|unpause',
  ],
  ['monitor', 'monitor'],
  ['stream', 'sync psync replconf script|debug'],
];

const STATES: ReadonlyMap<string, State> = new Map(
  ROWS.flatMap(([state, names]) => names.split(' ').map((name) => [name, state] as const)),
);

/** Subcommands among them, which servers older than 7.0 do not list. */
export const STATEFUL_SUBCOMMANDS: readonly string[] = [...STATES.keys()].filter((name) =>
  name.includes('|'),
);

/** What the command, by its lower-case name, needs its connection for; null for most. `blocking`: it may wait. */
export function stateOf(name: string, blocking: boolean): State | null {
  return STATES.get(name) ?? (blocking || name === 'xread' || name === 'xreadgroup' ? 'blocking' : null);
}
