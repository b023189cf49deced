// Reads that wait until somebody rebuilds a missing key: a line for each question, first to last.

import { clock } from '../../clock.ts';
import { releaseBytes } from '../../upstream/outgoing.ts';
import { databaseOf } from '../../upstream/space.ts';
import type { Asker, Request } from '../request.ts';

/** A read that several may wait for the answer of: the same bytes, asked in one space. */
export interface Question
  extends Pick<
    Request,
    'space' | 'keyHash' | 'keyStart' | 'keyEnd' | 'hash' | 'mayFill' | 'fanOut' | 'asks'
  > {
  readonly bytes: Buffer;
  readonly lease: true;
  /** The state of the key, `Versions.stamp`, before it was read last. */
  stamp: number;
}

/** A question whose answer is that there is no key. */
export interface Missing extends Question {
  readonly db: number;
  /** The reply that says so, and when the read was sent that it came to, by `clock.us`. */
  readonly reply: Buffer;
  readonly sentAt: number;
}

/** Those who wait for another answer. */
export interface Line extends Missing {
  readonly name: string;
  /** When the last answer came, by `clock.ms`. */
  readAt: number;
  /** Never empty. */
  waiting: readonly Request[];
}

type Which = (request: Request) => boolean;

export class LeaseLines {
  readonly #lines = new Map<string, Line>();

  get none(): boolean {
    return this.#lines.size === 0;
  }

  /** To be walked over while lines come and go. */
  all(): Iterable<Line> {
    return this.#lines.values();
  }

  /** Those who ask in that space by those bytes. */
  of(space: number, bytes: Buffer): Line | undefined {
    return this.#lines.get(nameOf(space, bytes));
  }

  /** How many wait, for one key or at all. */
  count(keyHash?: number): number {
    let count = 0;
    for (const line of this.#lines.values())
      if (keyHash === undefined || line.keyHash === keyHash) count += line.waiting.length;
    return count;
  }

  /** Whether requests of that client wait for that key. */
  waits(session: Asker, keyHash: number, db: number): boolean {
    for (const line of this.#lines.values())
      if (line.keyHash === keyHash && line.db === db && has(line, session)) return true;
    return false;
  }

  /** Whether they wait for the answer to that very question. */
  asks(session: Asker, space: number, bytes: Buffer): boolean {
    const line = this.of(space, bytes);
    return line !== undefined && has(line, session);
  }

  /** Puts a request of that client, which was answered so, at the end of its line. */
  add(request: Request, session: Asker, missing: Missing): void {
    releaseBytes(request);
    if (request.load !== null) request.load.outstanding--;
    request.load = null;
    request.lane = null;
    request.fill = null;
    request.joined = null;
    request.lastJoined = null;
    if (request.shared) session.shared--;
    request.shared = false;
    session.leaseWaits++;
    const name = nameOf(missing.space, missing.bytes);
    const line = this.#lines.get(name);
    if (line === undefined) {
      this.#lines.set(name, { ...missing, name, readAt: clock.ms, waiting: [request] });
      return;
    }
    if (((missing.stamp - line.stamp) | 0) > 0) line.stamp = missing.stamp;
    line.readAt = clock.ms;
    (line.waiting as Request[]).push(request);
  }

  /** Takes those out of the line. */
  take(line: Line, which: Which): readonly Request[] {
    const { waiting } = line;
    const stay = waiting.filter((request) => !which(request));
    if (stay.length === waiting.length) return [];
    line.waiting = stay;
    if (stay.length === 0) this.#lines.delete(line.name);
    const taken = stay.length === 0 ? waiting : waiting.filter(which);
    for (const { session } of taken) if (session !== null) session.leaseWaits--;
    return taken;
  }
}

function has(line: Line, session: Asker): boolean {
  return line.waiting.some((request) => request.session === session);
}

function nameOf(space: number, bytes: Buffer): string {
  return `${space} ${bytes.toString('latin1')}`;
}

/** While the request has its bytes. */
export function questionOf(request: Request): Question {
  const { space, keyHash, keyStart, keyEnd, hash, mayFill, fanOut, asks, stamp } = request;
  const { chunk, offset, length } = request;
  const { buf } = chunk as { buf: Buffer };
  const bytes = Buffer.from(buf.subarray(offset, offset + length));
  return { space, bytes, keyHash, keyStart, keyEnd, hash, mayFill, fanOut, asks, lease: true, stamp };
}

/** What that request has asked, and was answered so. */
export function missingOf(request: Request, reply: Buffer): Missing {
  return { ...questionOf(request), db: databaseOf(request.space), reply, sentAt: request.begunAt };
}
