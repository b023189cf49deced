// The loads: everything from heatsink's own memory, and nothing from it, with and without the server's share.
// With each, the ratio it is judged by and the least that the ratio should be.

import type { TargetName } from './servers.ts';

export interface Scenario {
  readonly name: 'hot' | 'cold' | 'absent';
  readonly title: string;
  readonly explanation: string;
  /** Random keys to choose from; 0 for one key. */
  readonly keys: number;
  /** Whether the server holds those keys. */
  readonly stored: boolean;
  /** heatsink's options besides upstream and ports. */
  readonly flags: Record<string, string>;
  /** heatsink's requests a second are divided by those of this target. */
  readonly against: TargetName;
  /** The least ratio to reach, by pipeline depth. */
  readonly aims: Readonly<Record<number, number>>;
}

export const PIPELINES = [1, 16, 64] as const;

const FORWARDED_AIMS = { 1: 0.85, 16: 1.8, 64: 4.5 };

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'hot',
    title: 'All hot',
    explanation:
      'One key. heatsink finds it by itself and answers from its local tier, with its default options.',
    keys: 0,
    stored: true,
    flags: {},
    against: 'redis',
    aims: { 1: 1.0, 16: 0.95, 64: 1.1 },
  },
  {
    name: 'cold',
    title: 'All cold',
    explanation:
      'A million keys at random. heatsink runs with its local tier off, so every request is forwarded. Finding ' +
      'one key of a million costs the server more than the rest of a request, so its own rate is the ceiling.',
    keys: 1_000_000,
    stored: true,
    flags: { tier: 'off' },
    against: 'twemproxy',
    aims: FORWARDED_AIMS,
  },
  {
    name: 'absent',
    title: 'All cold, nothing stored',
    explanation:
      'The same on an empty server, which answers every request with nil: what is left is the work of the proxy.',
    keys: 1_000_000,
    stored: false,
    flags: { tier: 'off' },
    against: 'twemproxy',
    aims: FORWARDED_AIMS,
  },
];
