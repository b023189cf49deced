// CLIENT LIST and CLIENT INFO: heatsink's clients in Redis's fields and order.
// https://redis.io/docs/latest/commands/client-list/

import { bulkString, errorReply, type Protocol } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentIs, argumentText } from './argument.ts';
import { parseInteger } from './client-state.ts';

/** What one client is, as its line says it. */
export interface ClientLine {
  readonly id: number;
  readonly address: string;
  readonly localAddress: string;
  readonly fd: number;
  readonly name: string;
  /** Seconds since it connected, and since it last sent something. */
  readonly age: number;
  readonly idle: number;
  /** Redis's letters; empty for an ordinary client. */
  readonly flags: string;
  readonly db: number;
  readonly channels: number;
  readonly patterns: number;
  readonly shards: number;
  /** Commands queued since MULTI, or -1, and their bytes. */
  readonly multi: number;
  readonly multiBytes: number;
  /** Bytes that wait to be served, and to be taken by the client. */
  readonly input: number;
  readonly output: number;
  /** Bytes of the arguments of the command that is served now. */
  readonly arguments: number;
  /** Its last command; null when nobody knows that one. */
  readonly command: string | null;
  readonly user: string;
  /** The client to which its invalidations go, 0 for itself, -1 when it is not tracked. */
  readonly redirect: number;
  readonly protocol: Protocol;
  readonly libName: string;
  readonly libVer: string;
}

export type ClientType = 'normal' | 'master' | 'replica' | 'pubsub';

/** Which clients are listed: of one type, or those with these ids in this order; null for all. */
export interface ListFilter {
  readonly type: ClientType | null;
  readonly ids: readonly number[] | null;
}

const SYNTAX_ERROR = errorReply('ERR syntax error');

/** The line of one client. Buffers that only a Redis process has are 0. */
export function clientLine(client: ClientLine): string {
  const { input, output, multiBytes } = client;
  const total = input + output + multiBytes + client.arguments;
  return [
    `id=${client.id} addr=${client.address} laddr=${client.localAddress} fd=${client.fd} name=${client.name}`,
    `age=${client.age} idle=${client.idle} flags=${client.flags || 'N'} db=${client.db}`,
    `sub=${client.channels} psub=${client.patterns} ssub=${client.shards} multi=${client.multi}`,
    `qbuf=${input} qbuf-free=0 argv-mem=${client.arguments} multi-mem=${multiBytes} rbs=0 rbp=0 obl=0`,
    `oll=${output > 0 ? 1 : 0} omem=${output} tot-mem=${total} events=${output > 0 ? 'rw' : 'r'}`,
    `cmd=${client.command ?? 'NULL'} user=${client.user} redir=${client.redirect} resp=${client.protocol}`,
    `lib-name=${client.libName} lib-ver=${client.libVer}\n`,
  ].join(' ');
}

/** Those lines as a reply: a verbatim string in RESP3, a bulk string in RESP2. */
export function linesReply(protocol: Protocol, lines: readonly string[]): Buffer {
  const text = lines.join('');
  if (protocol === 2) return bulkString(text);
  return Buffer.from(`=${Buffer.byteLength(text) + 4}\r\ntxt:${text}\r\n`);
}

/** What a CLIENT LIST asks for, or the error reply. */
export function readListFilter(frame: RequestFrame): ListFilter | Buffer {
  const { argc } = frame;
  if (argc === 2) return { type: null, ids: null };
  if (argc === 4 && argumentIs(frame, 2, 'type')) {
    const type = clientType(frame, 3);
    return typeof type === 'string' ? { type, ids: null } : type;
  }
  if (argc > 3 && argumentIs(frame, 2, 'id')) {
    const ids: number[] = [];
    for (let i = 3; i < argc; i++) {
      const id = parseInteger(argumentText(frame, i));
      if (id === null) return errorReply('ERR Invalid client ID');
      ids.push(Number(id));
    }
    return { type: null, ids };
  }
  return SYNTAX_ERROR;
}

const TYPES: readonly ClientType[] = ['normal', 'master', 'replica', 'pubsub'];

/** The type that the argument names, or the error reply. */
export function clientType(frame: RequestFrame, index: number): ClientType | Buffer {
  if (argumentIs(frame, index, 'slave')) return 'replica';
  const type = TYPES.find((name) => argumentIs(frame, index, name));
  return type ?? errorReply(`ERR Unknown client type '${argumentText(frame, index)}'`);
}
