// The options that keep one client, or all of them together, from taking more than heatsink has.

import type { Option } from './schema.ts';
import { integer, onOff } from './types.ts';

const GROUP = 'Limits';

export const LIMIT_OPTIONS = {
  'client.maxClients': {
    group: GROUP,
    flag: 'max-clients',
    argument: 'N',
    type: integer(1, 1_000_000),
    default: 10_000,
    unit: '',
    doc: 'Client connections that may be open at once; more are refused',
    live: true,
  },
  'client.protectedMode': {
    group: GROUP,
    flag: 'protected-mode',
    argument: 'on|off',
    type: onOff,
    default: 'on',
    unit: '',
    doc: 'Whether clients that are not on this machine are refused while nobody checks who they are: there are no users, and auth is auto',
    live: true,
  },
} as const satisfies Record<string, Option>;
