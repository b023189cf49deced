// When the topology must be read although nobody said MOVED: a broken connection may mean that another node takes
// over, and of a row of changes the last ones may be seen by nobody. And when a node that says nothing must be asked.

import type { Discovery } from './discover.ts';
import type { UpstreamNode } from './node.ts';
import type { Topology } from './topology.ts';

/** Between two looks, in milliseconds; a failover takes a second at least. */
const INTERVAL = 500;

export interface NodeWatch {
  /** A connection to the node broke, or could not be made. */
  lost(node: UpstreamNode): void;
  close(): void;
}

/**
 * Has the topology read while a node is missing, until it is back or replaced, and until nothing changes any more. A
 * node that owes answers is asked whether it is alive after `replyTimeout` milliseconds of silence; 0 for never.
 */
export function watchNodes(topology: Topology, discovery: Discovery, replyTimeout: number): NodeWatch {
  const missing = new Set<UpstreamNode>();
  const isMissing = (node: UpstreamNode) => topology.nodes.includes(node) && !node.connected;
  let { generation } = topology;
  const timer = setInterval(() => {
    for (const node of missing) if (!isMissing(node)) missing.delete(node);
    if (missing.size > 0 || topology.generation !== generation) discovery.refreshSoon();
    generation = topology.generation;
    if (replyTimeout > 0) for (const node of topology.known) node.watch(replyTimeout);
  }, INTERVAL).unref();
  let closed = false;
  return {
    lost(node) {
      if (closed || !topology.nodes.includes(node)) return;
      missing.add(node);
      discovery.refreshSoon();
    },
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}
