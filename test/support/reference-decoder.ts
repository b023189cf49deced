// RESP2 and RESP3 replies decoded in the plainest way: recursion over the whole input, each value built. It is
// slow and knows no chunks, which makes it easy to believe: the framers are compared with it.

/**
 * One decoded value. Bytes are latin1 text. Types that are one line hold it in `text`, those with a length
 * their content; null there is a null. Aggregates have `items`; in a map keys and values take turns, and an
 * attribute's last item is the value that it belongs to.
 */
export interface Value {
  readonly type: string;
  readonly text: string | null;
  readonly items: readonly Value[];
}

/** How the input goes on behind its last whole value: not at all, with a part of one, or with what is none. */
export type Rest = 'nothing' | 'part' | 'broken';

export interface Decoded {
  readonly values: readonly Value[];
  /** Where each value ends. */
  readonly ends: readonly number[];
  readonly rest: Rest;
}

interface At<T> {
  readonly value: T;
  readonly end: number;
}

const LINES = '+-:_#,(';
const WITH_LENGTH = '$!=';
const WITH_COUNT = '*~>%|';

/** The longest bulk string, in bytes, and the most elements of an aggregate. */
const LENGTH_MAX = 512 * 1024 * 1024;
const COUNT_MAX = 2 ** 32 - 1;
/** A length or count, with its type byte, is no longer than this. */
const LENGTH_LINE_MAX = 32;

/** All values from the start of the input to its end or to the first thing that is none. */
export function decodeReplies(input: Buffer): Decoded {
  const values: Value[] = [];
  const ends: number[] = [];
  let pos = 0;
  while (pos < input.length) {
    const decoded = decode(input, pos);
    if (typeof decoded === 'string') return { values, ends, rest: decoded };
    values.push(decoded.value);
    ends.push(decoded.end);
    pos = decoded.end;
  }
  return { values, ends, rest: 'nothing' };
}

function decode(input: Buffer, pos: number): At<Value> | 'part' | 'broken' {
  if (pos === input.length) return 'part';
  const type = String.fromCharCode(input[pos]);
  if (!(LINES + WITH_LENGTH + WITH_COUNT).includes(type)) return 'broken';
  const line = decodeLine(input, pos);
  if (typeof line === 'string') return line;
  const { value: text, end } = line;
  if (LINES.includes(type)) return { value: { type, text, items: [] }, end };

  if (text === '-1' && (type === '$' || type === '*')) return { value: { type, text: null, items: [] }, end };
  if (!/^(0|[1-9][0-9]*)$/.test(text)) return 'broken';
  const number = Number(text);
  return WITH_LENGTH.includes(type)
    ? decodeBytes(input, type, number, end)
    : decodeItems(input, type, number, end);
}

/** What stands between the type byte and the line's end. */
function decodeLine(input: Buffer, pos: number): At<string> | 'part' | 'broken' {
  const cr = input.indexOf('\r', pos);
  const length = (cr < 0 ? input.length : cr) - pos;
  if (!LINES.includes(String.fromCharCode(input[pos])) && length > LENGTH_LINE_MAX) return 'broken';
  if (cr < 0 || cr + 1 === input.length) return 'part';
  if (input[cr + 1] !== 10) return 'broken';
  return { value: input.toString('latin1', pos + 1, cr), end: cr + 2 };
}

function decodeBytes(
  input: Buffer,
  type: string,
  length: number,
  pos: number,
): At<Value> | 'part' | 'broken' {
  if (length > LENGTH_MAX) return 'broken';
  const end = pos + length + 2;
  if (end > input.length) return 'part';
  if (input.toString('latin1', end - 2, end) !== '\r\n') return 'broken';
  return { value: { type, text: input.toString('latin1', pos, end - 2), items: [] }, end };
}

function decodeItems(input: Buffer, type: string, count: number, pos: number): At<Value> | 'part' | 'broken' {
  if (count > COUNT_MAX) return 'broken';
  const total = type === '%' ? count * 2 : type === '|' ? count * 2 + 1 : count;
  const items: Value[] = [];
  let end = pos;
  while (items.length < total) {
    const item = decode(input, end);
    if (typeof item === 'string') return item;
    items.push(item.value);
    end = item.end;
  }
  return { value: { type, text: '', items }, end };
}

/** The bytes of a value: the way back. */
export function encodeValue({ type, text, items }: Value): Buffer {
  if (text === null) return Buffer.from(`${type}-1\r\n`);
  if (LINES.includes(type)) return Buffer.from(`${type}${text}\r\n`, 'latin1');
  if (WITH_LENGTH.includes(type)) return Buffer.from(`${type}${text.length}\r\n${text}\r\n`, 'latin1');
  const count = type === '%' || type === '|' ? items.length >> 1 : items.length;
  return Buffer.concat([Buffer.from(`${type}${count}\r\n`), ...items.map(encodeValue)]);
}
