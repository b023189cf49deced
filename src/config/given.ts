// A value that somebody gave for an option, with where it came from, and the check of it.

import type * as z from 'zod';
import type { Option } from './option.ts';
import type { OptionPath } from './schema.ts';
import { maskPassword } from './upstream-url.ts';

export interface Given {
  readonly path: OptionPath;
  readonly raw: unknown;
  /** Names the source of the value, or of a part of it: `--workers`, `HEATSINK_WORKERS`, `file.yaml:3:12`. */
  readonly source: (part: readonly PropertyKey[]) => string;
}

/** The typed value, or one line for each thing that is wrong with it. */
export function check(option: Option, given: Given): { value: unknown } | { problems: string[] } {
  const result = option.type.safeParse(given.raw);
  if (result.success) return { value: result.data };
  return { problems: result.error.issues.map((issue) => problem(option, given, issue)) };
}

function problem(option: Option, given: Given, issue: z.core.$ZodIssue): string {
  const at = given.source(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return `${at}: ${place(given.path, issue.path)} has no key ${issue.keys.map(show).join(', ')}`;
  }
  const found = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown>)?.[key],
    given.raw,
  );
  // A plaintext password must not get into a log.
  const shown = issue.path.includes('password') && found !== undefined ? 'what is given' : show(found);
  const refused = `${at}: ${shown} is not accepted`;
  // Parts of a list say themselves what they accept.
  if (issue.path.length > 0)
    return `${refused} for ${place(given.path, issue.path)}; accepted: ${issue.message}`;
  const reason = issue.code === 'custom' && issue.message !== '' ? `: ${issue.message}` : '';
  return `${refused}${reason}; accepted: ${option.type.description}`;
}

function place(path: string, part: readonly PropertyKey[]): string {
  return path + part.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  return JSON.stringify(typeof value === 'string' ? maskPassword(value) : value);
}
