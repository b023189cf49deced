// How two replies are compared: byte by byte, but for the few commands that no two servers answer alike.

import { decodeReplies, encodeValue, type Value } from './reference-decoder.ts';

export type Relation = 'numbers' | 'unordered' | 'shape' | 'fields' | 'kind';

/** What each relation asks of the two replies. Errors are always compared byte by byte. */
export const RELATIONS: Readonly<Record<Relation, string>> = {
  numbers: 'the same but for integers and floating-point numbers',
  unordered: 'the same elements on every level, in any order',
  shape: 'the same types and numbers of elements on every level',
  fields: 'a text of the same type, with all fields that Redis gives',
  kind: 'the same type',
};

interface Weaker {
  readonly relation: Relation;
  /** In lower case; a subcommand is `config|get`. */
  readonly commands: string;
  readonly why: string;
}

/** The commands that are not compared byte by byte. */
export const WEAKER: readonly Weaker[] = [
  {
    relation: 'numbers',
    commands: 'hello client|id lastsave object|idletime xinfo|consumers xinfo|stream xpending',
    why: 'ids, clocks, and times since an earlier call',
  },
  {
    relation: 'unordered',
    commands:
      'keys command command|info command|docs command|list config|get acl|cat pubsub|channels ' +
      'pubsub|shardchannels function|list',
    why: 'each server process has a hash seed of its own',
  },
  {
    relation: 'shape',
    commands: 'time acl|genpass',
    why: 'the clock, and chance',
  },
  {
    relation: 'fields',
    commands: 'info client|info client|list',
    why: 'the state of one process or one connection',
  },
  {
    relation: 'kind',
    commands:
      'slowlog|get slowlog|len latency|histogram memory|doctor memory|stats memory|malloc-stats bgsave',

    why: 'they tell of the life of one process, or depend on what it is doing',
  },
];

const BY_COMMAND: ReadonlyMap<string, Relation> = new Map(
  WEAKER.flatMap(({ relation, commands }) =>
    commands.split(' ').map((name): [string, Relation] => [name, relation]),
  ),
);

/** Whether the two replies to a call of this command (`config|get`) are the same, as far as they can be. */
export function sameReply(command: string, redis: Buffer, heatsink: Buffer): boolean {
  if (redis.equals(heatsink)) return true;
  const relation = BY_COMMAND.get(command);
  if (relation === undefined || redis[0] === ERROR || heatsink[0] === ERROR) return false;
  const [a, b] = [redis, heatsink].map((reply) => decodeReplies(reply).values[0]);
  return a !== undefined && b !== undefined && HOLDS[relation](a, b);
}

const ERROR = 0x2d;

const HOLDS: Readonly<Record<Relation, (redis: Value, heatsink: Value) => boolean>> = {
  numbers: (a, b) => alike(a, b, (type) => ':,'.includes(type)),
  unordered: (a, b) => sorted(a).equals(sorted(b)),
  shape: (a, b) => alike(a, b, () => true),
  fields: (a, b) => a.type === b.type && fieldsOf(a).every((field) => fieldsOf(b).includes(field)),
  kind: (a, b) => a.type === b.type,
};

/** The same on every level, but for the texts of types that are free. */
function alike(a: Value, b: Value, free: (type: string) => boolean): boolean {
  if (a.type !== b.type || a.items.length !== b.items.length) return false;
  if ((a.text === null) !== (b.text === null)) return false;
  if (a.text !== b.text && !free(a.type)) return false;
  return a.items.every((item, i) => alike(item, b.items[i], free));
}

function sorted(value: Value): Buffer {
  if (value.items.length === 0) return encodeValue(value);
  const step = value.type === '%' ? 2 : 1;
  const entries: Buffer[] = [];
  for (let i = 0; i < value.items.length; i += step) {
    entries.push(Buffer.concat(value.items.slice(i, i + step).map(sorted)));
  }
  return Buffer.concat([Buffer.from(`${value.type}${entries.length}\r\n`), ...entries.sort(Buffer.compare)]);
}

/** `name:` at the beginning of a line and `name=` anywhere; a verbatim string's format is no field. */
function fieldsOf({ type, text }: Value): string[] {
  const content = type === '=' ? (text ?? '').slice(4) : (text ?? '');
  const names = content.match(/^\w+(?=:)|\b[\w-]+(?==)/gm) ?? [];
  // One line for each command, database or error that has been met.
  return [...new Set(names)].filter((name) => !/^(cmdstat_|db\d|errorstat_|latency_percentiles)/.test(name));
}
