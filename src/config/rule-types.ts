// The settings that a rule may have, by their names in YAML: what each accepts, means, and is without a rule.

import * as z from 'zod';
import type { Rule } from '../cache/rules.ts';
import { CONSISTENCY, FAN_OUT } from './types.ts';

interface Setting {
  readonly type: z.ZodType;
  readonly accepted: string;
  readonly otherwise: string;
  readonly doc: string;
}

/** One of a few words. */
function words<const Words extends readonly [string, ...string[]]>(...names: Words) {
  const accepted = `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
  return { type: z.enum(names, { error: accepted }), accepted };
}

/** on or off, as a boolean; YAML's true and false mean the same. */
const onOff = {
  type: z
    .union([z.boolean(), z.enum(['on', 'off'])], { error: 'on or off' })
    .transform((word) => word === true || word === 'on'),
  accepted: 'on or off',
};

/** A share of at most that many percent: `10%` or 0.1. */
function percentage(most: number) {
  const accepted = `a share up to ${most}%, such as 10% or 0.1`;
  const type = z
    .union([z.string(), z.number()], { error: accepted })
    .transform((raw) => (/^\d+(\.\d+)?%$/.test(`${raw}`) ? Number.parseFloat(`${raw}`) / 100 : Number(raw)))
    .refine((value) => value >= 0 && value <= most / 100, accepted);
  return { type, accepted };
}

export const RULE_SETTINGS = {
  consistency: {
    ...words(...CONSISTENCY),
    otherwise: 'as the option `consistency` says',
    doc: 'What may be done with reads besides forwarding them',
  },
  jitter: {
    ...percentage(50),
    otherwise: '0',
    doc: 'How far times to live are moved at random, up or down, in SET, SETEX, PSETEX, EXPIRE, PEXPIRE and GETEX',
  },
  combine: {
    ...onOff,
    otherwise: 'off',
    doc: 'Whether INCR, INCRBY, DECR, DECRBY and HINCRBY of one counter that come at once go upstream as one',
  },
  refreshAhead: {
    ...onOff,
    otherwise: 'off',
    doc: 'Whether what is kept of a hot key is read again shortly before its time is up, so that no reader waits',
  },
  negative: {
    ...onOff,
    otherwise: 'off',
    doc: 'Whether it is kept that a key is missing, though it is not hot: at most `tier.maxNegatives` keys',
  },
  reads: {
    ...words('primary', 'replicas'),
    otherwise: 'primary',
    doc: 'Who answers reads of one key: the node that owns it, or its replicas, which may be late; see Reads from replicas',
  },
  fanOut: {
    ...words(...FAN_OUT),
    otherwise: 'as the option `fanOut` says',
    doc: 'While the key is hot, have copies of it on the other masters of a cluster, and spread its reads over all: off, large (replies that do not fit into the tier) or on (instead of keeping them in the tier)',
  },
  lease: {
    ...onOff,
    otherwise: 'off',
    doc: 'Whether one client at a time is told that a hot key is missing, and others wait for what that one writes',
  },
} as const satisfies Record<string, Setting>;

type Settings = {
  [Name in keyof typeof RULE_SETTINGS]: z.ZodOptional<(typeof RULE_SETTINGS)[Name]['type']>;
};

const NAMES = Object.keys(RULE_SETTINGS);
const MAPPING = `a mapping with match and one or more of ${NAMES.join(', ')}`;
const settings = Object.fromEntries(
  Object.entries(RULE_SETTINGS).map(([name, { type }]) => [name, type.optional()]),
) as Settings;

/** The list of `rules`. */
export const ruleList = z
  .array(
    z
      .strictObject(
        {
          match: z.string({ error: 'a glob pattern for keys' }).min(1, 'a glob pattern for keys'),
          ...settings,
        },
        { error: (issue) => (issue.code === 'invalid_type' ? MAPPING : undefined) },
      )
      .refine((rule) => NAMES.some((name) => name in rule), MAPPING),
    { error: 'a list of rules' },
  )
  // What a rule does not name it does not have, not even as undefined.
  .transform((rules) => rules as Rule[])
  .describe(`a list of {match: PATTERN, ${NAMES.join(', ')}}; see Rules below`);

/** What can be said in a rule, for docs/configuration.md. */
export function rulesTable(): string {
  const rows = Object.entries(RULE_SETTINGS).map(
    ([name, { accepted, otherwise, doc }]) => `| \`${name}\` | ${accepted} | ${otherwise} | ${doc} |`,
  );
  return ['| Setting | Accepted | Without a rule | Meaning |', '|---|---|---|---|', ...rows, ''].join('\n');
}
