// The options that say when a key is hot, and how that is found out.

import type { Option } from './option.ts';
import { integer, ratio } from './types.ts';

const GROUP = 'Hot keys';

export const HOT_OPTIONS = {
  'hot.threshold': {
    group: GROUP,
    flag: 'hot-threshold',
    argument: 'N',
    type: integer(1, 1_000_000_000),
    default: 500,
    unit: 'reads/s',
    doc: 'Rate at which a key becomes hot',
    live: true,
  },
  'hot.window': {
    group: GROUP,
    flag: 'hot-window',
    argument: 'MS',
    type: integer(100, 60_000),
    default: 1000,
    unit: 'ms',
    doc: 'Length of the sliding window in which reads are counted',
  },
  'hot.steps': {
    group: GROUP,
    flag: 'hot-steps',
    argument: 'N',
    type: integer(2, 100),
    default: 10,
    unit: '',
    doc: 'Steps in which the window slides',
  },
  'hot.cool': {
    group: GROUP,
    flag: 'hot-cool',
    argument: 'RATIO',
    type: ratio,
    default: 0.5,
    unit: '',
    doc: 'Share of the threshold below which a hot key has cooled down',
    live: true,
  },
  'hot.candidates': {
    group: GROUP,
    flag: 'hot-candidates',
    argument: 'N',
    type: integer(16, 1_048_576),
    default: 4096,
    unit: '',
    doc: 'Keys that are counted exactly; all others are estimated in fixed memory',
  },
  'hot.top': {
    group: GROUP,
    flag: 'hot-top',
    argument: 'N',
    type: integer(1, 10_000),
    default: 100,
    unit: '',
    doc: 'Keys listed in /hotkeys',
    live: true,
  },
} as const satisfies Record<string, Option>;
