// Worker threads: each is a whole proxy on a port that all share, so that the system spreads the clients over them.
// One that crashes is replaced; its clients lose their connections, those of the others notice nothing.

import { createServer } from 'node:net';
import { Worker as Thread } from 'node:worker_threads';
import type { Logger } from 'pino';
import { mergeWorkers } from './admin/merged.ts';
import type { AdminSource, HotKey, ProxySource, Snapshot } from './admin/snapshot.ts';
import type { HostPort } from './config/host-port.ts';
import type { OptionPath } from './config/schema.ts';
import { CounterMemory } from './counters.ts';
import { forgetWorker } from './memory.ts';
import type { KeyAction } from './proxy/marks.ts';
import { connectPeers } from './proxy/peers.ts';
import { BIG_KEYS, SLOW_COMMANDS } from './proxy/seen/all-workers.ts';
import type { BigKeyList } from './proxy/seen/big-keys.ts';
import type { SlowCommands } from './proxy/seen/slow-log.ts';
import type { Call, CallAnswer, Called, CallOrder } from './worker/inside-client.ts';
import type { ThreadData, ThreadNews, ThreadOrder } from './worker/thread.ts';

/** Until a thread that crashed is replaced, in milliseconds; doubles up to the last while it crashes again soon. */
const RESTART_FIRST = 100;
const RESTART_LAST = 5000;
/** A thread that ran for so long did not crash from the start, in milliseconds. */
const HEALTHY = 60_000;
/** What a thread may take beyond the time for requests in flight to close, in milliseconds. */
const CLOSE_SLACK = 2000;

/**
 * The JavaScript heap of a thread, without buffers. For young objects a third of Node's own choice: the buffers of large
 * replies hang on small objects there, and would else gather by the hundred megabytes before anybody looks. With less
 * than 2 GiB for all, V8 lets the heap grow to twice what lives in it before it collects, and not to four times.
 */
const HEAP = { maxYoungGenerationSizeMb: 12, maxOldGenerationSizeMb: 1536 };

const { url } = import.meta;
/** The thread's file, compiled or not, as this one is. */
const ENTRY = new URL(`./worker/thread${url.slice(url.lastIndexOf('.'))}`, url);

export interface TeamOptions extends Omit<ThreadData, 'worker' | 'changes' | 'marks'> {
  readonly info: AdminSource['info'];
  readonly log: Logger;
  /** Options were changed by CONFIG SET, in all workers. */
  readonly changed: (pairs: readonly (readonly [OptionPath, string])[]) => void;
}

export interface Team {
  readonly source: ProxySource;
  /** Starts the threads; resolves with the addresses when clients can connect to all of them. */
  start(): Promise<readonly string[]>;
  renewCertificates(): void;
  /** Gives live options their new values, which are valid. */
  configure(pairs: readonly (readonly [OptionPath, string])[]): void;
  /** Sends a command as a client of one of them. */
  readonly call: Call;
  /** Ends a thread at once, as a crash does; another one takes its place. */
  crash(worker: number): void;
  /** Lets requests in flight be answered for that many milliseconds at the most. */
  close(grace: number): Promise<void>;
}

