// A client inside this process, for what heatsink does of its own accord and all clients must see the effect of: it has
// a session like any other, so its writes take the way of a client's, versions and all. It comes through no port: it
// needs no password or certificate, and neither protected mode nor a limit on clients can keep it out.

import type { Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { Redis } from 'ioredis';
import { EVERYTHING } from '../access/rights.ts';
import type { Pipeline } from '../proxy/pipeline.ts';
import { Session } from '../proxy/session.ts';
import { readByEvents } from '../resp3/socket.ts';
import { jittered } from '../upstream/backoff.ts';

/** A command and its arguments; bytes arrive from another thread as a plain array of them. */
export type Called = readonly [string, ...(string | Uint8Array)[]];
/** Sends a command; resolves with its reply, strings as bytes; rejects with the words of an error. */
export type Call = (...command: Called) => Promise<unknown>;

export interface InsideOptions {
  /** By their ids; kept true. */
  readonly sessions: Map<number, Session>;
  readonly nextId: () => number;
  readonly onClose: (closer: () => void) => void;
}

/** Milliseconds for a reply, and between two tries when its session was ended, as by CLIENT KILL. */
const PATIENCE = 10_000;
const RETRY = 50;

/** Connects with its first command. */
export function insideClient(pipeline: Pipeline, { sessions, nextId, onClose }: InsideOptions): Call {
  let redis: Redis | null = null;

  function connect(): Socket {
    const [near, far] = duplexPair().map(likeSocket);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    const accepted = Object.assign(far, { remoteAddress: 'inside', remotePort: 0 });
    const session = new Session(nextId(), accepted, (onBytes) => readByEvents(accepted, onBytes), pipeline);
    // To the upstream it is heatsink's own user.
    session.rights = { ...EVERYTHING, name: 'heatsink' };
    sessions.set(session.id, session);
    accepted.on('close', () => {
      sessions.delete(session.id);
      session.close();
    });
    return near;
  }

  onClose(() => redis?.disconnect());
  return (command, ...args) => {
    redis ??= connectBy(connect);
    const sent = args.map((arg) => (typeof arg === 'string' ? arg : Buffer.from(arg)));
    return redis.callBuffer(command, sent);
  };
}

/** What a worker is asked to send, of which all others hear as well. */
export interface CallOrder {
  readonly to: number;
  readonly command: Called;
}

export type CallAnswer = { readonly value: unknown } | { readonly error: string };

/** For `Peers.on`. */
export function answerCalls(worker: number, call: Call) {
  return async ({ to, command }: CallOrder): Promise<CallAnswer | undefined> => {
    if (to !== worker) return undefined;
    return call(...command).then(
      (value) => ({ value }),
      (error: Error) => ({ error: error.message }),
    );
  };
}

function connectBy(connect: () => Socket): Redis {
  class Connector {
    stream: Socket | null = null;
    async connect() {
      this.stream = connect();
      return this.stream;
    }
    disconnect() {
      this.stream?.destroy();
    }
    check() {
      return true;
    }
  }
  const redis = new Redis({
    Connector: Connector as never,
    connectionName: 'heatsink-inside',
    commandTimeout: PATIENCE,
    maxRetriesPerRequest: 0,
    retryStrategy: () => jittered(RETRY),
    enableReadyCheck: false,
  });
  // Whoever sent a command is told of its failure.
  redis.on('error', () => {});
  return redis;
}

/**
 * What sessions and ioredis ask of a socket besides what every stream can do. Its writes arrive in a later turn, as a
 * socket's do: at once, a reply could cause the next request to be read while the bytes of an upstream's chunk are still
 * being given out. They are copies, as a session uses its buffers again.
 */
function likeSocket(end: Duplex): Socket {
  const write = end.write.bind(end) as (chunk: unknown, ...rest: unknown[]) => boolean;
  const later = (action: () => void) => void process.nextTick(action);
  const more = {
    write(chunk: Uint8Array | string, ...rest: unknown[]) {
      const bytes = Buffer.from(chunk as string);
      later(() => {
        if (end.writable) write(bytes, ...rest.filter((argument) => typeof argument === 'function'));
      });
      return true;
    },
    destroySoon: () => later(() => end.end(() => end.destroy())),
    setNoDelay: () => end,
    setKeepAlive: () => end,
  };
  return Object.assign(end, more) as unknown as Socket;
}
