// The value types of heatsink drain: the database, times as people write them, and the list of jobs.

import * as z from 'zod';
import { parseKeyParts } from './key-parts.ts';

/** The SQL database that counters are kept in. */
export interface DatabaseUrl {
  readonly dialect: 'postgres' | 'mysql';
  /** As its client takes it; may hold a password. */
  readonly url: string;
}

/** Which counters go where. */
export interface DrainJob {
  /** Names the job in keys, tables, metrics and the log. */
  readonly name: string;
  /** See `parseKeyParts`. */
  readonly from: string;
  /** With its schema in front, if need be. */
  readonly table: string;
  /** Where the fields of the hashes go. */
  readonly keyColumn: string;
  /** What is added to. */
  readonly column: string;
  /** Whether values may have decimals, as HINCRBYFLOAT leaves them. */
  readonly decimals: boolean;
}

const DIALECTS: Readonly<Record<string, DatabaseUrl['dialect']>> = {
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mysql',
};

/** A database, or null where none is named. */
export const databaseUrl = z
  .union([z.null(), z.string()])
  .transform((value, context): DatabaseUrl | null => {
    if (value === null) return null;
    const url = URL.parse(value.trim());
    const dialect = DIALECTS[url?.protocol ?? ''];
    if (url === null || dialect === undefined || url.hostname === '') {
      context.addIssue({ code: 'invalid_format', format: 'option', input: value, message: 'not accepted' });
      return z.NEVER;
    }
    // Its client knows one of the two names.
    return { dialect, url: url.href.replace(/^mariadb:/, 'mysql:') };
  })
  .describe('postgres://[user[:password]@]host[:port]/database, or the same with mysql:// or mariadb://');

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time in milliseconds, which may be written with another unit. */
export function duration(min: string, max: string) {
  return z
    .union([z.string(), z.number()])
    .transform((value, context) => {
      const ms = readDuration(`${value}`.trim());
      if (ms >= readDuration(min) && ms <= readDuration(max)) return ms;
      context.addIssue({
        code: 'invalid_format',
        format: 'option',
        input: `${value}`,
        message: 'not accepted',
      });
      return z.NEVER;
    })
    .describe(`a time from ${min} to ${max}: milliseconds, or such as 10s, 5m, 1h or 7d`);
}

/** NaN for what is no time. */
function readDuration(value: string): number {
  const [, digits, unit = 'ms'] = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)?$/.exec(value) ?? [];
  return Number(digits) * UNITS[unit];
}

const words = (accepted: string) => z.string({ error: accepted }).min(1, accepted);
const NAME = 'letters, digits, dots, dashes and underscores, 48 at the most';
const MAPPING = 'a mapping with from, table, keyColumn and column';

const from = words('a pattern for keys, such as views:{day}').superRefine((pattern, context) => {
  try {
    parseKeyParts(pattern);
  } catch (error) {
    context.addIssue(`a pattern in which every column stands once: ${(error as Error).message}`);
  }
});

const job = z
  .strictObject(
    {
      name: words(NAME)
        .regex(/^[\w.-]{1,48}$/, NAME)
        .optional(),
      from,
      table: words('the name of a table'),
      keyColumn: words('the name of the column that the fields go to'),
      column: words('the name of the column that is added to'),
      decimals: z
        .union([z.boolean(), z.enum(['on', 'off'])], { error: 'on or off' })
        .transform((word) => word === true || word === 'on')
        .default(false),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? MAPPING : undefined) },
  )
  .superRefine(({ from: pattern, keyColumn, column }, context) => {
    const columns = [...parseKeyParts(pattern).columns, keyColumn, column];
    const twice = columns.find((name, i) => columns.indexOf(name) !== i);
    if (twice !== undefined)
      context.addIssue(`each column once; "${twice}" would be written from two places`);
  })
  .transform(
    (given): DrainJob => ({
      ...given,
      name: given.name ?? given.table.replace(/[^\w.-]/g, '_').slice(0, 48),
    }),
  );

/** The list of `drain.jobs`. A job without a name has that of its table. */
export const jobList = z
  .array(job, { error: 'a list of jobs' })
  .superRefine((jobs, context) => {
    for (const [i, { name }] of jobs.entries()) {
      if (jobs.findIndex((other) => other.name === name) === i) continue;
      context.addIssue({
        code: 'custom',
        path: [i, 'name'],
        message: `a name of its own: another job is named "${name}" already`,
      });
    }
  })
  .describe('a list of {from: PATTERN, table, keyColumn, column, name, decimals}; see docs/drain.md');
