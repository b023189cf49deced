// CLIENT ID, GETNAME, SETNAME, SETINFO and INFO: about the client's own connection, which is heatsink's.

import { bulkString, errorReply, integerReply, nullReply, OK, type Protocol } from '../resp3/encode.ts';
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

/**
 * CLIENT INFO in Redis's fields and order. What only a Redis process has (descriptor, buffers) is -1 or 0.
 * @see https://redis.io/docs/latest/commands/client-list/
 */
export function clientInfo(_frame: RequestFrame, client: ClientState): Buffer {
  const seconds = Math.max(0, Math.floor((Date.now() - client.createdAt) / 1000));
  const fields = [
    `id=${client.id} addr=${client.address} laddr=${client.localAddress} fd=-1 name=${client.name}`,
    `age=${seconds} idle=0 flags=N db=${client.db} sub=0 psub=0 ssub=0 multi=-1`,
    'qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0',
    `events=r cmd=client|info user=${client.user} redir=-1 resp=${client.protocol}`,
    `lib-name=${client.libName} lib-ver=${client.libVer}\n`,
  ];
  return verbatim(client.protocol, fields.join(' '));
}

/** A text: a verbatim string in RESP3, a bulk string in RESP2. */
function verbatim(protocol: Protocol, text: string): Buffer {
  if (protocol === 2) return bulkString(text);
  return Buffer.from(`=${Buffer.byteLength(text) + 4}\r\ntxt:${text}\r\n`);
}
