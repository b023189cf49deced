// Reads one row of a server's COMMAND reply into a Command, and decides from it who answers the command.

import {
  ASKS_ELEMENTS,
  ASKS_OTHER,
  ASKS_PAIRS,
  ASKS_VALUE,
  ASKS_VALUES,
  type Asks,
} from '../cache/witness.ts';
import { isDeterministicRead, isRandomRead } from './cacheable.ts';
import {
  ALLOWED,
  type Command,
  type GuardOf,
  type KeySpec,
  type RequestPolicy,
  type ResponsePolicy,
  type Route,
} from './command.ts';
import { EXPIRY_FORMS } from './expiry.ts';
import { INCREMENT_FORMS } from './increments.ts';
import { isAnsweredLocally } from './local.ts';
import { CORRECTED, CORRECTED_KEYS, OLD_KEYS, POLICIES, type Policies, rangeOfKeys } from './overlay.ts';
import { isOwnCommand } from './own-command.ts';
import { refusalOf } from './refused.ts';
import { type State, stateOf } from './stateful.ts';
import { isWide } from './wide.ts';

/** Commands that may send something to replicas without the flag `write`; Redis 7 flags them for itself only. */
const REPLICATING = new Set(['pfcount', 'publish', 'spublish', 'eval', 'evalsha', 'fcall']);

/** One row of COMMAND; servers older than 7.0 give the first seven fields only, and then `subcommands` is null. */
export interface Row {
  readonly name: string;
  readonly arity: number;
  readonly flags: readonly string[];
  readonly firstKey: number;
  readonly lastKey: number;
  readonly step: number;
  readonly categories: readonly string[];
  readonly tips: readonly string[];
  readonly keySpecs: readonly unknown[] | null;
  readonly subcommands: readonly unknown[] | null;
}

/**
 * The fields of a row of the COMMAND reply. Throws a TypeError when it is not one.
 * @see https://redis.io/docs/latest/commands/command/
 */
export function readRow(raw: unknown): Row {
  const fields = Array.isArray(raw) ? raw : [];
  const [name, arity, flags, firstKey, lastKey, step, categories, tips, keySpecs, subcommands] = fields;
  if (typeof name !== 'string' || name === '' || typeof arity !== 'number' || !Array.isArray(flags)) {
    throw new TypeError(`not a row of a COMMAND reply: ${JSON.stringify(raw)?.slice(0, 100)}`);
  }
  return {
    name: name.toLowerCase(),
    arity,
    flags: flags.map(String),
    firstKey: Number(firstKey ?? 0),
    lastKey: Number(lastKey ?? 0),
    step: Number(step ?? 0),
    categories: Array.isArray(categories) ? categories.map(String) : [],
    tips: Array.isArray(tips) ? tips.map(String) : [],
    keySpecs: Array.isArray(keySpecs) ? keySpecs : null,
    subcommands: Array.isArray(subcommands) ? subcommands : null,
  };
}

/** The row as a Command. Every Command is made here, with its fields in one order, so that reads of it are fast. */
export function toCommand(row: Row, guardOf: GuardOf): Command {
  const { name, arity } = row;
  const { keySpecs, keysUnknown } = keysOf(row);
  const isRead = row.flags.includes('readonly');
  const keyed = keysUnknown || keySpecs.some((spec) => !spec.channel);
  const blocking = row.flags.includes('blocking') || row.categories.includes('@blocking');
  const policies = policiesOf(row);
  const refusal = refusalOf(name);
  const state = stateOf(name, blocking);
  const flaggedAdmin = row.flags.includes('admin');
  const route = routeOf(name, state, refusal);
  const guard = guardOf(name, flaggedAdmin);
  return {
    name,
    arity,
    isRead,
    isWrite: !isRead && (keyed || row.flags.includes('write') || name === 'debug'),
    replicates: row.flags.includes('write') || REPLICATING.has(name),
    blocking,
    plain: route === 'forward' && guard === ALLOWED,
    noMulti: row.flags.includes('no_multi'),
    cacheable: isRead && isDeterministicRead(name),
    draws: isRead && isRandomRead(name),
    asks: ASKS.get(row.name) ?? ASKS_OTHER,
    expiry: EXPIRY_FORMS.get(name) ?? null,
    increment: INCREMENT_FORMS.get(name) ?? null,
    fixedKey: keysUnknown ? 0 : fixedKeyOf(keySpecs),
    keySpecs,
    keysUnknown,
    requestPolicy: policies.request,
    responsePolicy: policies.response,
    route,
    guard,
    fast: row.flags.includes('fast'),
    flaggedAdmin,
    state,
    refusal: isAnsweredLocally(name) || state !== null ? '' : refusal,
  };
}

