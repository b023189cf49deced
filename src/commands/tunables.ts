// CONFIG GET and SET of heatsink's own options, whose names begin with heatsink. in front of their places in the
// configuration file. https://redis.io/docs/latest/commands/config-set/

import { bulkString, errorReply, OK } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentText } from './argument.ts';
import { elementsOf } from './elements.ts';
import { matchesGlob } from './glob.ts';

const PREFIX = 'heatsink.';
const MAP = 0x25;
const MIXED = errorReply(
  "ERR heatsink: one CONFIG SET changes heatsink's options or the server's, not both: they could not all fail together",
);

/** The options, by their places in the configuration file: `hot.threshold`. */
export interface Tunables {
  readonly names: readonly string[];
  /** The value as it would be written in a file, secrets masked. */
  get(name: string): string;
  /** Takes the new values: all, or none and then it says which one was refused and why. */
  set(pairs: Pairs): Refusal | null;
}

export interface Refusal {
  readonly name: string;
  readonly reason: string;
}

/** What CONFIG GET asks of whom. */
export interface ConfigGet {
  /** heatsink's options and their values. */
  readonly own: readonly (readonly [string, string])[];
  /** Whether the server may have something for it, too. */
  readonly server: boolean;
}

export function configGet(frame: RequestFrame, tunables: Tunables): ConfigGet {
  const patterns = texts(frame, 2);
  const own = tunables.names
    .filter((name) => patterns.some((pattern) => matchesGlob(pattern, PREFIX + name)))
    .map((name) => [PREFIX + name, tunables.get(name)] as const);
  return { own, server: !patterns.every(isOwn) };
}

/** The server's reply to CONFIG GET with heatsink's options behind it; an error stays one. */
export function withOwn(reply: Buffer, own: ConfigGet['own']): Buffer {
  const elements = elementsOf(reply);
  if (elements === null) return reply;
  const { type, count, bounds } = elements;
  const all = count + own.length * 2;
  return Buffer.concat([
    Buffer.from(`${String.fromCharCode(type)}${type === MAP ? all / 2 : all}\r\n`),
    reply.subarray(bounds[0], bounds[count]),
    ...own.flatMap(([name, value]) => [bulkString(name), bulkString(value)]),
  ]);
}

/** What came of a CONFIG SET. */
export interface ConfigSet {
  /** Null when it is about the server's options. */
  readonly reply: Buffer | null;
  /** heatsink's options that have new values. */
  readonly changed: Pairs;
}

type Pairs = readonly (readonly [name: string, value: string])[];

/** Changes heatsink's options as CONFIG SET name value [name value ...] says, if it is about them. */
export function configSet(frame: RequestFrame, tunables: Tunables): ConfigSet {
  if (frame.argc % 2 !== 0) return unchanged(null);
  const words = texts(frame, 2);
  const names = words.filter((_, i) => i % 2 === 0);
  if (!names.some(isOwn)) return unchanged(null);
  if (!names.every(isOwn)) return unchanged(MIXED);
  const given = names.map((name) => name.slice(PREFIX.length).toLowerCase());
  const known = given.map((name) => tunables.names.find((option) => option.toLowerCase() === name));
  const unknown = known.indexOf(undefined);
  if (unknown >= 0) {
    return unchanged(
      errorReply(`ERR Unknown option or number of arguments for CONFIG SET - '${names[unknown]}'`),
    );
  }
  const twice = given.findIndex((name, i) => given.indexOf(name) < i);
  if (twice >= 0) return unchanged(refused(names[twice], 'duplicate parameter'));
  const pairs = known.map((name, i) => [name as string, words[i * 2 + 1]] as const);
  const refusal = tunables.set(pairs);
  return refusal === null
    ? { reply: OK, changed: pairs }
    : unchanged(refused(PREFIX + refusal.name, refusal.reason));
}

function unchanged(reply: Buffer | null): ConfigSet {
  return { reply, changed: [] };
}

/** In the words of Redis. */
function refused(name: string, reason: string): Buffer {
  return errorReply(`ERR CONFIG SET failed (possibly related to argument '${name}') - ${reason}`);
}

function texts(frame: RequestFrame, from: number): string[] {
  return Array.from({ length: frame.argc - from }, (_, i) => argumentText(frame, from + i));
}

function isOwn(name: string): boolean {
  return name.slice(0, PREFIX.length).toLowerCase() === PREFIX;
}