/** Not started yet. */
export function createTeam(options: TeamOptions): Team {
  const { memory, log } = options;
  const { workers } = memory;
  const peers = connectPeers(memory.peers, -1);
  peers.join();
  const counters = new CounterMemory(workers, memory.counters);
  const threads: (Thread | null)[] = new Array(workers).fill(null);
  const failures: number[] = new Array(workers).fill(0);
  const changes = new Map<OptionPath, string>();
  /** By key as latin1: what was done about it last. */
  const marks = new Map<string, KeyAction>();
  let closing = false;
  /** Who is asked to send commands: another one when it does not answer. */
  let caller = 0;
  /** How many could let clients come, the first time; then each does as soon as it can. */
  let prepared = 0;

  /** Options have new values in all workers: those that are started later must have them, too. */
  function configured(pairs: readonly (readonly [OptionPath, string])[]): void {
    for (const [name, value] of pairs) changes.set(name, value);
    options.changed(pairs);
  }
  peers.on('configure', configured);

  /** Resolves when it is ready; rejects when it cannot start or ends before. */
  function spawn(worker: number): Promise<readonly string[]> {
    const { config, upstream, doors, version, about } = options;
    const said = { changes: [...changes], marks: [...marks.values()] };
    const data: ThreadData = { config, upstream, memory, doors, version, about, worker, ...said };
    return new Promise((resolve, reject) => {
      const thread = new Thread(ENTRY, {
        workerData: data,
        name: `heatsink worker ${worker}`,
        resourceLimits: HEAP,
      });
      const begun = performance.now();
      threads[worker] = thread;
      thread.on('message', (news: ThreadNews) => {
        if ('log' in news) passOn(log, news.log);
        else if ('prepared' in news) letListen(thread);
        else if ('ready' in news) resolve(news.ready.addresses);
        else reject(Object.assign(new Error(news.failed.message), news.failed));
      });
      thread.on('error', (error) => {
        log.error({ worker, reason: error.message, stack: error.stack }, 'a worker crashed');
      });
      thread.on('exit', () => {
        threads[worker] = null;
        reject(new Error(`worker ${worker} ended before it was ready`));
        forgetWorker(memory, worker);
        if (closing) return;
        peers.tell('worker lost', worker);
        if (performance.now() - begun > HEALTHY) failures[worker] = 0;
        replace(worker);
      });
    });
  }

  function letListen(thread: Thread): void {
    prepared++;
    if (prepared === workers) order('listen');
    else if (prepared > workers) thread.postMessage('listen' satisfies ThreadOrder);
  }

  function replace(worker: number): void {
    const wait = Math.min(RESTART_FIRST * 2 ** failures[worker]++, RESTART_LAST);
    setTimeout(() => {
      if (closing) return;
      spawn(worker).then(
        () => log.warn({ worker }, 'a worker that ended was replaced'),
        (error: Error) => {
          log.error({ worker, reason: error.message }, 'a worker cannot start');
          void threads[worker]?.terminate();
        },
      );
    }, wait);
  }

  async function call(...command: Called): Promise<unknown> {
    const [answer] = await peers.ask<CallAnswer>('call', { to: caller, command } satisfies CallOrder);
    if (answer === undefined) {
      caller = (caller + 1) % workers;
      throw new Error('the worker that was asked does not answer');
    }
    if ('error' in answer) throw new Error(answer.error);
    return answer.value;
  }

  async function act(action: KeyAction): Promise<void> {
    if (action.how === 'pin' || action.how === 'ban') marks.set(action.key.toString('latin1'), action);
    else if (action.how !== 'clear') marks.delete(action.key.toString('latin1'));
    await peers.ask('act', action);
  }

  function order(what: ThreadOrder): void {
    for (const thread of threads) thread?.postMessage(what);
  }

  return {
    source: mergeWorkers({
      info: options.info,
      about: options.about,
      act,
      count: workers,
      totals: () => counters.totals(),
      snapshots: () => peers.ask<Snapshot>('snapshot', null),
      hotKeys: (top) => peers.ask<HotKey[]>('hot keys', top),
      bigKeys: () => peers.ask<BigKeyList>(BIG_KEYS, null),
      slowCommands: () => peers.ask<SlowCommands>(SLOW_COMMANDS, null),
    }),
    async start() {
      const all = await Promise.all(Array.from({ length: workers }, (_, worker) => spawn(worker)));
      return all[0];
    },
    renewCertificates: () => order('renew certificates'),
    configure(pairs) {
      peers.tell('configure', pairs);
      configured(pairs);
    },
    call,
    crash: (worker) => void threads[worker]?.terminate(),
    async close(grace) {
      closing = true;
      const ended = threads.map(
        (thread) => thread && new Promise<void>((resolve) => thread.once('exit', () => resolve())),
      );
      order('close');
      const late = setTimeout(() => {
        for (const thread of threads) void thread?.terminate();
      }, grace + CLOSE_SLACK);
      await Promise.all(ended);
      clearTimeout(late);
      peers.close();
    },
  };
}

/** A line of a thread's log, with the time at which the thread wrote it left to this one. */
function passOn(log: Logger, line: string): void {
  const { level, msg, time: _time, pid: _pid, hostname: _hostname, ...fields } = JSON.parse(line);
  const name = log.levels.labels[level] as 'info';
  log[name](fields, msg);
}

/**
 * The addresses with ports that are free for all workers: a port that another program listens on is refused here,
 * where a worker that shares its ports would not notice. Rejects with the system's error.
 */
export async function claimDoors(doors: readonly HostPort[]): Promise<HostPort[]> {
  const claimed: HostPort[] = [];
  for (const { host, port } of doors) {
    // Who comes in that moment must not keep it open.
    const server = createServer((early) => early.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, resolve);
    });
    const bound = server.address() as { port: number };
    claimed.push({ host, port: bound.port });
    await new Promise((resolve) => server.close(resolve));
  }
  return claimed;
}

/** Whether threads can share a port on this system: https://nodejs.org/api/net.html#serverlistenoptions-callback */
export async function canSharePorts(): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port: 0, reusePort: true }, () => server.close(() => resolve(true)));
  });
}