function routeOf(name: string, state: State | null, refusal: string): Route {
  if (isAnsweredLocally(name)) return 'local';
  if (isWide(name)) return 'wide';
  if (isOwnCommand(name)) return 'own';
  if (state !== null) return 'state';
  return refusal === '' ? 'forward' : 'refuse';
}

function policiesOf(row: Row): Policies {
  const corrected = CORRECTED.get(row.name);
  if (corrected !== undefined) return corrected;
  const request = tip(row, 'request_policy:');
  const response = tip(row, 'response_policy:');
  const own = request !== '' || response !== '';
  if (!own) return POLICIES.get(row.name) ?? { request: 'none', response: 'none' };
  return {
    request: (request || 'none') as RequestPolicy,
    response: (response || 'none') as ResponsePolicy,
  };
}

function tip(row: Row, prefix: string): string {
  return row.tips.find((text) => text.startsWith(prefix))?.slice(prefix.length) ?? '';
}

interface Keys {
  readonly keySpecs: readonly KeySpec[];
  readonly keysUnknown: boolean;
}

const ASKS: ReadonlyMap<string, Asks> = new Map<string, Asks>([
  ['get', ASKS_VALUE],
  ['mget', ASKS_VALUES],
  ['hgetall', ASKS_PAIRS],
  ['hkeys', ASKS_ELEMENTS],
  ['hvals', ASKS_ELEMENTS],
  ['smembers', ASKS_ELEMENTS],
]);
const UNKNOWN: Keys = { keySpecs: [], keysUnknown: true };

function keysOf(row: Row): Keys {
  const moving = row.flags.includes('movablekeys');
  const known = CORRECTED_KEYS.get(row.name) ?? (row.keySpecs === null ? OLD_KEYS.get(row.name) : undefined);
  if (known !== undefined) return { keySpecs: known, keysUnknown: false };
  if (row.keySpecs === null) {
    if (moving) return UNKNOWN;
    const { firstKey, lastKey, step } = row;
    const last = lastKey < 0 ? lastKey : lastKey - firstKey;
    return {
      keySpecs: firstKey > 0 ? [rangeOfKeys(firstKey, last, Math.max(1, step))] : [],
      keysUnknown: false,
    };
  }
  const keySpecs = row.keySpecs.map(readKeySpec).filter((spec) => spec !== null);
  if (keySpecs.length < row.keySpecs.length) return UNKNOWN;
  // A module that finds its keys by itself says that they move, with specs that do not show how.
  const fixed = keySpecs.every((spec) => spec.search === 'index' && spec.find === 'range');
  return moving && fixed ? UNKNOWN : { keySpecs, keysUnknown: false };
}

/** Null for a spec that does not tell all keys. */
function readKeySpec(raw: unknown): KeySpec | null {
  const spec = pairs(raw);
  const flags = Array.isArray(spec.flags) ? spec.flags : [];
  const begin = pairs(spec.begin_search);
  const find = pairs(spec.find_keys);
  const from = pairs(begin.spec);
  const which = pairs(find.spec);
  if (flags.includes('incomplete')) return null;
  if (begin.type !== 'index' && begin.type !== 'keyword') return null;
  if (find.type !== 'range' && find.type !== 'keynum') return null;
  return {
    search: begin.type,
    start: Number(from.index ?? from.startfrom ?? 0),
    keyword: String(from.keyword ?? '').toLowerCase(),
    find: find.type,
    last: Number(which.lastkey ?? 0),
    step: Math.max(1, Number(which.keystep ?? 1)),
    limit: Number(which.limit ?? 0),
    numberAt: Number(which.keynumidx ?? 0),
    firstKey: Number(which.firstkey ?? 0),
    channel: flags.includes('not_key'),
  };
}

/** A map as RESP2 gives it: keys and values in turn. */
function pairs(raw: unknown): Record<string, unknown> {
  const map: Record<string, unknown> = {};
  if (Array.isArray(raw)) for (let i = 0; i + 1 < raw.length; i += 2) map[String(raw[i])] = raw[i + 1];
  return map;
}

function fixedKeyOf(keySpecs: readonly KeySpec[]): number {
  if (keySpecs.length !== 1) return 0;
  const { search, start, find, last } = keySpecs[0];
  return search === 'index' && find === 'range' && last === 0 ? start : 0;
}
