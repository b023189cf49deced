// The decimal lengths and counts of the protocol, read from bytes as strictly as Redis reads them.

export const NOT_A_NUMBER = Number.MIN_SAFE_INTEGER;

/** Where the `\r` of the line that starts at `pos` is, or -1 while it or the byte behind it has not come. */
export function lineEnd(buf: Buffer, pos: number, end: number): number {
  for (let at = pos; at < end; at++) {
    if (buf[at] === 13) return at + 1 < end ? at : -1;
  }
  return -1;
}

/**
 * The number in `buf[pos, end)`; NOT_A_NUMBER for all that Redis's string2ll refuses: a plus sign, leading
 * zeros, spaces, nothing. Numbers past 15 digits are refused too, as no length of the protocol comes near.
 */
export function parseLength(buf: Buffer, pos: number, end: number): number {
  const negative = buf[pos] === 45 && pos < end;
  let at = negative ? pos + 1 : pos;
  const digits = end - at;
  if (digits < 1 || digits > 15) return NOT_A_NUMBER;
  if (buf[at] === 48) return digits === 1 && !negative ? 0 : NOT_A_NUMBER;
  let value = 0;
  for (; at < end; at++) {
    const digit = buf[at] - 48;
    if (digit < 0 || digit > 9) return NOT_A_NUMBER;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}
