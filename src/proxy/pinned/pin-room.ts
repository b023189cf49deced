// Refuses commands that would need more pinned connections than there may be, before they have begun anything.

import { C, type Counters } from '../../counters.ts';
import { errorReply } from '../../resp3/encode.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import type { Session } from '../session.ts';

/** As a number of connections: to each node one. */
export const EVERYWHERE = Number.POSITIVE_INFINITY;

const NO_ROOM = errorReply(
  'ERR heatsink: this command needs an upstream connection for its client alone, and there may be no more of those ' +
    '(nodes.maxPinned)',
);

/** Takes room for so many connections to those nodes, besides those that the client has; false when it was refused. */
export function hasRoom(
  session: Session,
  counters: Counters,
  nodes: readonly UpstreamNode[],
  count = 1,
): boolean {
  if (session.reserve(nodes, count)) return true;
  counters[C.refused]++;
  counters[C.unpinned]++;
  session.reply(NO_ROOM);
  return false;
}
