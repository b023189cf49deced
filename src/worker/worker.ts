// One worker: the file that wires the folders together into what serves clients, on a thread of its own or on the
// only one.

import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { createLogin } from '../access/create-login.ts';
import { Guesses } from '../access/guesses.ts';
import { Permit } from '../access/permit.ts';
import { Policy } from '../access/policy.ts';
import type { ProxySource } from '../admin/snapshot.ts';
import { createSource } from '../admin/source.ts';
import { Rules } from '../cache/rules.ts';
import { Tier } from '../cache/tier.ts';
import { Versions } from '../cache/versions.ts';
import { clock } from '../clock.ts';
import { CommandTable } from '../commands/table.ts';
import { appliersFor } from '../config/apply.ts';
import { sayingChanges } from '../config/changes.ts';
import { formatHostPort, type HostPort } from '../config/host-port.ts';
import { liveOptions } from '../config/live.ts';
import { observing } from '../config/observing.ts';
import type { Config, OptionPath } from '../config/schema.ts';
import { doorsOf, renewCertificates } from '../config/tls.ts';
import type { Upstream } from '../config/upstream-url.ts';
import { C, CounterMemory, G } from '../counters.ts';
import { Detector } from '../hotkeys/detector.ts';
import { clientIds, type SharedMemory } from '../memory.ts';
import { Admission } from '../proxy/admission.ts';
import { attackLog } from '../proxy/clients/attack-log.ts';
import { type ClientLimits, watchClients } from '../proxy/clients/client-limits.ts';
import { Gate } from '../proxy/clients/gate.ts';
import { Combining } from '../proxy/combining.ts';
import { Dispatch } from '../proxy/dispatch.ts';
import { Jitter } from '../proxy/jitter.ts';
import { Uploads } from '../proxy/large/uploads.ts';
import { listen } from '../proxy/listener.ts';
import { watchLoopLag } from '../proxy/loop-lag.ts';
import { ManyKeys } from '../proxy/many-keys.ts';
import { createMarks, type KeyAction } from '../proxy/marks.ts';
import type { Peers } from '../proxy/peers.ts';
import type { Pipeline } from '../proxy/pipeline.ts';
import { Invalidation } from '../proxy/reads/invalidation.ts';
import { ReplicaReads } from '../proxy/reads/replica-reads.ts';
import { track } from '../proxy/reads/track.ts';
import { Redirects } from '../proxy/redirects.ts';
import { Scatter } from '../proxy/scatter.ts';
import { OwnCommand } from '../proxy/seen/own-command.ts';
import { usageByAll } from '../proxy/seen/usage-by-all.ts';
import type { Session } from '../proxy/session.ts';
import { createPipeline } from '../proxy/tracing/traced-pipeline.ts';
import { Facade } from '../proxy/wide/facade.ts';
import { Scripts } from '../proxy/wide/scripts.ts';
import { Wide } from '../proxy/wide/wide.ts';
import { Writes } from '../proxy/writes.ts';
import { Quota } from '../quota.ts';
import { jittered } from '../upstream/backoff.ts';
import type { Control } from '../upstream/control.ts';
import { readFacts, readKeys } from '../upstream/describe.ts';
import { watchHealth } from '../upstream/health.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { composeFanOut } from './fan-out.ts';
import { answerCalls, type Call, insideClient } from './inside-client.ts';
import { composeLeases } from './leases.ts';
import { composeOwnCommands } from './own-commands.ts';
import { composeOwn } from './own-connections.ts';
import { composeReads } from './reads.ts';
import { composeSeen } from './seen.ts';
import { startTraces } from './traces.ts';
import { reachUpstream } from './upstream.ts';

export interface WorkerOptions {
  readonly config: Config;
  readonly upstream: Upstream;
  readonly memory: SharedMemory;
  /** Its number, from 0 up. */
  readonly worker: number;
  readonly peers: Peers;
  /** Where clients connect: as configured, but with ports that all workers share. */
  readonly doors: readonly HostPort[];
  readonly log: Logger;
  readonly version: string;
  readonly about: ProxySource['about'];
  readonly onClose: OnClose;
  /** Resolves when it may let clients come: those of all workers begin together. */
  readonly mayListen: () => Promise<void> | void;
  /** What the admin server may ask from now on, long before clients can connect. */
  readonly serving: (source: ProxySource) => Promise<void> | void;
}

