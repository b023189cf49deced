// Whether a client may send a request: has it shown who it is, does the policy let it, may its user do that to those
// keys. In Redis's own words where it has any.

import { argumentIs, argumentText } from '../commands/argument.ts';
import { ALLOWED, type Command, DENIED } from '../commands/command.ts';
import { findKeys, fits, KeyPositions } from '../commands/keys.ts';
import { errorReply } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { KeyPatterns } from './key-patterns.ts';
import { KEYLESS, SCRIPTS } from './keyless.ts';
import type { Policy } from './policy.ts';
import type { Rights } from './rights.ts';

const NOAUTH = errorReply('NOAUTH Authentication required.');
const NOT_THESE_KEYS = errorReply(
  'NOPERM this user has no permissions to access one of the keys used as arguments',
);
/** What may be sent before the client has shown who it is. */
const BEFORE_AUTH = new Set(['auth', 'hello', 'quit', 'reset']);

export class Permit {
  readonly #policy: Policy;
  readonly #keys = new KeyPositions();

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  /** The error for a request that a client with these rights may not send, or null. */
  refusal(rights: Rights, frame: RequestFrame, command: Command | null): Buffer | null {
    if (!rights.authenticated && !BEFORE_AUTH.has(command?.name ?? '')) return NOAUTH;
    if (command === null) {
      const free = rights.keys === null && !rights.readOnly;
      return free ? null : notThisCommand(argumentText(frame, 0).toLowerCase());
    }
    if (command.guard !== ALLOWED) {
      const guard = this.#policy.decide(command, frame);
      if (guard === DENIED || (guard !== ALLOWED && !rights.admin))
        return errorReply(this.#policy.reason(guard, command, frame));
    }
    if (rights.readOnly && mayWrite(command)) return notThisCommand(command.name);
    return rights.keys === null ? null : this.#keysRefusal(rights.keys, frame, command);
  }

  #keysRefusal(patterns: KeyPatterns, frame: RequestFrame, command: Command): Buffer | null {
    const { name } = command;
    if (!fits(command, frame)) return errorReply(`ERR wrong number of arguments for '${name}' command`);
    if (SCRIPTS.has(name)) return notThisCommand(name);
    if (KEYLESS.has(name) || name.endsWith('|help'))
      return tellsOfOtherKeys(name, frame) ? NOT_THESE_KEYS : null;
    const { buf, start, args } = frame;
    const keys = this.#keys;
    const count = findKeys(command, frame, keys);
    if (count <= 0) return notThisCommand(name);
    for (let i = 0; i < count; i++) {
      const at = keys.at[i] * 2;
      if (!patterns.match(buf, start + args[at], start + args[at + 1])) return NOT_THESE_KEYS;
    }
    return name === 'sort' || name === 'sort_ro' ? sortRefusal(frame) : null;
  }
}

function notThisCommand(name: string): Buffer {
  // Redis prints so much of a name that a client has sent.
  return errorReply(`NOPERM this user has no permissions to run the '${name.slice(0, 128)}' command`);
}

/** WATCH has keys and is no read for the server, but it changes nothing. */
function mayWrite({ isWrite, name }: Command): boolean {
  return (isWrite && name !== 'watch') || name === 'script|flush' || name === 'script|load';
}

/** CLIENT TRACKING in broadcasting mode names every key that changes. */
function tellsOfOtherKeys(name: string, frame: RequestFrame): boolean {
  if (name !== 'client|tracking') return false;
  for (let i = 3; i < frame.argc; i++) if (argumentIs(frame, i, 'bcast')) return true;
  return false;
}

/** BY and GET make SORT read keys by pattern: https://redis.io/docs/latest/commands/sort/ */
function sortRefusal(frame: RequestFrame): Buffer | null {
  for (let i = 2; i < frame.argc; i++) {
    if (argumentIs(frame, i, 'limit')) i += 2;
    else if (argumentIs(frame, i, 'store')) i++;
    else if (i + 1 < frame.argc && argumentIs(frame, i, 'by')) {
      if (argumentText(frame, ++i).includes('*')) return sortDenied('BY');
    } else if (i + 1 < frame.argc && argumentIs(frame, i, 'get')) {
      if (argumentText(frame, ++i) !== '#') return sortDenied('GET');
    }
  }
  return null;
}

function sortDenied(option: string): Buffer {
  return errorReply(`ERR ${option} option of SORT denied due to insufficient ACL permissions.`);
}
