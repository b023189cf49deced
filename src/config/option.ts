// What is said of one option in the table of all of them, and what follows from that.

import type * as z from 'zod';

export interface Option {
  /** Heading it stands under in help and docs. */
  readonly group: string;
  /** Flag without its dashes; null where only the YAML file can say it. */
  readonly flag: string | null;
  /** Stands for the value in help. */
  readonly argument: string;
  readonly type: z.ZodType;
  /** As a person would write it in the YAML file; null for none. */
  readonly default: string | number | null | readonly [] | Readonly<Record<string, never>>;
  /** Unit of the value, empty where it has none. */
  readonly unit: string;
  readonly doc: string;
  /** CONFIG SET can change it while heatsink runs; config/live.ts wants to know how. */
  readonly live?: true;
  /** CONFIG GET does not show it. */
  readonly secret?: true;
}

/** The environment variable of a flag: HEATSINK_HOT_THRESHOLD for hot-threshold. */
export function envName(flag: string): string {
  return `HEATSINK_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** The option's default in words, with its unit. */
export function describeDefault(option: Option): string {
  if (typeof option.default === 'object') return 'none';
  // A size carries its unit in its suffix.
  return option.unit === '' || option.unit === 'bytes'
    ? `${option.default}`
    : `${option.default} ${option.unit}`;
}
