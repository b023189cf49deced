// CLIENT KILL: which clients it means. https://redis.io/docs/latest/commands/client-kill/

import { errorReply } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentIs, argumentText } from './argument.ts';
import { type ClientType, clientType } from './client-list.ts';
import { parseInteger } from './client-state.ts';

/** A client is meant when all that is not null fits. */
export interface KillFilter {
  id: number | null;
  type: ClientType | null;
  user: string | null;
  address: string | null;
  localAddress: string | null;
  /** Seconds since it connected, at the least. */
  age: number | null;
  /** Whether the client that asks is left alone. */
  skipMe: boolean;
  /** Whether the reply is the number of clients, not OK. */
  readonly counted: boolean;
}

const SYNTAX_ERROR = errorReply('ERR syntax error');
const NO_ID = errorReply('ERR client-id should be greater than 0');
const NO_AGE = errorReply('ERR maxage is not an integer or out of range');
const AGE_TOO_SMALL = errorReply('ERR maxage should be greater than 0');

export interface KillContext {
  readonly isUser: (name: string) => boolean;
  /** Whether the upstream is new enough to know MAXAGE: Redis 7.4. */
  readonly knowsAge: boolean;
}

/** The clients that a CLIENT KILL (of three arguments or more) means, or the error reply. */
export function readKillFilter(frame: RequestFrame, context: KillContext): KillFilter | Buffer {
  const { argc } = frame;
  const filter: KillFilter = {
    id: null,
    type: null,
    user: null,
    address: null,
    localAddress: null,
    age: null,
    skipMe: argc > 3,
    counted: argc > 3,
  };
  if (argc === 3) {
    filter.address = argumentText(frame, 2);
    return filter;
  }
  for (let i = 2; i < argc; i += 2) {
    const refusal = i + 1 < argc ? readOption(frame, i, filter, context) : SYNTAX_ERROR;
    if (refusal !== null) return refusal;
  }
  return filter;
}

function readOption(frame: RequestFrame, i: number, filter: KillFilter, context: KillContext): Buffer | null {
  const value = argumentText(frame, i + 1);
  if (argumentIs(frame, i, 'id')) {
    const id = parseInteger(value);
    if (id === null || id < 1n) return NO_ID;
    filter.id = Number(id);
  } else if (argumentIs(frame, i, 'type')) {
    const type = clientType(frame, i + 1);
    if (typeof type !== 'string') return type;
    filter.type = type;
  } else if (argumentIs(frame, i, 'addr')) {
    filter.address = value;
  } else if (argumentIs(frame, i, 'laddr')) {
    filter.localAddress = value;
  } else if (argumentIs(frame, i, 'user')) {
    if (!context.isUser(value)) return errorReply(`ERR No such user '${value}'`);
    filter.user = value;
  } else if (argumentIs(frame, i, 'skipme')) {
    filter.skipMe = argumentIs(frame, i + 1, 'yes');
    if (!filter.skipMe && !argumentIs(frame, i + 1, 'no')) return SYNTAX_ERROR;
  } else if (context.knowsAge && argumentIs(frame, i, 'maxage')) {
    const age = parseInteger(value);
    if (age === null) return NO_AGE;
    if (age < 1n) return AGE_TOO_SMALL;
    filter.age = Number(age);
  } else {
    return SYNTAX_ERROR;
  }
  return null;
}
