// A collector of traces: takes what OpenTelemetry's exporters send over HTTP, as protobuf, and reads the spans in it.
// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface SpanSeen {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of its trace. */
  readonly parent: string;
  readonly name: string;
  /** 2 server, 3 client. */
  readonly kind: number;
  /** In nanoseconds since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** 0 unset, 2 error. */
  readonly status: number;
  readonly resource: SpanSeen['attributes'];
}

export interface Collector {
  readonly url: string;
  readonly spans: readonly SpanSeen[];
  /** Bytes of all bodies, to be searched for what must not be there. */
  bodies(): string;
  close(): Promise<void>;
}

export async function startCollector(): Promise<Collector> {
  const spans: SpanSeen[] = [];
  const bodies: Buffer[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const sent = Buffer.concat(chunks);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
      bodies.push(body);
      if (request.url === '/v1/traces') spans.push(...spansIn(body));
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bodies: () => Buffer.concat(bodies).toString('latin1'),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Value = Buffer | bigint;
type Fields = ReadonlyMap<number, readonly Value[]>;

/** The fields of a message by their numbers. https://protobuf.dev/programming-guides/encoding/ */
function fieldsOf(message: Buffer): Fields {
  const fields = new Map<number, Value[]>();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const bytes = (count: number) => {
    at += count;
    return message.subarray(at - count, at);
  };
  const read = (type: number): Value => {
    if (type === 0) return varint();
    if (type === 1) return bytes(8).readBigUInt64LE();
    if (type === 5) return BigInt(bytes(4).readUInt32LE());
    return bytes(Number(varint()));
  };
  while (at < message.length) {
    const tag = Number(varint());
    const values = fields.get(tag >> 3) ?? [];
    fields.set(tag >> 3, values);
    values.push(read(tag & 7));
  }
  return fields;
}

const messages = (fields: Fields, number: number) =>
  (fields.get(number) ?? []).map((value) => fieldsOf(value as Buffer));
const text = (fields: Fields, number: number, encoding: BufferEncoding = 'utf8') =>
  ((fields.get(number)?.[0] as Buffer | undefined) ?? Buffer.alloc(0)).toString(encoding);
const integer = (fields: Fields, number: number) => (fields.get(number)?.[0] as bigint | undefined) ?? 0n;

function attributesIn(fields: Fields, number: number): SpanSeen['attributes'] {
  const pairs = messages(fields, number).map((pair) => {
    const [value] = messages(pair, 2);
    return [text(pair, 1), value.has(1) ? text(value, 1) : Number(integer(value, 3))] as const;
  });
  return Object.fromEntries(pairs);
}

function spansIn(body: Buffer): SpanSeen[] {
  return messages(fieldsOf(body), 1).flatMap((ofResource) => {
    const resource = messages(ofResource, 1).map((fields) => attributesIn(fields, 1))[0] ?? {};
    const found = messages(ofResource, 2).flatMap((scope) => messages(scope, 2));
    return found.map((span) => ({
      traceId: text(span, 1, 'hex'),
      spanId: text(span, 2, 'hex'),
      parent: text(span, 4, 'hex'),
      name: text(span, 5),
      kind: Number(integer(span, 6)),
      start: integer(span, 7),
      end: integer(span, 8),
      attributes: attributesIn(span, 9),
      status: Number(messages(span, 15).map((status) => integer(status, 3))[0] ?? 0n),
      resource,
    }));
  });
}