export interface Worker {
  /** `host:port` of each door. */
  readonly addresses: readonly string[];
  /** Reads the certificates again for connections to come. */
  renewCertificates(): void;
  /** Takes options that were changed elsewhere, as CONFIG SET does. */
  configure(pairs: readonly (readonly [OptionPath, string])[]): void;
  /** Does that about keys, as all workers do. */
  act(action: KeyAction): void;
  /** Sends a command as a client of this worker. */
  readonly call: Call;
}

type OnClose = (closer: () => Promise<void> | void) => void;

/** Between two tries to reach an upstream that has not answered yet, in milliseconds. */
const RETRY = 1000;

/** Starts one worker; resolves when clients can connect to it, which waits for the upstream's first answer. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { memory, worker, peers, log, version, onClose } = options;
  const observes = options.config.observe;
  const config = observes ? observing(options.config) : options.config;
  const { kind, nodes, db } = options.upstream;
  const counterMemory = new CounterMemory(memory.workers, memory.counters);
  const counters = counterMemory.of(worker);
  const totals = () => counterMemory.totals();
  const shutdown = { timeout: config.shutdownTimeout };
  const chunkDone = () => pipeline?.chunkDone();
  let commands: () => CommandTable | null = () => null;
  const { sizes, slowLog, seen } = composeSeen({ ...options, counters, commands: () => commands() });
  const reached = reachUpstream({ ...options, config, slow: slowLog, counters, chunkDone });
  const { tls, control, topology, discovery, pinned, pinQuota, lagLimit } = reached;

  const versions = new Versions(memory.workers, worker, memory.versions);
  const limits = { ...config.tier };
  // Equal shares: clients, and with them the hot keys, are spread evenly over the workers.
  const share = (all: number) => Math.floor(all / memory.workers);
  const tier = new Tier({
    maxBytes: share(config.tier.maxBytes),
    maxEntryBytes: config.tier.maxEntryBytes,
    maxSpare: share(config.tier.maxNegatives),
    versions,
    counters,
  });
  const served = observes ? new Tier({ ...tier.options }) : tier;
  const invalidation = new Invalidation(tier, versions, counters, limits);
  onClose(() => invalidation.close());
  const { cooling, cooled } = invalidation;
  const keep = { minHits: config.tier.minHits };
  const detector = new Detector({ ...config.hot, keep, cooling, cooled }, memory.heat, worker);
  const rules = new Rules(config.rules, {
    consistency: config.consistency,
    jitter: 0,
    combine: false,
    refreshAhead: false,
    negative: false,
    reads: 'primary',
    fanOut: config.fanOut,
    lease: false,
  });
  const tracks = !observes && config.tier.enabled && rules.use('consistency', (value) => value === 'tracked');
  const tierOn = config.tier.enabled;
  const leases = composeLeases({
    ...{ config, memory, worker, rules, tierOn, versions, detector, topology, counters, answered: chunkDone },
    later: () => ({ clients: pipeline, pause, reads: again }),
  });
  topology.onMoved = (moved) => {
    invalidation.slotsMoved(moved);
    peers.tell('topology changed', null);
  };
  peers.on('topology changed', () => discovery.refreshSoon());
  const untracked = (node: UpstreamNode, reason: string) =>
    log.warn(
      { node: node.address, reason },
      'the server refuses CLIENT TRACKING: reads are shared, not kept',
    );
  topology.onNode = (node) => {
    if (tracks) track(node, { topology, discovery, invalidation, limits, refused: untracked });
  };

  const { fanOut, hidden, copyNames } = composeFanOut({
    topology,
    versions,
    counters,
    limits,
    rules,
    tracks,
    worker,
    log,
    totals,
    onClose,
    misrouted: () => discovery.refreshSoon(),
  });

  let pipeline: Pipeline | null = null;
  let notReady = () => ['the upstream has not answered yet'];
  const { threshold, window, top } = config.hot;
  const info = { version, thresholdPerSecond: threshold, windowMs: window, top };
  const tierLimit = { maxBytes: config.tier.maxBytes };
  const marks = createMarks({ detector, rules, tier, versions });
  peers.on('act', marks.act);
  const source = createSource({
    totals,
    tierLimit,
    tier,
    detector,
    topology,
    sizes,
    slowLog,
    marks,
    about: options.about,
    leaseOf: (keyHash) => leases.waits.stateOf(keyHash),
    info,
    tracks,
    copiesOf: (keyHash) => fanOut?.copiesOf(keyHash) ?? 0,
    notReady: () => notReady(),
  });
  await options.serving(source);
  await untilAnswered(() => discovery.refresh(), log);
  const policy = new Policy(config.policy, kind === 'cluster');
  let table = await readTable(control, policy);
  commands = () => table;
  for (const rule of policy.unknown(table))
    log.warn({ rule }, 'the policy names a command that the upstream does not have');
  const facts = await readFacts(control, kind === 'cluster');

  const writes = new Writes(versions, tier, counters);
  const scripts = new Scripts(peers);
  const redirects = new Redirects({ topology, discovery, counters, scripts });
  const { answers, reads, again, copies, downloads, verifier } = composeReads({
    ...{ memory, log, topology, versions, tier, tierOn, detector, rules, limits, writes, redirects },
    ...{ served, observes, pinned, sizes, fanOut, leases: leases.inUse?.waits ?? null, counters },
  });
  const scatter = new Scatter(redirects, answers, sizes, counters, hidden);
  const dispatch = new Dispatch(counters, scatter, writes);
  const sessions = new Map<number, Session>();
  const isUser = (name: string) =>
    name === 'default' ||
    config.users.some((user) => user.name === name) ||
    [...sessions.values()].some((session) => session.user === name);
  const { own, pause } = composeOwn({
    sessions,
    topology,
    answers,
    scatter,
    redirects,
    writes,
    facts,
    counters,
    peers,
    isUser,
  });
  const { idleTimeout, requestTimeout, queryBuffer, outputBuffer } = config.client;
  const clientLimits: ClientLimits = {
    idleTimeout,
    requestTimeout,
    queryBuffer,
    outputBuffer: outputBuffer || Number.POSITIVE_INFINITY,
  };
  onClose(watchClients(sessions, clientLimits, counters));
  const shed = { ...config.shed };
  const guessLimit = { authDelay: config.client.authDelay };
  const guesses = new Guesses(guessLimit);
  const gate = new Gate({
    quota: new Quota(memory.clients, worker, config.client.maxClients),
    protects: config.client.protectedMode,
    checked: config.users.length > 0 || config.auth === 'upstream',
    counters,
  });
  const tuned = {
    gate,
    pinQuota,
    shed,
    guessLimit,
    clientLimits,
    sizes,
    slowLog,
    detector,
    tier,
    tierLimit,
    share,
    keep,
    limits,
    leaseLimits: leases.limits,
    log,
    shown: info,
    clients: () => pipeline,
    shutdown,
    lagLimit,
  };
  const live = liveOptions(options.config, appliersFor(tuned));
  // Said by the worker that was asked, and not by all.
  const tunables = sayingChanges(live, (said) => log.info(said, 'options changed'));
  const configure = (pairs: readonly (readonly [OptionPath, string])[]) => void live.set(pairs);
  peers.on('configure', configure);
  const tracked = () => topology.nodes.reduce((sum, node) => sum + (node.tracker?.connections ?? 0), 0);
  const gauge = () => {
    counters[G.held] = pause.held;
    counters[G.tracked] = tracked();
    counters[G.pinned] = pinQuota.own;
    counters[G.writeHot] = detector.writeHot;
    counters[G.leaseWaiters] = leases.waits.lines.count();
  };
  const ownState = () => ({
    version,
    upstream: kind,
    nodes: topology.nodes.length,
    maxBytes: tierLimit.maxBytes,
    hotKeys: detector.hotKeys,
    candidates: detector.candidates,
  });
  const totalsNow = () => {
    gauge();
    return totals();
  };
  const usage = usageByAll(peers, (measuring) => {
    sizes.measure(measuring);
    if (pipeline !== null) pipeline.usage = measuring;
  });
  const subcommands = composeOwnCommands({
    ...{ seen, usage, source, peers, marks, rules, totals: totalsNow },
    state: ownState,
    cluster: kind === 'cluster',
  });
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
    tunables,
    peers,
    counters,
    hidden,
    totals: totalsNow,
    state: ownState,
    maxClients: () => gate.quota.most,
  });
  peers.on('wrong password', (address: string) => guesses.failed(address, clock.tick()));
  const { login, close: closeLogin } = createLogin({
    users: config.users,
    open: config.auth === 'auto',
    topology,
    guesses,
    wrong(address) {
      counters[C.wrongPasswords]++;
      peers.tell('wrong password', address);
    },
  });
  onClose(closeLogin);
  pipeline = createPipeline(await startTraces(options), {
    tier: served,
    tierOn,
    rules,
    detector,
    topology,
    reads,
    leases: leases.inUse,
    replicaReads:
      topology.replicas === null
        ? null
        : new ReplicaReads({ rules, detector, topology, discovery, downloads, answers, tierOn, counters }),
    copies,
    copyNames,
    downloads,
    uploads: new Uploads({ topology, answers, redirects, writes, pause, sizes, counters }),
    dispatch,
    manyKeys: new ManyKeys({ topology, detector, answers, dispatch }),
    answers,
    own,
    wide,
    ownCommand: new OwnCommand({ subcommands, answers, counters }),
    admission: new Admission(login, new Permit(policy), counters),
    login,
    pause,
    combining: rules.use('combine', (on) => on)
      ? new Combining({ rules, dispatch, answers, redirects, counters })
      : null,
    jitter: rules.use('jitter', (share) => share > 0) ? new Jitter(rules, counters) : null,
    verifier,
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
    limits: clientLimits,
    attacked: attackLog(log),
    pinned,
    firstDb: db,
  });
  const serving = pipeline;
  serving.usage = usage.current?.active ? usage.current : null;
  onClose(
    watchLoopLag(shed, counters, (reply) => {
      serving.shed = reply;
    }),
  );
  const timer = setInterval(() => {
    detector.advance(clock.tick());
    gauge();
  }, config.hot.window / config.hot.steps).unref();
  onClose(() => clearInterval(timer));
  await pause.learn();
  await options.mayListen();
  const nextId = clientIds(memory);
  const doors = doorsOf(config).map(({ tls }, i) => ({ tls, at: options.doors[i] }));
  const listener = await listen(doors, pipeline, {
    sessions,
    nextId,
    gate,
    reusePort: memory.workers > 1,
  });
  onClose(() => listener.close(shutdown.timeout));
  onClose(() => leases.waits.stop());
  const call = insideClient(pipeline, { sessions, nextId, onClose });
  peers.on('call', answerCalls(worker, call));
  const health = watchHealth(control, (trouble) => {
    if (trouble === null) log.info('the upstream answers again');
    else log.error({ reason: trouble }, 'the upstream does not answer');
  });
  onClose(() => health.close());
  notReady = () => (health.trouble === null ? [] : [health.trouble]);
  const renewed = (side: string) => log.info({ side }, 'certificates were read again');
  const refused = (side: string, reason: string) =>
    log.error({ side, reason }, 'the certificates stay as they are: the files are of no use');
  return {
    addresses: listener.addresses,
    renewCertificates: () => renewCertificates(config, listener, tls, { renewed, refused }),
    configure,
    act: marks.act,
    call,
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

/** Tries again until the upstream answers: a proxy that starts before its servers must not give up. */
async function untilAnswered(question: () => Promise<void>, log: Logger): Promise<void> {
  for (;;) {
    try {
      return await question();
    } catch (error) {
      log.warn({ reason: (error as Error).message }, 'waiting for the upstream');
      await new Promise((resolve) => setTimeout(resolve, jittered(RETRY)));
    }
  }
}
