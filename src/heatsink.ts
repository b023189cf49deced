// A whole heatsink: the upstream that it was told, or its own, the admin server, and its workers: one on this
// thread, or several on threads of their own.

import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { createLive } from './admin/live.ts';
import { startAdmin } from './admin/server.ts';
import type { ProxySource } from './admin/snapshot.ts';
import type { HostPort } from './config/host-port.ts';
import type { Config, OptionPath } from './config/schema.ts';
import { parseUpstream, type Upstream } from './config/upstream-url.ts';
import { serveInvalidator } from './invalidator/serve.ts';
import { createMemory, type SharedMemory } from './memory.ts';
import { NO_PEERS } from './proxy/peers.ts';
import { startEmbeddedRedis } from './upstream/embedded.ts';
import type { Call } from './worker/inside-client.ts';
import { startWorker } from './worker/worker.ts';
import { canSharePorts, claimDoors, createTeam } from './workers.ts';

export interface Heatsink {
  /** `host:port` where clients connect. */
  readonly address: string;
  /** `host:port` where they connect by TLS, null when they cannot. */
  readonly tlsAddress: string | null;
  /** `host:port` of the admin server, null when it is off. */
  readonly adminAddress: string | null;
  /** How many threads serve clients. */
  readonly workers: number;
  /** Reads the certificates of both sides, as far as there are any, again for connections to come. */
  readonly renewCertificates: () => void;
  /** Gives options that can change while heatsink runs their new values, which are valid, in all workers. */
  readonly configure: (pairs: readonly (readonly [OptionPath, string])[]) => void;
  /** Ends a worker thread as a crash does; does nothing where there are none. */
  readonly crashWorker: (worker: number) => void;
  /** Lets what is in flight be answered, then closes everything, the embedded Redis too. */
  readonly close: () => Promise<void>;
}

type OnClose = (closer: () => Promise<void> | void) => void;

/** What clients see of the workers. */
interface Serving {
  readonly addresses: readonly string[];
  readonly renewCertificates: () => void;
  readonly configure: Heatsink['configure'];
  readonly crashWorker: (worker: number) => void;
  readonly call: Call;
}

const VERSION: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;

/** A heatsink that is being started. */
export interface Launch {
  /** Resolves when clients can connect to all workers, which waits for the upstream's first answer. */
  readonly ready: Promise<Heatsink>;
  /** Closes what has been started so far; what is in flight is answered first. */
  readonly close: () => Promise<void>;
}

export function launchHeatsink(config: Config, { log }: { log: Logger }): Launch {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    leaving.begun = true;
    if (leaving.mayWait) await new Promise((resolve) => setTimeout(resolve, config.shutdownDelay));
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  const leaving = { begun: false, mayWait: false };
  const started = start(config, log, leaving, (closer) => closers.push(closer));
  const ready = started.then(
    (serving) => {
      leaving.mayWait = true;
      return { ...serving, close };
    },
    async (error) => {
      await close();
      throw error;
    },
  );
  return { ready, close };
}

/** Starts heatsink; resolves when clients can connect. */
export function startHeatsink(config: Config, options: { log: Logger }): Promise<Heatsink> {
  return launchHeatsink(config, options).ready;
}

/** Whether it is to end, and whether that must wait until nobody is sent here any more: not before anybody was. */
interface Leaving {
  begun: boolean;
  mayWait: boolean;
}

/** Whoever asks hears that clients are to go elsewhere as soon as that is so, and long before they are sent away. */
function sayingLeaving(source: ProxySource, leaving: Leaving): ProxySource {
  return {
    ...source,
    async snapshot() {
      const now = await source.snapshot();
      if (!leaving.begun) return now;
      return { ...now, ready: false, reasons: ['heatsink is shutting down', ...now.reasons] };
    },
  };
}

