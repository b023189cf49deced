// Arguments as MONITOR writes them: in quotes, with \" \\ \n \r \t \a \b and \xHH for what cannot be printed.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const SINGLE: Readonly<Record<string, number>> = {
  n: 10,
  r: 13,
  t: 9,
  a: 7,
  b: 8,
  '"': QUOTE,
  '\\': BACKSLASH,
};
/** What follows a backslash, and the byte that the two mean; 0 where nothing does. */
const MEANING = new Uint8Array(256);
for (const [letter, byte] of Object.entries(SINGLE)) MEANING[letter.charCodeAt(0)] = byte;
const LETTER_X = 0x78;
/** Before each argument its length is written, so that no two lists of arguments are the same bytes. About what RESP takes. */
const HEAD = 7;

/** Arguments of one request, in the fields that resp3/request-frame has for them. */
export interface Arguments {
  buf: Buffer;
  end: number;
  argc: number;
  args: Int32Array;
}

/**
 * Reads the arguments in `line[start, end)` into `out`, whose buffer must have `roomFor(end - start)`. False when they
 * are no such list; one that ends within an argument is one, if it was `cut`.
 */
export function readArguments(
  line: Buffer,
  start: number,
  end: number,
  cut: boolean,
  out: Arguments,
): boolean {
  const to = out.buf;
  let put = 0;
  out.argc = 0;
  for (let at = start; at < end; ) {
    if (line[at] !== QUOTE) return false;
    at++;
    const from = put + HEAD;
    put = from;
    let closed = false;
    while (at < end) {
      const byte = line[at++];
      if (byte === QUOTE) {
        closed = true;
        break;
      }
      if (byte !== BACKSLASH) {
        to[put++] = byte;
        continue;
      }
      const next = at < end ? line[at] : 0;
      if (next === LETTER_X) {
        const value = at + 2 < end ? hexAt(line, at + 1) : -1;
        if (value < 0) {
          if (cut && at + 2 >= end) break;
          return false;
        }
        to[put++] = value;
        at += 3;
      } else if (MEANING[next] !== 0) {
        to[put++] = MEANING[next];
        at++;
      } else if (!cut || at < end) {
        return false;
      }
    }
    to.writeUInt32LE(put - from, from - HEAD);
    to.fill(0, from - HEAD + 4, from);
    addArgument(out, from, put);
    if (!closed) {
      out.end = put;
      return cut;
    }
    if (at < end && line[at++] !== SPACE) return false;
    if (at === end && line[at - 1] === SPACE) return cut;
  }
  out.end = put;
  return out.argc > 0;
}

/** Bytes that a list of arguments of that length needs at the most. */
export function roomFor(length: number): number {
  return length * 4 + HEAD;
}

function addArgument(out: Arguments, start: number, end: number): void {
  if (out.argc * 2 === out.args.length) {
    const more = new Int32Array(out.args.length * 2);
    more.set(out.args);
    out.args = more;
  }
  out.args[out.argc * 2] = start;
  out.args[out.argc * 2 + 1] = end;
  out.argc++;
}

/** The byte of two hexadecimal digits, or -1. */
export function hexAt(buf: Buffer, at: number): number {
  const high = digit(buf[at]);
  const low = digit(buf[at + 1]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function digit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
