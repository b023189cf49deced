// Inline commands: a plain line such as a person types into telnet, turned into the array form.

import { encodeRequest } from './encode.ts';

/** Redis's PROTO_INLINE_MAX_SIZE: the longest inline request or length line, in bytes. */
export const INLINE_MAX = 64 * 1024;

const ESCAPES: Record<string, number> = { n: 10, r: 13, t: 9, b: 8, a: 7 };
/** What C's `isspace` calls a space, and the part of it that ends an argument without quotes. */
const SPACES = new Set(' \t\n\v\f\r');
const ENDS = new Set(' \t\n\r');

/**
 * The line (without its newline) as a RESP array; `*0` for a blank line; null when quotes do not balance.
 * Quoting is that of sdssplitargs in Redis: "..." with \n \r \t \b \a \xHH, '...' with \' alone.
 */
export function inlineToMultibulk(line: Buffer): Buffer | null {
  const text = line.toString('latin1', 0, line.at(-1) === 13 ? line.length - 1 : line.length);
  const args: Buffer[] = [];
  let at = 0;
  for (;;) {
    while (SPACES.has(text[at])) at++;
    if (at >= text.length) return encodeRequest(args);
    const end = argumentEnd(text, at, args);
    if (end < 0) return null;
    at = end;
  }
}

function argumentEnd(text: string, from: number, args: Buffer[]): number {
  const bytes: number[] = [];
  let at = from;
  while (at < text.length && !ENDS.has(text[at])) {
    const quote = text[at];
    if (quote !== '"' && quote !== "'") {
      bytes.push(text.charCodeAt(at++));
      continue;
    }
    at = quoted(text, at + 1, quote, bytes);
    // A closing quote must be followed by a space or nothing.
    if (at < 0 || (at < text.length && !SPACES.has(text[at]))) return -1;
    break;
  }
  args.push(Buffer.from(bytes));
  return at;
}

function quoted(text: string, from: number, quote: string, bytes: number[]): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === quote) return at + 1;
    if (text[at] !== '\\' || at + 1 >= text.length) {
      bytes.push(text.charCodeAt(at));
    } else if (quote === "'") {
      if (text[at + 1] === "'") at++;
      bytes.push(text.charCodeAt(at));
    } else if (/^x[0-9a-f]{2}/i.test(text.slice(at + 1, at + 4))) {
      bytes.push(Number.parseInt(text.slice(at + 2, at + 4), 16));
      at += 3;
    } else {
      at++;
      bytes.push(ESCAPES[text[at]] ?? text.charCodeAt(at));
    }
  }
  return -1;
}
