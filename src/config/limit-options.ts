// The options that keep one client, or all of them together, from taking more than heatsink has.

import type { Option } from './option.ts';
import { bytes, bytesOrNone, integer, onOff } from './types.ts';

const GROUP = 'Limits';
const DAY_MS = 86_400_000;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

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
  'client.idleTimeout': {
    group: GROUP,
    flag: 'idle-timeout',
    argument: 'MS',
    type: integer(0, 365 * DAY_MS),
    default: 0,
    unit: 'ms',
    doc: 'Silence after which a client that waits for nothing is closed; 0: never',
    live: true,
  },
  'client.requestTimeout': {
    group: GROUP,
    flag: 'request-timeout',
    argument: 'MS',
    type: integer(0, DAY_MS),
    default: 60_000,
    unit: 'ms',
    doc: 'Time in which a request that has begun must be whole, or at least 1 KiB more of it have come; 0: any',
    live: true,
  },
  'client.queryBuffer': {
    group: GROUP,
    flag: 'query-buffer',
    argument: 'SIZE',
    type: bytes(MIB, GIB),
    default: '1GiB',
    unit: 'bytes',
    doc: 'Unread bytes of one client past which it is closed',
    live: true,
  },
  'client.outputBuffer': {
    group: GROUP,
    flag: 'output-buffer',
    argument: 'SIZE',
    type: bytesOrNone(MIB, 1024 * GIB),
    default: '256MiB',
    unit: 'bytes',
    doc: 'Replies that wait for one client past which a further one closes it; 0: any number',
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
  'client.authDelay': {
    group: GROUP,
    flag: 'auth-delay',
    argument: 'MS',
    type: integer(0, 60_000),
    default: 5000,
    unit: 'ms',
    doc: 'Longest wait of a login from where wrong passwords come; it doubles from 50 ms with each of them. 0: none',
    live: true,
  },
  'shed.lag': {
    group: GROUP,
    flag: 'shed-lag',
    argument: 'MS',
    type: integer(0, 600_000),
    default: 0,
    unit: 'ms',
    doc: 'Lateness of a worker past which it answers -BUSY to what it would send on; 0: never',
    live: true,
  },
} as const satisfies Record<string, Option>;
