// The options that say what of the traffic is worth remembering: large values, and commands that took long.

import type { Option } from './option.ts';
import { bytesOrNone, integer } from './types.ts';

const GROUP = 'Big keys and slow commands';
const GIB = 2 ** 30;

export const SEEN_OPTIONS = {
  'bigKeys.bytes': {
    group: GROUP,
    flag: 'big-key-bytes',
    argument: 'SIZE',
    type: bytesOrNone(64, GIB),
    default: '10KiB',
    unit: 'bytes',
    doc: 'Size above which a reply or the arguments for a key make it a big one; 0: no size does',
    live: true,
  },
  'bigKeys.elements': {
    group: GROUP,
    flag: 'big-key-elements',
    argument: 'N',
    type: integer(0, 1_000_000_000),
    default: 5000,
    unit: '',
    doc: 'Number of elements in a reply or in arguments above which their key is a big one; 0: no number does',
    live: true,
  },
  'bigKeys.top': {
    group: GROUP,
    flag: 'big-key-top',
    argument: 'N',
    type: integer(0, 10_000),
    default: 100,
    unit: '',
    doc: 'Big keys that are remembered, half of them the largest, half those seen last; 0: nobody looks',
    live: true,
  },
  'slowLog.slowerThan': {
    group: GROUP,
    flag: 'slow-log-slower-than',
    argument: 'MS',
    type: integer(-1, 600_000),
    default: 10,
    unit: 'ms',
    doc: 'Time from sending a command upstream to its reply from which on it is slow; 0: every command is, -1: none',
    live: true,
  },
  'slowLog.maxLen': {
    group: GROUP,
    flag: 'slow-log-max-len',
    argument: 'N',
    type: integer(0, 10_000),
    default: 128,
    unit: '',
    doc: 'Slow commands that are remembered; 0: none',
    live: true,
  },
} as const satisfies Record<string, Option>;
