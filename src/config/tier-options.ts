// The options that say what may be kept of the replies of hot keys, and for how long.

import type { Option } from './option.ts';
import { ruleList } from './rule-types.ts';
import { bytes, CONSISTENCY, choice, integer, onOff, share } from './types.ts';

const GROUP = 'Local tier';
const DAY_MS = 86_400_000;
const GIB = 2 ** 30;

export const TIER_OPTIONS = {
  consistency: {
    group: GROUP,
    flag: 'consistency',
    argument: 'MODE',
    type: choice(...CONSISTENCY),
    default: 'tracked',
    unit: '',
    doc: 'What may be done with reads besides forwarding them: off, coalesce, tracked or ttl',
  },
  rules: {
    group: GROUP,
    flag: null,
    argument: 'LIST',
    type: ruleList,
    default: [],
    unit: '',
    doc: 'What may be done with which keys, by glob pattern; of each setting the first rule that matches and names it decides',
  },
  'tier.enabled': {
    group: GROUP,
    flag: 'tier',
    argument: 'on|off',
    type: onOff,
    default: 'on',
    unit: '',
    doc: 'Whether replies of hot keys are kept and served locally',
  },
  'tier.maxBytes': {
    group: GROUP,
    flag: 'tier-max-bytes',
    argument: 'SIZE',
    type: bytes(2 ** 16, 1024 * GIB),
    default: '64MiB',
    unit: 'bytes',
    doc: 'Memory for the replies that are kept, of all workers together',
    live: true,
  },
  'tier.maxEntryBytes': {
    group: GROUP,
    flag: 'tier-max-entry-bytes',
    argument: 'SIZE',
    type: bytes(64, GIB / 2),
    default: '256KiB',
    unit: 'bytes',
    doc: 'Largest reply that is kept',
    live: true,
  },
  'tier.ttl': {
    group: GROUP,
    flag: 'tier-ttl',
    argument: 'MS',
    type: integer(1, DAY_MS),
    default: 60_000,
    unit: 'ms',
    doc: 'Longest that a reply is kept without being read again from its shard',
    live: true,
  },
  'tier.maxStaleness': {
    group: GROUP,
    flag: 'tier-max-staleness',
    argument: 'MS',
    type: integer(10, 60_000),
    default: 1000,
    unit: 'ms',
    doc: 'Oldest proof of no missed invalidation under which a tracked reply is served',
    live: true,
  },
  'tier.untrackedTtl': {
    group: GROUP,
    flag: 'tier-untracked-ttl',
    argument: 'MS',
    type: integer(1, DAY_MS),
    default: 1000,
    unit: 'ms',
    doc: 'Longest that a reply is kept under consistency ttl',
    live: true,
  },
  'tier.verifyShare': {
    group: GROUP,
    flag: 'tier-verify-share',
    argument: 'SHARE',
    type: share,
    default: 0.0001,
    unit: '',
    doc: 'Share of the hits that are compared with the server, to watch the promise on stale reads; 0: none',
    live: true,
  },
  'tier.staleOnError': {
    group: GROUP,
    flag: 'tier-stale-on-error',
    argument: 'MS',
    type: integer(0, DAY_MS),
    default: 0,
    unit: 'ms',
    doc: 'How long past its proof the last reply that was kept is served while its node is out of reach; 0: such reads fail',
    live: true,
  },
} as const satisfies Record<string, Option>;
