// CLIENT ID, GETNAME, SETNAME and SETINFO: about the client's own connection, which is heatsink's.

import { bulkString, errorReply, integerReply, nullReply, OK } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentIs, argumentText } from './argument.ts';
import { type ClientState, isPlain, setName } from './client-state.ts';

export function clientId(_frame: RequestFrame, client: ClientState): Buffer {
  return integerReply(client.id);
}

export function clientGetName(_frame: RequestFrame, client: ClientState): Buffer {
  return client.name === '' ? nullReply(client.protocol) : bulkString(client.name);
}

export function clientSetName(frame: RequestFrame, client: ClientState): Buffer {
  return setName(client, argumentText(frame, 2)) ?? OK;
}

/**
 * CLIENT SETINFO LIB-NAME|LIB-VER value, as Redis 7.2 answers it, on older servers too: clients send it
 * unasked, and the connection that it describes is heatsink's.
 * @see https://redis.io/docs/latest/commands/client-setinfo/
 */
export function clientSetInfo(frame: RequestFrame, client: ClientState): Buffer {
  const option = argumentText(frame, 2);
  const isName = argumentIs(frame, 2, 'lib-name');
  if (!isName && !argumentIs(frame, 2, 'lib-ver')) return errorReply(`ERR Unrecognized option '${option}'`);
  const value = argumentText(frame, 3);
  if (!isPlain(value)) {
    return errorReply(`ERR ${option} cannot contain spaces, newlines or special characters.`);
  }
  if (isName) client.libName = value;
  else client.libVer = value;
  return OK;
}
