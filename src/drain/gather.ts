// Reads the fields of a hash that belong to one transaction, and tells those that can be added from those that cannot.

import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import type { DrainRedis } from './redis.ts';

export interface Row {
  readonly field: string;
  /** A number as text: exact, whatever its size. */
  readonly value: string;
}

/** What cannot be applied, as text that any database takes, and why. */
export interface Refused extends Row {
  readonly reason: string;
}

export interface Gathered {
  /** In the order of their fields, so that two drains lock rows in the same order. */
  readonly rows: readonly Row[];
  readonly refused: readonly Refused[];
}

const INTEGER = /^-?\d{1,19}$/;
const DECIMAL = /^-?\d+(\.\d+)?$/;

/**
 * Reads part `part` of `parts`. Which part a field is in depends on the field alone, so that it stays there when
 * another drain reads the hash again. Memory holds that part; HSCAN names a field twice at times, which counts once.
 */
export async function gather(
  redis: DrainRedis,
  key: Buffer,
  { part, parts, decimals }: { part: number; parts: number; decimals: boolean },
): Promise<Gathered> {
  const accepted = decimals ? DECIMAL : INTEGER;
  const seen = new Set<string>();
  const rows: Row[] = [];
  const refused: Refused[] = [];
  for await (const [field, value] of redis.fields(key)) {
    if (parts > 1 && crc32(field) % parts !== part) continue;
    const bytes = field.toString('latin1');
    if (seen.has(bytes)) continue;
    seen.add(bytes);
    const row = { field: textOf(field), value: textOf(value) };
    if (!isText(field)) refused.push({ ...row, reason: 'the field is not UTF-8 text' });
    else if (accepted.test(row.value)) rows.push(row);
    else refused.push({ ...row, reason: `the value is not ${decimals ? 'a decimal number' : 'an integer'}` });
  }
  rows.sort((a, b) => (a.field < b.field ? -1 : 1));
  return { rows, refused };
}

/** Whether a database takes it as text: PostgreSQL has none with a NUL. */
export function isText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !bytes.includes(0);
}

/** The bytes as text, or in base64 where they are none. */
export function textOf(bytes: Buffer): string {
  return isText(bytes) ? bytes.toString() : `base64:${bytes.toString('base64')}`;
}

/** The sum of the values: exact for integers. */
export function sumOf(rows: readonly Row[], decimals: boolean): string {
  if (decimals) return `${rows.reduce((sum, { value }) => sum + Number(value), 0)}`;
  return `${rows.reduce((sum, { value }) => sum + BigInt(value), 0n)}`;
}
