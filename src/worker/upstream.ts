// One worker's way to the upstream: whom it asks about the nodes, the nodes themselves, and who watches over them.

import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { upstreamTls } from '../config/tls.ts';
import type { Upstream } from '../config/upstream-url.ts';
import type { Counters } from '../counters.ts';
import type { SharedMemory } from '../memory.ts';
import type { Peers } from '../proxy/peers.ts';
import { Quota } from '../quota.ts';
import { Control, type ControlLink } from '../upstream/control.ts';
import { discoverCluster, discoverStandalone } from '../upstream/discover.ts';
import { discoverSentinel } from '../upstream/discover-sentinel.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { PinBudget } from '../upstream/pin-budget.ts';
import { Replicas } from '../upstream/replicas.ts';
import type { SlowWatch } from '../upstream/slow-watch.ts';
import { Topology } from '../upstream/topology.ts';
import { watchNodes } from '../upstream/watch-nodes.ts';

export interface ReachOptions {
  readonly config: Config;
  readonly upstream: Upstream;
  readonly memory: SharedMemory;
  readonly worker: number;
  readonly peers: Peers;
  readonly log: Logger;
  readonly slow: SlowWatch;
  readonly counters: Counters;
  /** All replies of an upstream chunk were given out. */
  readonly chunkDone: () => void;
  readonly onClose: (closer: () => Promise<void> | void) => void;
}

/** Connects to nothing yet: the first refresh of the discovery finds the nodes. */
export function reachUpstream(options: ReachOptions) {
  const { config, memory, worker, peers, log, slow, counters, chunkDone, onClose } = options;
  const { kind, nodes, master, db, username, password } = options.upstream;
  const { connectTimeout, topologyInterval } = config.nodes;
  const tls = upstreamTls(config);
  const identity = { username, password, tls };
  const nodeLink = { ...identity, timeout: connectTimeout };
  const control = new Control({ ...nodeLink, seeds: master === undefined ? nodes : [] });
  onClose(() => control.close());
  const lost = (node: UpstreamNode) => nodeWatch.lost(node);
  const pinQuota = new Quota(memory.pinned, worker, config.nodes.maxPinned);
  const pinned = new PinBudget(pinQuota, () => peers.tell('pins wanted', null));
  peers.on('pins wanted', () => void pinned.makeRoom());
  const link = { ...identity, ...config.nodes, db, pinned, slow, counters, chunkDone, lost };
  const topology = new Topology(kind === 'cluster', link);
  onClose(() => topology.close());
  const lagLimit = { ...config.reads };
  if (config.rules.some(({ reads }) => reads === 'replicas')) {
    topology.replicas = new Replicas({
      link,
      cluster: topology.cluster,
      limit: lagLimit,
      replyTimeout: config.nodes.replyTimeout,
      counters,
      outdated: () => discovery.refreshSoon(),
      refused: ({ address }, words) =>
        log.warn(
          { node: address, words },
          'the server does not tell how late it is: no replica is read from unless reads.maxLag is 0',
        ),
    });
  }
  const failed = (error: Error) => log.warn({ reason: error.message }, 'the topology could not be read');
  const discovering = { control, topology, counters, interval: topologyInterval, failed };
  const discovery =
    master === undefined
      ? (kind === 'cluster' ? discoverCluster : discoverStandalone)(discovering)
      : discoverSentinel({
          ...discovering,
          ...sentinelsOf(config, nodes, master, nodeLink),
          switched: ({ host, port }) => log.info({ host, port }, 'the sentinels name a new master'),
        });
  onClose(() => discovery.close());
  const nodeWatch = watchNodes(topology, discovery, config.nodes.replyTimeout);
  onClose(() => nodeWatch.close());
  return { tls, control, topology, discovery, pinned, pinQuota, lagLimit };
}

/** Sentinels have users of their own: nothing of the nodes' is shown to them. */
function sentinelsOf(config: Config, sentinels: Upstream['nodes'], master: string, nodeLink: ControlLink) {
  const { sentinelUsername, sentinelPassword } = config.nodes;
  const username = sentinelUsername ?? undefined;
  const password = sentinelPassword ?? undefined;
  return { sentinels, master, nodeLink, sentinelLink: { ...nodeLink, username, password } };
}
