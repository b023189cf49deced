// What this version cannot serve, and the words that say so. Everything here would read or change the state
// of a connection that heatsink shares between clients, or lead a client past heatsink. What it could serve, but
// should not to everybody, is a matter of policy: access/policy.ts.

import type { Command } from './command.ts';

const NO_SUCH_CLIENT =
  'it is about connections of the upstream server, which heatsink shares between its clients';

const ROWS: readonly (readonly [reason: string, names: string])[] = [[NO_SUCH_CLIENT, 'script|debug']];

/** Refused commands, by lower-case name, and why. */
export const REFUSED: ReadonlyMap<string, string> = new Map(
  ROWS.flatMap(([reason, names]) => names.split(' ').map((name) => [name, reason] as const)),
);

/** Refused in some forms only; `refuses` knows which. */
const SOMETIMES: ReadonlyMap<string, string> = new Map([
  ['scan', 'a cursor belongs to one node of a cluster, and this version does not join the walks of several'],
]);

/** Why the command is refused always, or in some forms; empty when it is served. */
export function refusalOf(name: string): string {
  const own = REFUSED.get(name) ?? SOMETIMES.get(name);
  if (own !== undefined) return own;
  const container = name.slice(0, Math.max(0, name.indexOf('|')));
  // What a newer server's CLIENT can do is about the connection, too, so nothing unknown of it may pass.
  if (container === 'client' && name !== 'client|help') return NO_SUCH_CLIENT;
  return REFUSED.get(container) ?? '';
}

/**
 * The error, ready for `errorReply`, with which this request of a command whose route is `refuse` is refused;
 * null when this form of it is served. `cluster`: the upstream has several masters.
 */
export function refuses(command: Command, context: { readonly cluster: boolean }): string | null {
  if (command.name === 'scan' && !context.cluster) return null;
  return `ERR heatsink: ${command.name.replace('|', ' ').toUpperCase()} is not served: ${command.refusal}`;
}
