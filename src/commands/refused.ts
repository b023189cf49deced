// What this version does not serve, and the words that say so. Everything here would read or change the state
// of a connection that heatsink shares between clients, or lead a client past heatsink.

import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentIs } from './argument.ts';
import type { Command } from './command.ts';

const OWN_CONNECTION = 'a connection of their own, which this version does not give';
const BLOCKING = `commands that may block need ${OWN_CONNECTION}`;
const PAST_HEATSINK = 'heatsink follows the cluster itself, and its clients need not know of it';
const NO_SUCH_CLIENT =
  'it is about connections of the upstream server, which heatsink shares between its clients';
const AT_THE_SERVER = 'it is about one server process: send it to that server itself';

const ROWS: readonly (readonly [reason: string, names: string])[] = [
  [`transactions need ${OWN_CONNECTION}`, 'multi exec discard watch unwatch'],
  [
    `subscriptions need ${OWN_CONNECTION}`,
    'subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe',
  ],
  [
    'it waits for the writes of one connection, and heatsink shares its connections between clients',
    'wait waitaof',
  ],
  [`MONITOR and replication need ${OWN_CONNECTION}`, 'monitor sync psync replconf'],
  [
    NO_SUCH_CLIENT,
    'client|caching client|getredir client|kill client|list client|no-evict client|no-touch client|pause ' +
      'client|reply client|tracking client|trackinginfo client|unblock client|unpause script|debug',
  ],
  [PAST_HEATSINK, 'cluster readonly readwrite asking restore-asking'],
  [AT_THE_SERVER, 'shutdown debug replicaof slaveof failover migrate'],
];

/** Refused commands, by lower-case name, and why. */
export const REFUSED: ReadonlyMap<string, string> = new Map(
  ROWS.flatMap(([reason, names]) => names.split(' ').map((name) => [name, reason] as const)),
);

/** Refused in some forms only; `refuses` knows which. */
const SOMETIMES: ReadonlyMap<string, string> = new Map([
  ['xread', BLOCKING],
  ['xreadgroup', BLOCKING],
  ['scan', 'a cursor belongs to one node of a cluster, and this version does not join the walks of several'],
]);

/** Why the command is refused always, or in some forms; empty when it is served. */
export function refusalOf(name: string, blocking: boolean): string {
  const own = REFUSED.get(name) ?? SOMETIMES.get(name);
  if (own !== undefined) return own;
  const container = name.slice(0, Math.max(0, name.indexOf('|')));
  // What a newer server's CLIENT can do is about the connection, too, so nothing unknown of it may pass.
  if (container === 'client' && name !== 'client|help') return NO_SUCH_CLIENT;
  if (container !== '') return REFUSED.get(container) ?? '';
  return blocking ? BLOCKING : '';
}

/**
 * The error, ready for `errorReply`, with which this request of a command whose route is `refuse` is refused;
 * null when this form of it is served. `cluster`: the upstream has several masters.
 */
export function refuses(
  command: Command,
  frame: RequestFrame,
  context: { readonly cluster: boolean },
): string | null {
  if (command.name === 'scan' && !context.cluster) return null;
  if (command.name === 'xread' && !blocks(frame, 1)) return null;
  // XREADGROUP GROUP name consumer: the two names may be any word.
  if (command.name === 'xreadgroup' && !blocks(frame, 4)) return null;
  return `ERR heatsink: ${command.name.replace('|', ' ').toUpperCase()} is not served: ${command.refusal}`;
}

function blocks(frame: RequestFrame, from: number): boolean {
  for (let i = from; i < frame.argc; i++) {
    if (argumentIs(frame, i, 'streams')) return false;
    if (argumentIs(frame, i, 'block')) return true;
    if (argumentIs(frame, i, 'count')) i++;
  }
  return false;
}
