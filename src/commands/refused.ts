// What heatsink cannot serve, and the words that say so. What it could serve, but should not to everybody, is a
// matter of policy: access/policy.ts.

const NO_SUCH_CLIENT =
  'it is about connections of the upstream server, which heatsink shares between its clients';

/**
 * Why the command is refused, empty when it is served. What a newer server's CLIENT can do is about the connection,
 * too, so nothing of it may pass that heatsink does not know.
 */
export function refusalOf(name: string): string {
  return name.startsWith('client|') && name !== 'client|help' ? NO_SUCH_CLIENT : '';
}

/** The error for a command that is refused for that reason, ready for `errorReply`. */
export function refused(name: string, reason: string): string {
  return `ERR heatsink: ${name.replace('|', ' ').toUpperCase()} is not served: ${reason}`;
}
