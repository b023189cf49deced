// The options of keys that are deleted when PostgreSQL says that their rows have changed.

import * as z from 'zod';
import { parseTemplate, TEMPLATE_FORM } from './key-template.ts';
import type { Option } from './option.ts';
import { integer, optional, refuse } from './types.ts';

const GROUP = 'PostgreSQL invalidation';
const DAY_MS = 86_400_000;

/** Separated by commas in a flag; in YAML a list, or one alone. */
const texts = z
  .union([z.string().transform((text) => (text.trim() === '' ? [] : text.split(','))), z.array(z.string())])
  .transform((list) => list.map((text) => text.trim()))
  .superRefine((list, context) => {
    if (list.includes('')) refuse(context, list.join());
  });

/** PostgreSQL cuts longer names off, and would then listen to another channel. */
const CHANNEL_BYTES = 63;
const channels = texts
  .superRefine((list, context) => {
    if (list.some((name) => Buffer.byteLength(name) > CHANNEL_BYTES)) refuse(context, list.join());
  })
  .describe(`names of at most ${CHANNEL_BYTES} bytes, separated by commas, or a list of them`);

/** They stay text, as a configuration is shown and goes from thread to thread. */
const templates = texts
  .superRefine((list, context) => {
    for (const text of list) complain(text, context);
  })
  .describe(`templates separated by commas, or a list of them; each ${TEMPLATE_FORM}`);

function complain(text: string, context: z.core.$RefinementCtx): void {
  try {
    parseTemplate(text);
  } catch (error) {
    context.addIssue(`in ${JSON.stringify(text)} ${(error as Error).message}`);
  }
}

const postgresUrl = z
  .union([z.null(), z.string().trim()])
  .superRefine((url, context) => {
    // Without a host it is PGHOST or a socket, which is no URL when a user is named.
    const whole = url?.replace('@/', '@localhost/') ?? 'postgres:///';
    if (!/^postgres(ql)?:\/\//.test(whole) || !URL.canParse(whole)) refuse(context, whole);
  })
  .describe('postgres://[user[:password]@][host[:port]][/database][?sslmode=verify-full]');

const sweepSql = z
  .union([z.null(), z.string().trim().min(1)])
  .superRefine((sql, context) => {
    if (sql !== null && /\$([2-9]|1\d)/.test(sql)) refuse(context, sql);
  })
  .describe('a SELECT whose columns fill the templates, with no other parameter than $1');

export const INVALIDATOR_OPTIONS = {
  'invalidator.postgres': {
    group: GROUP,
    flag: 'invalidator-postgres',
    argument: 'URL',
    type: postgresUrl,
    default: null,
    unit: '',
    doc: 'Database whose notifications delete keys; parts left out come from PGHOST, PGUSER, PGPASSWORD and so on',
    secret: true,
  },
  'invalidator.channel': {
    group: GROUP,
    flag: 'invalidator-channel',
    argument: 'NAME',
    type: channels,
    default: [],
    unit: '',
    doc: 'Channels to LISTEN on',
  },
  'invalidator.delete': {
    group: GROUP,
    flag: 'invalidator-delete',
    argument: 'TEMPLATE',
    type: templates,
    default: [],
    unit: '',
    doc: 'Keys to delete, filled from the JSON object of a payload; {payload} is the payload as it is',
  },
  'invalidator.sweep': {
    group: GROUP,
    flag: 'invalidator-sweep',
    argument: 'SQL',
    type: sweepSql,
    default: null,
    unit: '',
    doc: 'Query for what may have changed unnoticed, run after each connect; $1 is the time since which',
  },
  'invalidator.sweepDelete': {
    group: GROUP,
    flag: 'invalidator-sweep-delete',
    argument: 'PATTERN',
    type: optional('a glob pattern for keys, as in SCAN'),
    default: null,
    unit: '',
    doc: 'Keys to delete after each connect, found by SCAN',
  },
  'invalidator.margin': {
    group: GROUP,
    flag: 'invalidator-margin',
    argument: 'MS',
    type: integer(0, 7 * DAY_MS),
    default: 60_000,
    unit: 'ms',
    doc: 'How much further back $1 of the sweep is: no less than the longest transaction that writes takes',
  },
  'invalidator.lookback': {
    group: GROUP,
    flag: 'invalidator-lookback',
    argument: 'MS',
    type: integer(0, 365 * DAY_MS),
    default: 3_600_000,
    unit: 'ms',
    doc: 'How far back the first sweep looks, as what was missed before the start is not known',
  },
  'invalidator.keepalive': {
    group: GROUP,
    flag: 'invalidator-keepalive',
    argument: 'MS',
    type: integer(10, 600_000),
    default: 5000,
    unit: 'ms',
    doc: 'How often the database is asked whether it is there, and how long for it to answer',
  },
  'invalidator.maxPending': {
    group: GROUP,
    flag: 'invalidator-max-pending',
    argument: 'N',
    type: integer(1, 100_000_000),
    default: 100_000,
    unit: 'keys',
    doc: 'Keys that wait to be deleted; past it they are given up for a sweep',
  },
} as const satisfies Record<string, Option>;
