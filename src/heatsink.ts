// The composition root: the one file that wires the folders together.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { createLogin } from './access/create-login.ts';
import { Permit } from './access/permit.ts';
import { Policy } from './access/policy.ts';
import { startAdmin } from './admin/server.ts';
import { createSource } from './admin/source.ts';
import { Flights } from './cache/flights.ts';
import { Rules } from './cache/rules.ts';
import { Tier } from './cache/tier.ts';
import { Versions } from './cache/versions.ts';
import { clock } from './clock.ts';
import { CommandTable } from './commands/table.ts';
import { appliersFor } from './config/apply.ts';
import { formatHostPort, type HostPort } from './config/host-port.ts';
import { liveOptions } from './config/live.ts';
import type { Config } from './config/schema.ts';
import { doorsOf, renewCertificates, upstreamTls } from './config/tls.ts';
import { parseUpstream, type Upstream } from './config/upstream-url.ts';
import { createCounters } from './counters.ts';
import { Detector } from './hotkeys/detector.ts';
import { Admission } from './proxy/admission.ts';
import { Answers } from './proxy/answers.ts';
import { Blocking } from './proxy/blocking.ts';
import { ClientPause } from './proxy/client-pause.ts';
import { ClientUnblock } from './proxy/client-unblock.ts';
import { Clients } from './proxy/clients.ts';
import { ExecCall } from './proxy/exec.ts';
import { Facade } from './proxy/facade.ts';
import { Fills } from './proxy/fills.ts';
import { Invalidation } from './proxy/invalidation.ts';
import { listen } from './proxy/listener.ts';
import { NoTouch } from './proxy/no-touch.ts';
import { OwnConnection } from './proxy/own-connection.ts';
import { Pipeline } from './proxy/pipeline.ts';
import { Redirects } from './proxy/redirects.ts';
import { Scatter } from './proxy/scatter.ts';
import { Scripts } from './proxy/scripts.ts';
import type { Session } from './proxy/session.ts';
import { SharedReads } from './proxy/shared-reads.ts';
import { Subscribing } from './proxy/subscriptions.ts';
import { track } from './proxy/track.ts';
import { Tracking } from './proxy/tracking.ts';
import { Transactions } from './proxy/transactions.ts';
import { Watch } from './proxy/watch.ts';
import { Wide } from './proxy/wide.ts';
import { Writes } from './proxy/writes.ts';
import { Control, type ControlLink } from './upstream/control.ts';
import { readFacts, readKeys } from './upstream/describe.ts';
import { discoverCluster, discoverStandalone } from './upstream/discover.ts';
import { discoverSentinel } from './upstream/discover-sentinel.ts';
import { startEmbeddedRedis } from './upstream/embedded.ts';
import { watchHealth } from './upstream/health.ts';
import type { UpstreamNode } from './upstream/node.ts';
import { Topology } from './upstream/topology.ts';
import { watchNodes } from './upstream/watch-nodes.ts';

export interface Heatsink {
  /** `host:port` where clients connect. */
  readonly address: string;
  /** `host:port` where they connect by TLS, null when they cannot. */
  readonly tlsAddress: string | null;
  /** `host:port` of the admin server, null when it is off. */
  readonly adminAddress: string | null;
  /** Reads the certificates again for connections to come; null without TLS. */
  readonly renewCertificates: (() => void) | null;
  /** Lets what is in flight be answered, then closes everything, the embedded Redis too. */
  readonly close: () => Promise<void>;
}

type OnClose = (closer: () => Promise<void> | void) => void;

const VERSION: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;

