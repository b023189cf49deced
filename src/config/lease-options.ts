// The options that say how long clients wait for whoever rebuilds a missing key, where a rule gives leases.

import type { Option } from './option.ts';
import { integer } from './types.ts';

const GROUP = 'Leases';

export const LEASE_OPTIONS = {
  'lease.wait': {
    group: GROUP,
    flag: 'lease-wait',
    argument: 'MS',
    type: integer(1, 600_000),
    default: 1000,
    unit: 'ms',
    doc: 'Longest that a read of a missing key waits for somebody else to rebuild it',
    live: true,
  },
  'lease.hold': {
    group: GROUP,
    flag: 'lease-hold',
    argument: 'MS',
    type: integer(1, 600_000),
    default: 500,
    unit: 'ms',
    doc: 'How long the client that was told to rebuild a key may take before the next one is told',
    live: true,
  },
} as const satisfies Record<string, Option>;
