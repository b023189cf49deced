// The name that a hash is renamed to while its batch is applied. It says all that whoever finds it needs: the job, the
// batch, the key that it was, and it is in the same hash slot.

import { randomUUID } from 'node:crypto';
import { keyInSlots, slotOf } from '../upstream/slot.ts';

/** What all such names begin with; a job never takes one for counters. */
export const ASIDE = 'heatsink:drain:';

export interface Aside {
  readonly name: Buffer;
  /** Unique for ever: the SQL table keeps it. */
  readonly batch: string;
  /** Into how many transactions the fields are split. */
  readonly parts: number;
  /** What the hash was named. */
  readonly key: Buffer;
}

const BATCH = /^([0-9a-f-]{36})\.(\d+)$/;

/** What the names of a job begin with. */
export function asidePrefix(job: string): string {
  return `${ASIDE}${job}:`;
}

/** A new name for the key: `heatsink:drain:JOB:BATCH.PARTS:{TAG}:KEY`. */
export function nameAside(job: string, key: Buffer, parts: number): Aside {
  const batch = `${randomUUID()}.${parts}`;
  const head = Buffer.from(`${asidePrefix(job)}${batch}:{`);
  const name = Buffer.concat([head, slotTag(key), Buffer.from('}:'), key]);
  return { name, batch, parts, key };
}

/** Reads such a name; null for one that no drain has made. */
export function readAside(job: string, name: Buffer): Aside | null {
  const prefix = asidePrefix(job).length;
  const open = name.indexOf(':{', prefix);
  const close = name.indexOf('}:', open);
  if (open < 0 || close < 0) return null;
  const batch = name.toString('latin1', prefix, open);
  const parts = Number(BATCH.exec(batch)?.[2]);
  return parts > 0 ? { name, batch, parts, key: name.subarray(close + 2) } : null;
}

/**
 * Text without braces that has the key's slot: what the key is hashed by, where that can stand in braces, else any.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */
function slotTag(key: Buffer): Buffer {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open);
  if (close > open + 1) return key.subarray(open + 1, close);
  if (key.length > 0 && !key.includes('}')) return key;
  const slot = slotOf(key, 0, key.length);
  const tag = keyInSlots('', (candidate) => candidate === slot);
  if (tag === null) throw new Error(`no tag found for slot ${slot}`);
  return Buffer.from(tag.slice(1, -1));
}
