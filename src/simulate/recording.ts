// heatsink's own format: who asked for which keys and when, and nothing of what the values are. Lines of text:
//   heatsink-trace 1 masters=3
//   <microseconds since the line before> <database> <command> <fingerprint of the other arguments, or -> <key> ...
//   = <bytes of the reply> <command> <fingerprint> <key>
// In keys, bytes outside of ! to ~ and the percent sign are %XX; the empty key is a lone %.

import type { Command } from '../commands/command.ts';
import type { CommandTable } from '../commands/table.ts';
import { hashBytes, viewOf } from '../resp3/hash.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import {
  Access,
  kindOf,
  MALFORMED,
  NOTHING,
  REQUEST,
  type Seen,
  SIZE,
  type TraceReader,
  writesAll,
} from './access.ts';
import { hexAt } from './escapes.ts';
import { numberIn } from './twitter.ts';

export const MAGIC = 'heatsink-trace ';
export const LINE_BREAK = '\n';
const VERSION = 1;
const SPACE = 0x20;
const PERCENT = 0x25;
const EQUALS = 0x3d;
const MASTERS_MAX = 1000;

/** The first line of a recording of that many masters. */
export function recordingHead(masters: number): string {
  return `${MAGIC}${VERSION} masters=${masters}${LINE_BREAK}`;
}

/** The masters that a first line names, or null when it is none that can be read. */
export function mastersOf(line: string): number | null {
  const [, version, masters] = /^heatsink-trace (\d+) masters=(\d+)\s*$/.exec(line) ?? [];
  const count = Number(masters);
  return Number(version) === VERSION && count >= 1 && count <= MASTERS_MAX ? count : null;
}

/** What stands for a request in a recording, behind time and database. No value, and no argument but the keys. */
export function describeRequest(access: Access, command: Command, frame: RequestFrame): string {
  const plain = frame.argc === 2 || access.kind !== 0;
  const fingerprint = plain ? '-' : (hashBytes(frame.view, 0, frame.end) >>> 0).toString(16);
  let text = `${command.name} ${fingerprint}`;
  for (let i = 0; i < access.keyCount; i++) {
    text += ` ${escapeKey(access.buf.toString('latin1', access.keys[i * 2], access.keys[i * 2 + 1]))}`;
  }
  return text;
}

/** A key, its bytes as characters, as it is written in a recording. */
export function escapeKey(key: string): string {
  if (key === '') return '%';
  return key.replace(/[^!-~]|%/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

export class RecordingReader implements TraceReader {
  readonly access = new Access();
  readonly #table: CommandTable;
  readonly #commands = new Map<string, Command | null>();
  #us = 0;
  #scratch = Buffer.alloc(0);

  constructor(table: CommandTable) {
    this.#table = table;
  }

  read(buf: Buffer, start: number, end: number): Seen {
    const { access } = this;
    if (end === start) return NOTHING;
    const first = fieldEnd(buf, start, end);
    const second = fieldEnd(buf, first + 1, end);
    if (buf[start] === EQUALS && first === start + 1) {
      access.bytes = numberIn(buf, first + 1, second);
      if (Number.isNaN(access.bytes) || !this.#request(buf, second + 1, end)) return MALFORMED;
      return SIZE;
    }
    const passed = numberIn(buf, start, first);
    access.db = numberIn(buf, first + 1, second);
    if (Number.isNaN(passed + access.db)) {
      return mastersOf(buf.toString('latin1', start, end)) === null ? MALFORMED : NOTHING;
    }
    if (!this.#request(buf, second + 1, end)) return MALFORMED;
    this.#us += passed;
    access.ms = this.#us / 1000;
    access.bytes = Number.NaN;
    return REQUEST;
  }

  /** `command fingerprint key ...`; the whole of it is what the request is known by. */
  #request(line: Buffer, from: number, end: number): boolean {
    const { access } = this;
    const nameEnd = fieldEnd(line, from, end);
    const printEnd = fieldEnd(line, nameEnd + 1, end);
    const command = this.#command(line.toString('latin1', from, nameEnd));
    if (command === null || printEnd <= nameEnd + 1) return false;
    access.buf = line;
    access.keyCount = 0;
    access.start = from;
    access.end = end;
    const escaped = line.indexOf(PERCENT, printEnd);
    if (escaped >= 0 && escaped < end) {
      if (!this.#unescape(line, from, printEnd, end)) return false;
    } else {
      for (let at = printEnd + 1; at <= end; ) {
        const to = fieldEnd(line, at, end);
        if (to === at) return false;
        access.addKey(at, to);
        at = to + 1;
      }
    }
    const { buf } = access;
    if (access.view.buffer !== buf.buffer || access.view.byteOffset !== buf.byteOffset)
      access.view = viewOf(buf);
    access.kind = kindOf(command, access.keyCount);
    return access.keyCount > 0 || writesAll(command);
  }

  /** Copies the request with its keys as they are. */
  #unescape(line: Buffer, from: number, printEnd: number, end: number): boolean {
    const { access } = this;
    if (this.#scratch.length < end - from) this.#scratch = Buffer.allocUnsafeSlow((end - from) * 2);
    const to = this.#scratch;
    let put = line.copy(to, 0, from, printEnd);
    for (let at = printEnd; at < end; ) {
      to[put++] = line[at++];
      const keyStart = put;
      const keyEnd = fieldEnd(line, at, end);
      if (keyEnd === at) return false;
      if (keyEnd === at + 1 && line[at] === PERCENT) at = keyEnd;
      while (at < keyEnd) {
        const byte = line[at] === PERCENT ? (at + 2 < keyEnd ? hexAt(line, at + 1) : -1) : line[at];
        if (byte < 0) return false;
        at += line[at] === PERCENT ? 3 : 1;
        to[put++] = byte;
      }
      access.addKey(keyStart, put);
    }
    access.buf = to;
    access.start = 0;
    access.end = put;
    return true;
  }

  #command(name: string): Command | null {
    let command = this.#commands.get(name);
    if (command === undefined) {
      command = this.#table.named(name);
      // A recording has those of the table only; what else is there must not fill the memory.
      if (command !== null) this.#commands.set(name, command);
    }
    return command;
  }
}

/** Where the field that begins at `at` ends. */
function fieldEnd(buf: Buffer, at: number, end: number): number {
  let to = at;
  while (to < end && buf[to] !== SPACE) to++;
  return to;
}
