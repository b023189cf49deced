// HOTKEYS as Redis 8.6 has it, for all that goes through heatsink: https://redis.io/docs/latest/commands/hotkeys/

import { parseHotkeysStart } from '../../commands/hotkeys.ts';
import { type HotkeysName, helpReply, wrongNumber } from '../../commands/own-command.ts';
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
import type { Measured } from './key-usage.ts';
import type { Subcommand } from './own-command.ts';
import type { Weighed } from './top-keys.ts';
import type { UsageByAll } from './usage-by-all.ts';

const RUNNING = errorReply('ERR hotkey tracking session already in progress');
const STILL_RUNNING = errorReply('ERR hotkey tracking session in progress, stop tracking first');
const ALL_SLOTS = [[0, 16383]] as const;

/** `cluster`: whether the upstream is one, so that there are slots to choose from. */
export function createHotkeys(
  usage: UsageByAll,
  cluster: boolean,
): Readonly<Record<HotkeysName, Subcommand>> {
  /** Of this process, when it began to measure. */
  let cpuBefore = process.cpuUsage();
  return {
    'hotkeys|start'(frame) {
      if (usage.current?.active) return RUNNING;
      const measuring = parseHotkeysStart(frame, cluster);
      if (Buffer.isBuffer(measuring)) return measuring;
      cpuBefore = process.cpuUsage();
      return usage.start(measuring).then(() => OK);
    },
    'hotkeys|stop'(frame, protocol) {
      if (frame.argc !== 2) return wrongNumber('hotkeys|stop');
      if (!usage.current?.active) return nullReply(protocol);
      return usage.stop().then(() => OK);
    },
    'hotkeys|get'(frame, protocol) {
      if (frame.argc !== 2) return wrongNumber('hotkeys|get');
      return usage
        .measured()
        .then((measured) =>
          measured === null
            ? nullReply(protocol)
            : arrayReply([describe(measured, protocol, process.cpuUsage(cpuBefore))]),
        );
    },
    'hotkeys|reset'(frame) {
      if (frame.argc !== 2) return wrongNumber('hotkeys|reset');
      if (usage.current?.active) return STILL_RUNNING;
      return usage.forget().then(() => OK);
    },
    'hotkeys|help': () => helpReply('hotkeys'),
  };
}

/** The fields that there are, in the order of Redis. */
function describe(measured: Measured, protocol: Protocol, used: NodeJS.CpuUsage): Buffer {
  const { measuring, all, selected, sampled } = measured;
  const chosen = measuring.slots !== null;
  const samples = chosen && measuring.sample > 1;
  const field = (name: string, value: number) => [name, integerReply(Math.round(value))] as const;
  const when = (so: boolean, ...fields: (readonly [string, Buffer])[]) => (so ? fields : []);
  return mapReply(protocol, [
    field('tracking-active', measured.active ? 1 : 0),
    field('sample-ratio', measuring.sample),
    ['selected-slots', arrayReply((measuring.slots ?? ALL_SLOTS).map(describeRange))],
    ...when(samples, field('sampled-commands-selected-slots-us', sampled.us)),
    ...when(chosen, field('all-commands-selected-slots-us', selected.us)),
    field('all-commands-all-slots-us', all.us),
    ...when(samples, field('net-bytes-sampled-commands-selected-slots', sampled.bytes)),
    ...when(chosen, field('net-bytes-all-commands-selected-slots', selected.bytes)),
    field('net-bytes-all-commands-all-slots', all.bytes),
    field('collection-start-time-unix-ms', measured.startedAt),
    field('collection-duration-ms', measured.duration),
    ...when(
      measuring.cpu,
      field('total-cpu-time-user-ms', used.user / 1000),
      field('total-cpu-time-sys-ms', used.system / 1000),
    ),
    ...when(measuring.net, field('total-net-bytes', measured.netTotal)),
    ...when(measuring.cpu, ['by-cpu-time-us', describeKeys(measured.cpu)]),
    ...when(measuring.net, ['by-net-bytes', describeKeys(measured.net)]),
  ]);
}

function describeRange([first, last]: readonly [number, number]): Buffer {
  return arrayReply(first === last ? [integerReply(first)] : [integerReply(first), integerReply(last)]);
}

function describeKeys(keys: readonly Weighed[]): Buffer {
  return arrayReply(keys.flatMap(({ key, weight }) => [bulkString(key), integerReply(weight)]));
}