/** Between two tries to reach an upstream that has not answered yet, in milliseconds. */
const RETRY = 1000;
/** Starts the proxy; resolves when clients can connect, which waits for the upstream's first answer. */
export async function startHeatsink(config: Config, { log }: { log: Logger }): Promise<Heatsink> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return { ...(await start(config, log, (closer) => closers.push(closer))), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(config: Config, log: Logger, onClose: OnClose): Promise<Omit<Heatsink, 'close'>> {
  const counters = createCounters();
  const shutdown = { timeout: config.shutdownTimeout };
  const { kind, nodes, master, db, username, password } = await findUpstream(config, log, onClose);
  const { connectTimeout, topologyInterval, lanes } = config.nodes;
  const tls = upstreamTls(config);
  const identity = { username, password, tls };
  const nodeLink = { ...identity, timeout: connectTimeout };
  const control = new Control({ ...nodeLink, seeds: master === undefined ? nodes : [] });
  onClose(() => control.close());
  const chunkDone = () => pipeline?.chunkDone();
  const lost = (node: UpstreamNode) => nodeWatch.lost(node);
  const link = { ...identity, db, connectTimeout, lanes, counters, chunkDone, lost };
  const topology = new Topology(kind === 'cluster', link);
  onClose(() => topology.close());
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
  const nodeWatch = watchNodes(topology, discovery);
  onClose(() => nodeWatch.close());

  const versions = new Versions();
  const limits = { ...config.tier };
  const tier = new Tier({ ...config.tier, versions, counters });
  const invalidation = new Invalidation(tier, versions, counters);
  const detector = new Detector({ ...config.hot, changed: (heat) => invalidation.heatChanged(heat) });
  const rules = new Rules(config.rules, config.consistency);
  const tracks = config.tier.enabled && rules.use('tracked');
  topology.onMoved = (moved) => invalidation.slotsMoved(moved);
  const untracked = (node: UpstreamNode, reason: string) =>
    log.warn(
      { node: node.address, reason },
      'the server refuses CLIENT TRACKING: reads are shared, not kept',
    );
  topology.onNode = (node) => {
    if (tracks) track(node, { topology, discovery, invalidation, limits, refused: untracked });
  };

  let pipeline: Pipeline | null = null;
  let notReady = () => ['the upstream has not answered yet'];
  const { threshold, window, top } = config.hot;
  const info = { version: VERSION, thresholdPerSecond: threshold, windowMs: window, top };
  const source = createSource({
    counters,
    tier,
    detector,
    topology,
    info,
    tracks,
    notReady: () => notReady(),
  });
  const admin = config.admin === null ? null : await startAdmin(source, config.admin, log);
  onClose(() => admin?.close());
  await untilAnswered(() => discovery.refresh(), log);
  const policy = new Policy(config.policy, kind === 'cluster');
  let table = await readTable(control, policy);
  for (const rule of policy.unknown(table))
    log.warn({ rule }, 'the policy names a command that the upstream does not have');
  const facts = await readFacts(control, kind === 'cluster');

  const flights = new Flights();
  const writes = new Writes(versions, tier, counters);
  const scripts = new Scripts();
  const redirects = new Redirects({ topology, discovery, counters, scripts });
  const fills = new Fills({ tier, versions, topology, counters, limits });
  const answers = new Answers({ tier, flights, detector, topology, redirects, fills, writes, counters });
  const tierOn = config.tier.enabled;
  const scatter = new Scatter(redirects, answers, counters);
  const sessions = new Map<number, Session>();
  const pause = new ClientPause({ sessions, topology, answers, counters });
  const exec = new ExecCall({ redirects, answers, pause, counters });
  const unblock = new ClientUnblock({ sessions, topology, answers, counters });
  const own = new OwnConnection({
    unblock,
    topology,
    answers,
    transactions: new Transactions({
      topology,
      answers,
      exec,
      watch: new Watch({ topology, answers, redirects, counters }),
      pause,
      redirects,
      writes,
      facts,
      counters,
    }),
    subscribing: new Subscribing({ topology, answers, redirects, counters }),
    blocking: new Blocking({ topology, answers, scatter, counters }),
    tracking: new Tracking({ topology, answers, counters, client: (id) => sessions.get(id) }),
    clients: new Clients({
      sessions,
      pause,
      unblock,
      noTouch: new NoTouch({ topology, answers, counters }),
      counters,
      isUser: (name) =>
        name === 'default' ||
        config.users.some((user) => user.name === name) ||
        [...sessions.values()].some((session) => session.user === name),
      version: facts.version,
    }),
    pause,
    counters,
  });
  const tuned = { detector, tier, limits, log, shown: info, clients: () => pipeline, shutdown };
  const wide = new Wide({
    topology,
    scatter,
    answers,
    scripts,
    facade: new Facade({
      topology,
      always: config.cluster.facade === 'on',
      announce: config.cluster.announce,
      id: nodeId(config, nodes),
    }),
    tunables: liveOptions(config, appliersFor(tuned)),
    counters,
    state: () => ({
      version: VERSION,
      upstream: kind,
      nodes: topology.nodes.length,
      tier: { entries: tier.entries, bytes: tier.bytes, maxBytes: tier.options.maxBytes },
      hotKeys: detector.hotKeys,
      candidates: detector.candidates,
      held: pause.held,
      tracking: topology.nodes.reduce((sum, node) => sum + (node.tracker?.connections ?? 0), 0),
    }),
  });
  const { login, close: closeLogin } = createLogin({
    users: config.users,
    open: config.auth === 'auto',
    topology,
  });
  onClose(closeLogin);
  pipeline = new Pipeline({
    tier,
    tierOn,
    rules,
    detector,
    topology,
    reads: new SharedReads({ flights, fills, versions, answers, counters, tierOn }),
    writes,
    answers,
    scatter,
    own,
    wide,
    admission: new Admission(login, new Permit(policy), counters),
    login,
    pause,
    counters,
    facts,
    table: () => table,
    async askKeys(args, known) {
      const keys = await readKeys(control, args);
      // The server knows a command that the table does not: a module that was loaded since, or another server.
      if (keys !== null && !known) table = await readTable(control, policy).catch(() => table);
      return keys;
    },
    maxPipeline: config.client.maxPipeline,
    firstDb: db,
  });
  const timer = setInterval(
    () => detector.advance(clock.tick()),
    config.hot.window / config.hot.steps,
  ).unref();
  onClose(() => clearInterval(timer));
  const listener = await listen(doorsOf(config), pipeline, sessions);
  onClose(() => listener.close(shutdown.timeout));
  const health = watchHealth(control, (trouble) => {
    if (trouble === null) log.info('the upstream answers again');
    else log.error({ reason: trouble }, 'the upstream does not answer');
  });
  onClose(() => health.close());
  notReady = () => (health.trouble === null ? [] : [health.trouble]);
  onClose(() => {
    notReady = () => ['heatsink is shutting down'];
  });
  const { addresses } = listener;
  const renewed = (side: string) => log.info({ side }, 'certificates were read again');
  const refused = (side: string, reason: string) =>
    log.error({ side, reason }, 'the certificates stay as they are: the files are of no use');
  return {
    address: addresses[0],
    tlsAddress: config.tls.cert === null ? null : (addresses.at(-1) ?? null),
    adminAddress: admin?.address ?? null,
    renewCertificates:
      config.tls.cert === null && tls === null
        ? null
        : () => renewCertificates(config, listener, tls, { renewed, refused }),
  };
}

async function readTable(control: Control, policy: Policy): Promise<CommandTable> {
  return CommandTable.from(await control.call('COMMAND'), (name, flagged) => policy.guardOf(name, flagged));
}

/**
 * The name that heatsink goes by as a node of a cluster: the same after a restart and in all workers, and another
 * one for another address or upstream.
 */
function nodeId(config: Config, seeds: readonly HostPort[]): string {
  const { announce } = config.cluster;
  const who = announce === null ? [config.listen, ...seeds] : [announce];
  return createHash('sha1').update(who.map(formatHostPort).join(' ')).digest('hex');
}

/** The configured upstream, or a private redis-server that lives as long as heatsink. */
async function findUpstream(config: Config, log: Logger, onClose: OnClose): Promise<Upstream> {
  if (config.upstream !== null) return config.upstream;
  const embedded = await startEmbeddedRedis({ log });
  onClose(() => embedded.close());
  return parseUpstream(embedded.url);
}

/** Sentinels have users of their own: nothing of the nodes' is shown to them. */
function sentinelsOf(config: Config, sentinels: Upstream['nodes'], master: string, nodeLink: ControlLink) {
  const { sentinelUsername, sentinelPassword } = config.nodes;
  const username = sentinelUsername ?? undefined;
  const password = sentinelPassword ?? undefined;
  return { sentinels, master, nodeLink, sentinelLink: { ...nodeLink, username, password } };
}

/** Tries again until the upstream answers: a proxy that starts before its servers must not give up. */
async function untilAnswered(question: () => Promise<void>, log: Logger): Promise<void> {
  for (;;) {
    try {
      return await question();
    } catch (error) {
      log.warn({ reason: (error as Error).message }, 'waiting for the upstream');
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}
