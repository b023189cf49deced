// HEATSINK: what all workers have seen and keep, in Redis's forms.

import type { Rules } from '../../cache/rules.ts';
import { argument, argumentIs, argumentText } from '../../commands/argument.ts';
import { parseInteger } from '../../commands/client-state.ts';
import { type HeatsinkName, helpReply, unknownSubcommand, wrongNumber } from '../../commands/own-command.ts';
import {
  arrayReply,
  bulkString,
  errorReply,
  integerReply,
  mapReply,
  nullReply,
  OK,
  type Protocol,
} from '../../resp3/encode.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { SeenByAll } from './all-workers.ts';
import type { BigKey } from './big-keys.ts';
import type { Subcommand } from './own-command.ts';
import type { SlowCommand } from './slow-log.ts';

/** SLOWLOG GET without a number. */
const SLOWLOG_COUNT = 10;
const ALL = Number.POSITIVE_INFINITY;
const NO_NUMBER = errorReply('ERR value is not an integer or out of range');
const NEGATIVE = errorReply('ERR value is out of range, must be positive');
const BAD_SLOWLOG_COUNT = errorReply('ERR count should be greater than or equal to -1');

/** What HEATSINK tells besides: of all workers. None of these ever rejects. */
export interface Told {
  /** The most read keys, as many as that, or as are listed by default. */
  readonly hotKeys: (count: number | null) => Promise<readonly ToldKey[]>;
  /** Counters and gauges by name. */
  readonly stats: () => readonly (readonly [string, string | number])[];
  readonly tier: () => readonly (readonly [string, number])[];
  readonly clearTier: () => Promise<void>;
  readonly rules: Rules;
}

export interface ToldKey {
  readonly key: Buffer;
  readonly state: string;
  readonly readsPerSecond: number;
  readonly hits: number;
  readonly entries: number;
  readonly bytes: number;
  readonly copies: number;
  readonly pinned: boolean;
  readonly node: string | null;
}

export function createSubcommands(seen: SeenByAll, told: Told): Readonly<Record<HeatsinkName, Subcommand>> {
  return {
    'heatsink|hotkeys': (frame, protocol) => hotKeys(frame, protocol, told),
    'heatsink|stats': (_, protocol) => valuesReply(protocol, told.stats()),
    'heatsink|tier': (frame, protocol) => tier(frame, protocol, told),
    'heatsink|rules': (frame, protocol) => rules(frame, protocol, told.rules),
    'heatsink|bigkeys': (frame, protocol) => bigKeys(frame, protocol, seen),
    'heatsink|slowlog': (frame) => slowLog(frame, seen),
    'heatsink|help': () => helpReply('heatsink'),
  };
}

function hotKeys(frame: RequestFrame, protocol: Protocol, told: Told): Buffer | Promise<Buffer> {
  if (frame.argc > 3) return wrongNumber('heatsink|hotkeys');
  const count = frame.argc === 2 ? null : numberIn(frame, 2);
  if (frame.argc === 3 && count === null) return NO_NUMBER;
  if (count !== null && count < 0) return NEGATIVE;
  return told.hotKeys(count).then((keys) => arrayReply(keys.map((key) => describeHot(key, protocol))));
}

function tier(frame: RequestFrame, protocol: Protocol, told: Told): Buffer | Promise<Buffer> {
  if (frame.argc > 3) return wrongNumber('heatsink|tier');
  if (frame.argc === 2) return valuesReply(protocol, told.tier());
  if (!argumentIs(frame, 2, 'clear')) return unknownSubcommand(frame, 2, 'heatsink');
  return told.clearTier().then(() => OK);
}

function rules(frame: RequestFrame, protocol: Protocol, all: Rules): Buffer {
  if (frame.argc > 3) return wrongNumber('heatsink|rules');
  if (frame.argc === 2) {
    return arrayReply(
      all.listed.map((rule) =>
        mapReply(
          protocol,
          Object.entries(rule).map(([name, value]) => [name, settingReply(value)]),
        ),
      ),
    );
  }
  const said = all.explain(argument(frame, 2));
  return mapReply(
    protocol,
    said.map(({ name, value, by }) => [
      name,
      arrayReply([settingReply(value), by === null ? nullReply(protocol) : bulkString(by)]),
    ]),
  );
}