async function start(
  asked: Config,
  log: Logger,
  leaving: Leaving,
  onClose: OnClose,
): Promise<Omit<Heatsink, 'close'>> {
  const upstream = await findUpstream(asked, log, onClose);
  const config = { ...asked, workers: await workersOf(asked, log) };
  const { threshold, window, top } = config.hot;
  const info = { version: VERSION, thresholdPerSecond: threshold, windowMs: window, top };
  let adminAddress: string | null = null;
  const memory = createMemory(config);
  const parts: Parts = {
    config,
    memory,
    upstream,
    log,
    info,
    about: { mode: config.observe ? 'observe' : 'serve', workers: config.workers, started: new Date() },
    onClose,
    async admin(all) {
      if (config.admin === null) return;
      const source = sayingLeaving(all, leaving);
      const live = createLive(source, config.adminToken, log);
      const admin = await startAdmin(source, config.admin, log, { live });
      onClose(() => admin.close());
      adminAddress = admin.address;
    },
  };
  const serving = config.workers === 1 ? await onThisThread(parts) : await onThreads(parts);
  const tls = config.tls.cert !== null;
  const { addresses, renewCertificates, configure, crashWorker, call } = serving;
  const endInvalidator = await serveInvalidator(config, { memory, call, log });
  if (endInvalidator !== null) onClose(endInvalidator);
  return {
    address: addresses[0],
    tlsAddress: tls ? (addresses.at(-1) ?? null) : null,
    adminAddress,
    workers: config.workers,
    renewCertificates,
    configure,
    crashWorker,
  };
}

interface Parts {
  readonly config: Config;
  readonly memory: SharedMemory;
  readonly upstream: Upstream;
  readonly log: Logger;
  /** Changes with the options that are in it. */
  readonly info: { version: string; thresholdPerSecond: number; windowMs: number; top: number };
  readonly onClose: OnClose;
  /** Starts the admin server, which clients of it need long before the upstream answers. */
  readonly admin: (source: ProxySource) => Promise<void>;
  readonly about: ProxySource['about'];
}

async function onThisThread(parts: Parts): Promise<Serving> {
  const { config, admin } = parts;
  const worker = await startWorker({
    ...parts,
    worker: 0,
    peers: NO_PEERS,
    doors: addressesOf(config),
    version: VERSION,
    mayListen() {},
    serving: admin,
  });
  return { ...worker, crashWorker() {} };
}

async function onThreads({
  config,
  memory,
  upstream,
  log,
  info,
  about,
  onClose,
  admin,
}: Parts): Promise<Serving> {
  const shutdown = { grace: config.shutdownTimeout };
  const changed: Partial<Record<OptionPath, (value: string) => void>> = {
    'hot.threshold'(value) {
      info.thresholdPerSecond = Number(value);
    },
    'hot.top'(value) {
      info.top = Number(value);
    },
    'log.level'(value) {
      log.level = value;
    },
    shutdownTimeout(value) {
      shutdown.grace = Number(value);
    },
  };
  const team = createTeam({
    config,
    upstream,
    log,
    info,
    memory,
    doors: await claimDoors(addressesOf(config)),
    version: VERSION,
    about,
    changed(pairs) {
      for (const [name, value] of pairs) changed[name]?.(value);
    },
  });
  await admin(team.source);
  onClose(() => team.close(shutdown.grace));
  const addresses = await team.start();
  const { renewCertificates, configure, crash, call } = team;
  return { addresses, renewCertificates, configure, crashWorker: crash, call };
}

/** Where clients connect, in the order of the doors: see config/tls.ts. */
function addressesOf({ listen, tls }: Config): HostPort[] {
  return tls.cert !== null && tls.listen !== null ? [listen, tls.listen] : [listen];
}

async function workersOf({ workers }: Config, log: Logger): Promise<number> {
  if (workers === 1 || (await canSharePorts())) return workers;
  log.warn('this system does not let threads share a port: there is one worker');
  return 1;
}

/** The configured upstream, or a private redis-server that lives as long as heatsink. */
async function findUpstream(config: Config, log: Logger, onClose: OnClose): Promise<Upstream> {
  if (config.upstream !== null) return config.upstream;
  const embedded = await startEmbeddedRedis({ log });
  onClose(() => embedded.close());
  return parseUpstream(embedded.url);
}
