// Bytes of the few requests and replies that heatsink makes itself. Forwarded traffic never comes here.

export type Argument = string | number | Uint8Array;
export type Protocol = 2 | 3;

/** A request as a RESP array of bulk strings. */
export function encodeRequest(args: readonly Argument[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === 'object' ? arg : Buffer.from(String(arg));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF);
  }
  return Buffer.concat(parts);
}

const CRLF = Buffer.from('\r\n');

export const OK = Buffer.from('+OK\r\n');

/** `+text`; the text must not hold a line break. */
export function simpleString(text: string): Buffer {
  return Buffer.from(`+${text}\r\n`);
}

/** `-text`, where text starts with the error's code (`ERR ...`). Line breaks become spaces, as Redis does. */
export function errorReply(text: string): Buffer {
  return Buffer.from(`-${text.replace(/[\r\n]/g, ' ')}\r\n`, 'latin1');
}

export function integerReply(value: number | bigint): Buffer {
  return Buffer.from(`:${value}\r\n`);
}

export function bulkString(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF]);
}

/** A text for people, its characters as bytes: a verbatim string in RESP3, a bulk string in RESP2. */
export function textReply(protocol: Protocol, text: string): Buffer {
  const head = protocol === 3 ? `=${text.length + 4}\r\ntxt:` : `$${text.length}\r\n`;
  return Buffer.from(`${head}${text}\r\n`, 'latin1');
}

/** The missing value: `_` in RESP3, the null bulk string in RESP2. */
export function nullReply(protocol: Protocol): Buffer {
  return Buffer.from(protocol === 3 ? '_\r\n' : '$-1\r\n');
}

export function arrayReply(items: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from(`*${items.length}\r\n`), ...items]);
}

/** Alternating keys and values: a map in RESP3, a flat array in RESP2. */
export function mapReply(protocol: Protocol, pairs: readonly (readonly [string, Uint8Array])[]): Buffer {
  const header = protocol === 3 ? `%${pairs.length}\r\n` : `*${pairs.length * 2}\r\n`;
  const items = pairs.flatMap(([key, value]) => [bulkString(key), value]);
  return Buffer.concat([Buffer.from(header), ...items]);
}
