// The value types of the options that say who may do what.

import * as z from 'zod';
import { GROUPS } from '../access/guarded.ts';
import { isPasswordHash } from '../access/password.ts';

const HASHED = 'a hash as `heatsink hash-password` prints it, in quotes: "#9f86d0..."';
const hash = z.string({ error: HASHED }).refine(isPasswordHash, HASHED);
const glob = z.string({ error: 'a glob pattern for keys' }).min(1, 'a glob pattern for keys');
const yesOrNo = z.boolean({ error: 'true or false' }).default(false);

/** A value or a list of them, as a list. */
function oneOrMore<T extends z.ZodType>(item: T, accepted: string) {
  return z
    .union([item, z.array(item).min(1, accepted)], { error: accepted })
    .transform((value): z.output<T>[] => (Array.isArray(value) ? value : [value]));
}

const user = z
  .strictObject(
    {
      name: z.string({ error: 'a name without spaces' }).regex(/^\S+$/, 'a name without spaces'),
      password: oneOrMore(hash, HASHED).default([]),
      nopass: yesOrNo,
      keys: oneOrMore(glob, 'a glob pattern for keys, or a list of them').nullable().default(null),
      readOnly: yesOrNo,
      admin: yesOrNo,
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'a mapping with name and password' : undefined) },
  )
  .superRefine(({ password, nopass }, context) => {
    if (nopass === password.length > 0)
      context.addIssue({ code: 'custom', path: ['password'], message: `${HASHED}, or nopass: true instead` });
  })
  .transform(({ password, ...rest }) => ({ ...rest, passwords: password }));

/** The list of `users`. */
export const userList = z
  .array(user, { error: 'a list of users' })
  .superRefine((users, context) => {
    users.forEach(({ name }, i) => {
      if (users.findIndex((other) => other.name === name) < i)
        context.addIssue({ code: 'custom', path: [i, 'name'], message: 'a name that no other user has' });
    });
  })
  .describe('a list of {name, password, nopass, keys, readOnly, admin}');

const COMMAND = /^[a-z0-9._:-]+(\|[a-z0-9._:-]+)?$/i;
const NAMES = `a group (${Object.keys(GROUPS).join(', ')}), a command, or container|subcommand`;

/** The map of `policy`. */
export const policyMap = z
  .record(z.string(), z.enum(['allow', 'admin', 'deny'], { error: 'allow, admin or deny' }), {
    error: 'a mapping of groups and commands to allow, admin or deny',
  })
  .superRefine((rules, context) => {
    for (const name of Object.keys(rules))
      if (!COMMAND.test(name)) context.addIssue({ code: 'custom', path: [name], message: NAMES });
  })
  .transform((rules) =>
    Object.fromEntries(Object.entries(rules).map(([name, level]) => [name.toLowerCase(), level])),
  )
  .describe(`a mapping of ${NAMES} to allow, admin or deny`);
