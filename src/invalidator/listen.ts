// The connection that listens to PostgreSQL. It is made again whenever it is lost, and asked from time to time whether
// it still is one, as TCP alone would not say for hours that the other side is gone.
// https://www.postgresql.org/docs/current/sql-listen.html

import pg from 'pg';
import type { Logger } from 'pino';
import { Backoff } from '../upstream/backoff.ts';

export interface ListenOptions {
  readonly url: string;
  readonly channels: readonly string[];
  /** Milliseconds between two questions, and for each answer. */
  readonly keepalive: number;
  /** Milliseconds that are taken off the database's time. */
  readonly margin: number;
  readonly log: Logger;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** From now on notifications come; what was said before may have been missed. */
  readonly listening: () => void;
  readonly notified: (payload: string) => void;
  /** It is there still: what was committed at the database's time `since` or before has been told. */
  readonly alive: (since: string) => void;
  readonly lost: () => void;
}

/** Connects and listens until the signal. Trouble is logged when it begins and when it changes. */
export async function listenTo(options: ListenOptions): Promise<void> {
  const { url, log, signal } = options;
  const backoff = new Backoff();
  let said = '';
  while (!signal.aborted) {
    const client = connection(url, options.keepalive);
    const leave = () => client.end().catch(() => {});
    signal.addEventListener('abort', leave);
    const reason = await listenOnce(client, options, () => {
      said = '';
      backoff.reset();
    });
    signal.removeEventListener('abort', leave);
    if (signal.aborted) return;
    leave();
    if (reason !== said) log.warn({ reason }, 'not listening to PostgreSQL: connecting again');
    said = reason;
    await rest(backoff.next(), signal);
  }
}

/** Milliseconds in which a connection must be there. */
const CONNECT = { least: 1000, most: 10_000 };

/** A connection that is not open yet, on which no query takes longer than that many milliseconds. */
export function connection(url: string, timeout: number): pg.Client {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'heatsink invalidator',
    connectionTimeoutMillis: Math.min(Math.max(timeout, CONNECT.least), CONNECT.most),
    query_timeout: timeout,
    keepAlive: true,
  });
  // Told by 'end' and by the query that fails.
  client.on('error', () => {});
  return client;
}

/** Listens until the connection is lost, and returns why. */
async function listenOnce(client: pg.Client, options: ListenOptions, stays: () => void): Promise<string> {
  const { channels, keepalive, listening, notified, alive, lost, log, signal } = options;
  const gone = new AbortController();
  const stop = AbortSignal.any([signal, gone.signal]);
  client.on('end', () => gone.abort({}));
  client.on('error', (error) => gone.abort(error));
  client.on('notification', ({ payload = '' }) => notified(payload));
  let listens = false;
  try {
    await client.connect();
    for (const channel of channels) await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
    listens = true;
    listening();
    log.info({ channels }, 'listening to PostgreSQL');
    while (!stop.aborted) {
      await rest(keepalive, stop);
      if (stop.aborted) break;
      alive(await databaseTime(client, options.margin));
      // Not before: what breaks again and again right after it has begun must not be hurried.
      stays();
    }
    return reasonOf(gone.signal.reason ?? {});
  } catch (error) {
    return reasonOf(error as Error);
  } finally {
    if (listens) lost();
  }
}

/** A refused connection to a host with several addresses has a code and no message. */
function reasonOf({ message, code }: Partial<NodeJS.ErrnoException>): string {
  return message || code || 'the connection ended';
}

/** The database's time less so many milliseconds, in its own notation and time zone. */
export async function databaseTime(client: pg.Client, less: number): Promise<string> {
  const sql = 'SELECT (clock_timestamp() - make_interval(secs => $1))::text AS since';
  const { rows } = await client.query<{ since: string }>(sql, [less / 1000]);
  return rows[0].since;
}

/** Resolves after that many milliseconds, or with the signal. */
export function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
