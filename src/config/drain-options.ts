// The options of heatsink drain. They have no flags of heatsink serve, which does not drain; the command has its own.

import { databaseUrl, duration, jobList } from './drain-types.ts';
import type { Option } from './option.ts';
import { addressOrOff, integer, upstreamUrl } from './types.ts';

const GROUP = 'Drain';

export const DRAIN_OPTIONS = {
  'drain.redis': {
    group: GROUP,
    flag: null,
    argument: 'URL',
    type: upstreamUrl,
    default: null,
    unit: '',
    doc: 'Where heatsink drain finds the hashes, which may be heatsink itself; without one, the upstream',
  },
  'drain.to': {
    group: GROUP,
    flag: null,
    argument: 'URL',
    type: databaseUrl,
    default: null,
    unit: '',
    doc: 'Database that the counters are kept in',
    secret: true,
  },
  'drain.every': {
    group: GROUP,
    flag: null,
    argument: 'TIME',
    type: duration('100ms', '7d'),
    default: '10s',
    unit: '',
    doc: 'Time between rounds, give or take a tenth',
  },
  'drain.maxFields': {
    group: GROUP,
    flag: null,
    argument: 'N',
    type: integer(1, 10_000_000),
    default: 100_000,
    unit: '',
    doc: 'Fields of a hash that one transaction takes and memory holds; a larger hash takes several',
  },
  'drain.keepBatches': {
    group: GROUP,
    flag: null,
    argument: 'TIME',
    type: duration('1h', '3650d'),
    default: '7d',
    unit: '',
    doc: 'How long the table of batches remembers one whose hash is gone',
  },
  'drain.admin': {
    group: GROUP,
    flag: null,
    argument: 'HOST:PORT|off',
    type: addressOrOff,
    default: 'off',
    unit: '',
    doc: 'Where heatsink drain serves its metrics and health over HTTP; port 0 takes a free one',
  },
  'drain.jobs': {
    group: GROUP,
    flag: null,
    argument: 'LIST',
    type: jobList,
    default: [],
    unit: '',
    doc: 'Which counters go to which table',
  },
} as const satisfies Record<string, Option>;
