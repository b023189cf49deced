// What the admin server does when it is asked to: pin or ban a key, clear the tier.

import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Logger } from 'pino';
import * as z from 'zod';
import type { KeyAction } from '../proxy/marks.ts';
import { type Answer, json } from './answer.ts';
import { showKey } from './show-key.ts';
import type { ProxySource } from './snapshot.ts';

/** The longest body that is read, in bytes; a key may be long. */
const LONGEST_BODY = 1024 * 1024;
/** The most keys that are pinned, and the most that are banned. */
const MOST_MARKED = 1000;

const WAYS = {
  '/keys/pin': { how: 'pin', done: 'pinned' },
  '/keys/unpin': { how: 'unpin', done: 'no longer pinned' },
  '/keys/ban': { how: 'ban', done: 'banned' },
  '/keys/unban': { how: 'unban', done: 'no longer banned' },
} as const;
const CLEAR = '/tier/clear';

/** The paths of the actions. */
export const ACTION_PATHS: readonly string[] = [...Object.keys(WAYS), CLEAR];

const BODY = z.strictObject({ key: z.string().min(1), encoding: z.literal('base64').optional() });

export interface ActionOptions {
  readonly source: ProxySource;
  /** What whoever asks must know; null: it is enough to be on this machine. */
  readonly token: string | null;
  readonly log: Logger;
}

/** Answers a POST to one of the paths. */
export type Actions = (path: string, request: IncomingMessage) => Promise<Answer>;

export function createActions({ source, token, log }: ActionOptions): Actions {
  return async (path, request) => {
    const refusal = refusalOf(request, token);
    if (refusal !== null) return refusal;
    const by = request.socket.remoteAddress;
    if (path === CLEAR) {
      await source.act({ how: 'clear' });
      log.info({ by }, 'the tier was cleared');
      return json(200, { done: 'the tier is empty' });
    }
    const { how, done } = WAYS[path as keyof typeof WAYS];
    const key = await keyIn(request);
    if (!Buffer.isBuffer(key)) return key;
    const full = await isFull(how, key);
    if (full !== null) return full;
    await source.act({ how, key });
    log.info({ by, ...showKey(key) }, `a key is ${done}`);
    return json(200, { done, ...showKey(key) });
  };

  async function isFull(how: KeyAction['how'], key: Buffer): Promise<Answer | null> {
    if (how !== 'pin' && how !== 'ban') return null;
    const { pinned, banned } = await source.snapshot();
    const marked = how === 'pin' ? pinned : banned;
    if (marked.length < MOST_MARKED || marked.some((other) => other.equals(key))) return null;
    const word = how === 'pin' ? 'pinned' : 'banned';
    return failed(409, `${MOST_MARKED} keys are ${word} already, which is the most`);
  }
}

/** Null for whoever may act. */
function refusalOf(request: IncomingMessage, token: string | null): Answer | null {
  const { authorization, origin, host } = request.headers;
  // A page of somebody else's must not act for whoever looks at it.
  if (origin !== undefined && URL.parse(origin)?.host !== host)
    return failed(403, `nothing is done for pages of ${origin}`);
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    return failed(415, 'the body must be JSON: Content-Type: application/json');
  if (token === null) {
    // Not by any name that leads here: such a page may have had its own name lead here since it was loaded.
    return isLoopback(request.socket.remoteAddress ?? '') && namesLoopback(host)
      ? null
      : failed(
          403,
          'without adminToken heatsink does this only for clients on its own machine, at localhost',
        );
  }
  const given = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
  if (given === undefined) return failed(401, 'this needs the header Authorization: Bearer <adminToken>');
  return sameText(given, token) ? null : failed(401, 'that is not the admin token');
}

function sameText(one: string, other: string): boolean {
  const digest = (word: string) => createHash('sha256').update(word).digest();
  return timingSafeEqual(digest(one), digest(other));
}

function namesLoopback(host: string | undefined): boolean {
  const name = URL.parse(`http://${host}`)?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  return name === 'localhost' || isLoopback(name);
}

function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/, '');
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

/** The key that the body names, or why it is none. */
async function keyIn(request: IncomingMessage): Promise<Buffer | Answer> {
  const chunks: Buffer[] = [];
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= LONGEST_BODY) chunks.push(chunk);
  });
  await once(request, 'end');
  if (length > LONGEST_BODY) return failed(413, `the body is longer than ${LONGEST_BODY} bytes`);
  const body = BODY.safeParse(parseJson(Buffer.concat(chunks).toString()));
  if (!body.success)
    return failed(400, 'the body must be {"key": "..."}, with "encoding": "base64" or without');
  const { key, encoding } = body.data;
  return Buffer.from(key, encoding ?? 'utf8');
}

function parseJson(words: string): unknown {
  try {
    return JSON.parse(words);
  } catch {
    return undefined;
  }
}

function failed(status: number, error: string): Answer {
  return json(status, { error });
}