/** As it is written in a file. */
function settingReply(value: string | number | boolean): Buffer {
  return bulkString(typeof value === 'boolean' ? (value ? 'on' : 'off') : `${value}`);
}

function valuesReply(protocol: Protocol, values: readonly (readonly [string, string | number])[]): Buffer {
  return mapReply(
    protocol,
    values.map(([name, value]) => [
      name,
      typeof value === 'number' && Number.isInteger(value) ? integerReply(value) : bulkString(`${value}`),
    ]),
  );
}

function describeHot(hot: ToldKey, protocol: Protocol): Buffer {
  return mapReply(protocol, [
    ['key', bulkString(hot.key)],
    ['state', bulkString(hot.state)],
    ['reads-per-second', integerReply(Math.round(hot.readsPerSecond))],
    ['node', hot.node === null ? nullReply(protocol) : bulkString(hot.node)],
    ['hits', integerReply(hot.hits)],
    ['entries', integerReply(hot.entries)],
    ['bytes', integerReply(hot.bytes)],
    ['copies', integerReply(hot.copies)],
    ['pinned', integerReply(hot.pinned ? 1 : 0)],
  ]);
}

function bigKeys(frame: RequestFrame, protocol: Protocol, seen: SeenByAll): Buffer | Promise<Buffer> {
  if (frame.argc > 3) return wrongNumber('heatsink|bigkeys');
  const count = frame.argc === 2 ? ALL : numberIn(frame, 2);
  if (count === null) return NO_NUMBER;
  if (count < 0) return NEGATIVE;
  return seen.bigKeys(count).then(({ keys }) => arrayReply(keys.map((key) => describeKey(key, protocol))));
}

/** GET, LEN and RESET as Redis's own SLOWLOG takes them. https://redis.io/docs/latest/commands/slowlog-get/ */
function slowLog(frame: RequestFrame, seen: SeenByAll): Buffer | Promise<Buffer> {
  const word = ['get', 'len', 'reset'].find((known) => argumentIs(frame, 2, known));
  if (word === undefined) return unknownSubcommand(frame, 2, 'heatsink');
  if (frame.argc > (word === 'get' ? 4 : 3)) return wrongNumber('heatsink|slowlog');
  if (word === 'len') return seen.slowCommands(ALL).then(({ entries }) => integerReply(entries.length));
  if (word === 'reset') return seen.forgetSlow().then(() => OK);
  const count = frame.argc === 3 ? SLOWLOG_COUNT : numberIn(frame, 3);
  if (count === null || count < -1) return BAD_SLOWLOG_COUNT;
  return seen
    .slowCommands(count < 0 ? ALL : count)
    .then(({ entries }) => arrayReply(entries.map(describeSlow)));
}

function numberIn(frame: RequestFrame, index: number): number | null {
  const value = parseInteger(argumentText(frame, index));
  return value === null ? null : Number(value);
}

function describeKey(seen: BigKey, protocol: Protocol): Buffer {
  return mapReply(protocol, [
    ['key', bulkString(seen.key)],
    ['db', integerReply(seen.db)],
    ['bytes', integerReply(seen.bytes)],
    ['elements', integerReply(seen.elements)],
    ['command', bulkString(seen.command)],
    ['direction', bulkString(seen.of)],
    ['first-seen', integerReply(Math.floor(seen.firstSeen / 1000))],
    ['last-seen', integerReply(Math.floor(seen.lastSeen / 1000))],
    ['times', integerReply(seen.times)],
  ]);
}

function describeSlow({ id, at, micros, args, client, name, node }: SlowCommand): Buffer {
  return arrayReply([
    integerReply(id),
    integerReply(at),
    integerReply(micros),
    arrayReply(args.map(bulkString)),
    ...[client, name, node].map(bulkString),
  ]);
}
