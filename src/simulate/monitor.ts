// Lines of MONITOR, as redis-cli prints them or the server sends them:
//   1700000000.123456 [0 127.0.0.1:54321] "GET" "product:1"
// https://redis.io/docs/latest/commands/monitor/

import { argumentIs } from '../commands/argument.ts';
import type { CommandTable } from '../commands/table.ts';
import { viewOf } from '../resp3/hash.ts';
import { RequestFrame } from '../resp3/request-frame.ts';
import {
  Access,
  classify,
  KEEPABLE,
  MALFORMED,
  NOTHING,
  OTHER_READ,
  REQUEST,
  type Seen,
  type TraceReader,
} from './access.ts';
import { readArguments, roomFor } from './escapes.ts';

const ZERO = 0x30;
const PLUS = 0x2b;
const DOT = 0x2e;
const SPACE = 0x20;
const FIRST_ROOM = 4096;
/** Clients in a transaction that are remembered at the most. */
const TRANSACTIONS_MAX = 100_000;

export class MonitorReader implements TraceReader {
  readonly access = new Access();
  /** The request of the line that was read last. */
  readonly frame = new RequestFrame();
  readonly #table: CommandTable;
  readonly #transactions = new Set<string>();

  constructor(table: CommandTable) {
    this.#table = table;
    this.#makeRoom(FIRST_ROOM);
  }

  read(buf: Buffer, start: number, end: number, cut: boolean): Seen {
    const { access, frame } = this;
    let at = buf[start] === PLUS ? start + 1 : start;
    if (end - at < 10) return isGreeting(buf, at, end) ? NOTHING : MALFORMED;
    let seconds = 0;
    for (; buf[at] >= ZERO && buf[at] <= 0x39; at++) seconds = seconds * 10 + buf[at] - ZERO;
    if (buf[at++] !== DOT) return MALFORMED;
    let fraction = 0;
    let scale = 1000;
    for (; buf[at] >= ZERO && buf[at] <= 0x39; at++) {
      fraction = fraction * 10 + buf[at] - ZERO;
      scale /= 10;
    }
    if (buf[at] !== SPACE || buf[at + 1] !== 0x5b) return MALFORMED;
    access.ms = seconds * 1000 + fraction * scale;
    at += 2;
    const from = at;
    let db = 0;
    for (; buf[at] >= ZERO && buf[at] <= 0x39; at++) db = db * 10 + buf[at] - ZERO;
    if (at === from || buf[at] !== SPACE) return MALFORMED;
    access.db = db;
    const client = at + 1;
    const quote = buf.indexOf('] "', client, 'latin1');
    if (quote < 0 || quote >= end) return MALFORMED;
    this.#makeRoom(roomFor(end - quote));
    if (!readArguments(buf, quote + 2, end, cut, frame)) return MALFORMED;
    // What a script does is not seen by a proxy: the script is.
    if (quote - client === 3 && buf[client] === 0x6c) return NOTHING;
    const command = this.#table.find(frame);
    if (command === null) {
      if (argumentIs(frame, 0, 'multi')) this.#begins(buf.toString('latin1', client, quote));
      else if (
        this.#transactions.size > 0 &&
        (argumentIs(frame, 0, 'exec') || argumentIs(frame, 0, 'discard'))
      )
        this.#transactions.delete(buf.toString('latin1', client, quote));
      return NOTHING;
    }
    if (!classify(access, command, frame)) return NOTHING;
    access.buf = frame.buf;
    access.view = frame.view;
    access.start = 0;
    access.end = frame.end;
    // Nothing of a transaction is served from the tier.
    if (access.kind === KEEPABLE && this.#transactions.size > 0) {
      if (this.#transactions.has(buf.toString('latin1', client, quote))) access.kind = OTHER_READ;
    }
    return REQUEST;
  }

  #begins(client: string): void {
    if (this.#transactions.size < TRANSACTIONS_MAX) this.#transactions.add(client);
  }

  #makeRoom(bytes: number): void {
    const { frame } = this;
    if (frame.buf.length >= bytes) return;
    frame.buf = Buffer.allocUnsafeSlow(Math.max(bytes, frame.buf.length * 2));
    frame.view = viewOf(frame.buf);
  }
}

/** `OK`, and lines without anything. */
function isGreeting(buf: Buffer, start: number, end: number): boolean {
  const text = buf.toString('latin1', start, end).trim();
  return text === '' || text === 'OK';
}
