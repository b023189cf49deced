// Commands that are not in the table.

import { ASKS_OTHER } from '../cache/witness.ts';
import { ALLOWED, type Command } from './command.ts';

/** What heatsink assumes of a command that it knows nothing about. */
export const UNKNOWN: Command = {
  name: '',
  arity: -1,
  isRead: false,
  isWrite: true,
  replicates: true,
  blocking: false,
  plain: true,
  noMulti: false,
  cacheable: false,
  draws: false,
  asks: ASKS_OTHER,
  expiry: null,
  increment: null,
  fixedKey: 0,
  keySpecs: [],
  keysUnknown: true,
  requestPolicy: 'none',
  responsePolicy: 'none',
  route: 'forward',
  guard: ALLOWED,
  fast: false,
  flaggedAdmin: false,
  state: null,
  refusal: '',
};

/** What no server knows changes nothing. */
export const NO_COMMAND: Command = { ...UNKNOWN, isWrite: false };
