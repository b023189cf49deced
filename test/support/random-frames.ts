// Random requests, replies and chunk sizes for property tests of the protocol, valid ones and damaged ones.

import fc from 'fast-check';
import { encodeRequest } from '../../src/resp3/encode.ts';
import type { ChunkSizes } from './chunked.ts';
import type { Value } from './reference-decoder.ts';

/** Latin1 text of any bytes, with those that mean something to the protocol more often. */
function bytes(maxLength: number, without: RegExp = /(?!)/): fc.Arbitrary<string> {
  const all = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
  const plain = all.filter((char) => /[a-z0-9]/.test(char));
  const ofProtocol = [...'\r\n$*:+-_"\'\\ {}\0\t\v\f\xa0'];
  const units = [plain, plain, ofProtocol, all].map((chars) => chars.filter((char) => !without.test(char)));
  return fc.string({ unit: fc.oneof(...units.map((chars) => fc.constantFrom(...chars))), maxLength });
}

/** Now and then an argument that fits in no single read from a socket, in bytes. */
const large = fc.integer({ min: 60_000, max: 200_000 }).map((size) => 'large\r\n$1\r\n'.repeat(size / 11));

/** Some of a request stream, and the requests in it. */
interface Piece {
  readonly bytes: Buffer;
  readonly requests: readonly (readonly string[])[];
}

function asArray(args: readonly string[]): Piece {
  return { bytes: encodeRequest(args.map((arg) => Buffer.from(arg, 'latin1'))), requests: [args] };
}

const arrayRequest = fc.array(bytes(24), { minLength: 1, maxLength: 5 }).map(asArray);
const largeRequest = fc.tuple(bytes(8), large, bytes(8)).map(asArray);
const longRequest = fc.array(bytes(3), { minLength: 100, maxLength: 700 }).map(asArray);

type Quoting = 'none' | 'single' | 'double';

function quoted(arg: string, quoting: Quoting): string {
  if (quoting === 'none' && /^[^\s\0"'*][^ \n\r\t\0"']*$/.test(arg)) return arg;
  if (quoting === 'single' && !/[\n\0]|\\$/.test(arg)) return `'${arg.replaceAll("'", "\\'")}'`;
  const escapes: Record<string, string> = {
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\b': '\\b',
    '\x07': '\\a',
  };
  const inQuotes = (char: string): string => {
    if (char === '"' || char === '\\') return `\\${char}`;
    return escapes[char] ?? (char < ' ' ? hex(char) : char);
  };
  return `"${[...arg].map(inQuotes).join('')}"`;
}

const hex = (char: string): string => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;

const inlineRequest = fc
  .record({
    args: fc.array(fc.tuple(bytes(16), fc.constantFrom<Quoting>('none', 'single', 'double')), {
      minLength: 1,
      maxLength: 5,
    }),
    between: fc.constantFrom(' ', '  ', '\t', ' \v\f '),
    before: fc.constantFrom('', '', ' '),
    after: fc.constantFrom('', '', ' ', '\r'),
    end: fc.constantFrom('\n', '\r\n'),
  })
  .map(({ args, between, before, after, end }): Piece => {
    const line = args.map(([arg, quoting]) => quoted(arg, quoting)).join(between);
    return {
      bytes: Buffer.from(`${before}${line}${after}${end}`, 'latin1'),
      requests: [args.map(([arg]) => arg)],
    };
  });

const emptyRequest = fc
  .constantFrom('\r\n', '\n', '  \r\n', '\t\n', '*0\r\n', '*-1\r\n', '*-7\r\n')
  .map((text): Piece => ({ bytes: Buffer.from(text), requests: [] }));

function joined(pieces: readonly Piece[]): Piece {
  return {
    bytes: Buffer.concat(pieces.map((piece) => piece.bytes)),
    requests: pieces.flatMap((piece) => piece.requests),
  };
}

/** A pipeline of valid requests: arrays and inline ones, now and then a large or a long one. */
export const requestPipeline: fc.Arbitrary<Piece> = fc
  .array(
    fc.oneof(
      { weight: 120, arbitrary: arrayRequest },
      { weight: 60, arbitrary: inlineRequest },
      { weight: 20, arbitrary: emptyRequest },
      { weight: 1, arbitrary: longRequest },
      { weight: 1, arbitrary: largeRequest },
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map(joined);

/** Requests that change nothing, for a real server. */
export const harmlessPipeline: fc.Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      bytes(12, /\0/).map((arg) => asArray(['ECHO', arg])),
      fc.constant(asArray(['PING'])),
      bytes(12, /\0/).map((arg) => ({ bytes: Buffer.from(`ECHO ${quoted(arg, 'double')}\r\n`, 'latin1') })),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((pieces) => Buffer.concat(pieces.map((piece) => piece.bytes)));

const NO_BREAK = /[\r\n]/;
const leaf = (type: string, text: fc.Arbitrary<string | null>): fc.Arbitrary<Value> =>
  text.map((content) => ({ type, text: content, items: [] }));
const integer = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const content = fc.oneof(
  { weight: 100, arbitrary: bytes(40) },
  { weight: 1, arbitrary: large },
  { weight: 5, arbitrary: fc.integer({ min: 90, max: 1200 }).map((size) => 'x'.repeat(size)) },
);
const line = fc.oneof(
  { weight: 10, arbitrary: bytes(30, NO_BREAK) },
  { weight: 1, arbitrary: fc.integer({ min: 30, max: 400 }).map((size) => 'ERR '.repeat(size)) },
);

const leaves2 = [
  leaf('+', line),
  leaf('-', line),
  leaf(':', integer),
  leaf('$', content),
  leaf('$', content),
  leaf('$', fc.constant(null)),
  leaf('*', fc.constant(null)),
];
const leaves3 = [
  ...leaves2,
  leaf('_', fc.constant('')),
  leaf('#', fc.constantFrom('t', 'f')),
  leaf(',', fc.oneof(fc.double().map(String), fc.constantFrom('inf', '-inf', 'nan', '1e-7'))),
  leaf('(', fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }).map(String)),
  leaf('!', content),
  leaf(
    '=',
    content.map((text) => `txt:${text}`),
  ),
];

const DEPTH = 4;

function aggregate(type: string, item: fc.Arbitrary<Value>, multiple: 1 | 2): fc.Arbitrary<Value> {
  const group = fc.array(item, { minLength: multiple, maxLength: multiple });
  return fc.array(group, { maxLength: 4 }).map((groups) => ({ type, text: '', items: groups.flat() }));
}

const { value: value2 } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof({ maxDepth: DEPTH, depthSize: 'small' }, ...leaves2, aggregate('*', tie('value'), 1)),
}));

