// The invalidator as a command of its own, beside a heatsink that it reaches as any client does.

import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { NOTHING } from '../admin/merged.ts';
import { METRICS } from '../admin/metrics.ts';
import { startAdmin } from '../admin/server.ts';
import type { AdminSource } from '../admin/snapshot.ts';
import type { Config } from '../config/schema.ts';
import { upstreamTls } from '../config/tls.ts';
import { C, CounterMemory, type Counters } from '../counters.ts';
import { reasonOf, tlsTo } from '../resp3/socket.ts';
import { Backoff } from '../upstream/backoff.ts';
import type { Call } from '../worker/inside-client.ts';
import { startInvalidator } from './invalidator.ts';

/** Milliseconds for a reply. */
const PATIENCE = 10_000;

/** Runs until the signal; `config.upstream` is heatsink. Rejects when the admin server cannot start. */
export async function runInvalidator(
  config: Config,
  { log, version, signal }: { log: Logger; version: string; signal: AbortSignal },
): Promise<void> {
  const counters = new CounterMemory(1).of(0);
  const heatsink = connect(config);
  const source = sourceOf(counters, version, () => heatsink.connected());
  const rows = METRICS.filter(({ name }) => /^heatsink_(invalidator_|ready|build_info)/.test(name));
  const admin = config.admin === null ? null : await startAdmin(source, config.admin, log, { rows });
  const invalidator = startInvalidator({ config: config.invalidator, call: heatsink.call, counters, log });
  log.info({ admin: admin?.address ?? null }, 'the invalidator is ready');
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await invalidator.close(config.shutdownTimeout);
  heatsink.close();
  await admin?.close();
}

/** A client that connects again for as long as it is not closed; what it is asked meanwhile fails. */
function connect(config: Config): { call: Call; connected(): boolean; close(): void } {
  const { nodes, username, password, db } = config.upstream as NonNullable<Config['upstream']>;
  const [{ host, port }] = nodes;
  const tls = upstreamTls(config);
  const backoff = new Backoff();
  /** Why it is not connected: ioredis does not say so to the commands that fail. */
  let trouble: string | null = null;
  const redis = new Redis({
    host,
    port,
    db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === null ? {} : { tls: tlsTo(host, tls) }),
    connectionName: 'heatsink-invalidator',
    connectTimeout: config.nodes.connectTimeout,
    commandTimeout: PATIENCE,
    // Or a connection whose other side is gone without a word would stay.
    socketTimeout: PATIENCE,
    maxRetriesPerRequest: 0,
    retryStrategy: () => backoff.next(),
    enableReadyCheck: false,
  });
  redis.on('error', (error) => {
    trouble = `${host}:${port} (${reasonOf(error)})`;
  });
  redis.on('ready', () => {
    trouble = null;
    backoff.reset();
  });
  return {
    connected: () => redis.status === 'ready',
    close: () => redis.disconnect(),
    async call(command, ...args) {
      const sent = args.map((arg) => (typeof arg === 'string' ? arg : Buffer.from(arg)));
      try {
        return await redis.callBuffer(command, sent);
      } catch (error) {
        if ((error as Error).name === 'ReplyError' || trouble === null) throw error;
        throw new Error(trouble, { cause: error });
      }
    },
  };
}

function sourceOf(counters: Counters, version: string, connected: () => boolean): AdminSource {
  return {
    info: { version, thresholdPerSecond: 0, windowMs: 0, top: 1 },
    hotKeys: () => [],
    bigKeys: () => ({ top: 0, bytes: 0, elements: 0, keys: [] }),
    slowCommands: () => ({ maxLen: 0, slowerThan: -1, entries: [] }),
    snapshot() {
      const listens = counters[C.databaseConnects] > counters[C.databaseLosses];
      const reasons = [
        ...(listens ? [] : ['not listening to PostgreSQL']),
        ...(connected() ? [] : ['heatsink is out of reach']),
      ];
      return { ...NOTHING, counters, ready: reasons.length === 0, reasons };
    },
  };
}
