// HEATSINK BIGKEYS and HEATSINK SLOWLOG: what all workers have seen, in Redis's forms.

import { argumentIs, argumentText } from '../../commands/argument.ts';
import { parseInteger } from '../../commands/client-state.ts';
import {
  helpReply,
  type SubcommandName,
  unknownSubcommand,
  wrongNumber,
} from '../../commands/own-command.ts';
import {
  arrayReply,
  bulkString,
  errorReply,
  integerReply,
  mapReply,
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

export function createSubcommands(seen: SeenByAll): Readonly<Record<SubcommandName, Subcommand>> {
  return {
    bigkeys: (frame, protocol) => bigKeys(frame, protocol, seen),
    slowlog: (frame) => slowLog(frame, seen),
    help: helpReply,
  };
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
  if (word === undefined) return unknownSubcommand(frame, 2);
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