const { value: value3 } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: DEPTH, depthSize: 'small' },
    ...leaves3,
    aggregate('*', tie('value'), 1),
    aggregate('~', tie('value'), 1),
    aggregate('%', tie('value'), 2),
    withAttributes(tie('value')),
  ),
}));

function withAttributes(value: fc.Arbitrary<Value>): fc.Arbitrary<Value> {
  return fc
    .tuple(aggregate('|', value, 2), value)
    .map(([attributes, of]) => ({ ...attributes, items: [...attributes.items, of] }));
}

/** Replies that a RESP2 connection may carry. */
export const replies2: fc.Arbitrary<Value[]> = fc.array(value2, { minLength: 1, maxLength: 6 });

/** Replies that a RESP3 connection may carry, pushes among them. */
export const replies3: fc.Arbitrary<Value[]> = fc.array(
  fc.oneof({ weight: 8, arbitrary: value3 }, { weight: 1, arbitrary: aggregate('>', value3, 1) }),
  { minLength: 1, maxLength: 6 },
);

const PROTOCOL_BYTES = [...Buffer.from('$*:+-_#,(!=%~>|0123456789\r\n\r\nx')];

/** Some bytes of it replaced, left out or put in. `banned` is a byte that is never put in. */
export function damaged(valid: fc.Arbitrary<Buffer>, banned = -1): fc.Arbitrary<Buffer> {
  const byte = fc
    .oneof(fc.constantFrom(...PROTOCOL_BYTES), fc.nat({ max: 255 }))
    .map((b) => (b === banned ? 1 : b));
  const change = fc.tuple(fc.nat(), fc.nat({ max: 2 }), fc.nat({ max: 2 }), byte);
  return fc.tuple(valid, fc.array(change, { minLength: 1, maxLength: 3 })).map(([bytes, changes]) => {
    let result = bytes;
    for (const [place, removed, added, newByte] of changes) {
      const at = place % (result.length + 1);
      const after = result.subarray(Math.min(result.length, at + removed));
      result = Buffer.concat([result.subarray(0, at), Buffer.alloc(added, newByte), after]);
    }
    return result;
  });
}

/** Bytes that mean something to the protocol, in no order. */
export const noise: fc.Arbitrary<Buffer> = fc
  .array(fc.constantFrom(...PROTOCOL_BYTES), { minLength: 1, maxLength: 60 })
  .map((array) => Buffer.from(array));

const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 60 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 64 * 1024 }) },
);

/** Ways to cut the same bytes; byte by byte is always among them. */
export function chunkings(count: number): fc.Arbitrary<ChunkSizes[]> {
  const cut = fc.array(size, { minLength: 1, maxLength: 8 });
  return fc.array(cut, { minLength: count - 1, maxLength: count - 1 }).map((cuts) => [[1], ...cuts]);
}
