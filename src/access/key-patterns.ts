// Which keys a user may touch: Redis's glob patterns, matched over the bytes of the key in a time that no key and no
// pattern can blow up. https://redis.io/docs/latest/commands/keys/

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const BACKSLASH = 0x5c;
const CARET = 0x5e;
const MINUS = 0x2d;

export class KeyPatterns {
  readonly #patterns: readonly Buffer[];

  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map((pattern) => Buffer.from(pattern));
  }

  /** Whether one of the patterns matches the key `buf[start, end)`. */
  match(buf: Buffer, start: number, end: number): boolean {
    return this.#patterns.some((pattern) => matches(pattern, buf, start, end));
  }
}

/** Goes back to the last star only, which is enough: what an earlier one could take, the last one can, too. */
function matches(pattern: Buffer, buf: Buffer, start: number, end: number): boolean {
  let at = 0;
  let key = start;
  let starAt = -1;
  let starKey = 0;
  while (key < end) {
    if (pattern[at] === STAR) {
      starAt = at++;
      starKey = key;
      continue;
    }
    const next = at < pattern.length ? step(pattern, at, buf[key]) : -1;
    if (next > 0) {
      at = next;
      key++;
    } else if (starAt >= 0) {
      at = starAt + 1;
      key = ++starKey;
    } else {
      return false;
    }
  }
  while (pattern[at] === STAR) at++;
  return at === pattern.length;
}

/** Where the pattern goes on when its element at `at` takes that byte; -1 when it does not. */
function step(pattern: Buffer, at: number, byte: number): number {
  const char = pattern[at];
  if (char === QUESTION) return at + 1;
  if (char === OPEN) return stepSet(pattern, at, byte);
  const literal = char === BACKSLASH && at + 1 < pattern.length ? at + 1 : at;
  return pattern[literal] === byte ? literal + 1 : -1;
}

/** `[abc]`, `[^a]`, `[a-z]`; a set that does not close ends with the pattern, as in Redis. */
function stepSet(pattern: Buffer, open: number, byte: number): number {
  let at = open + 1;
  const negated = pattern[at] === CARET;
  if (negated) at++;
  let found = false;
  for (; at < pattern.length && pattern[at] !== CLOSE; at++) {
    if (pattern[at] === BACKSLASH && at + 1 < pattern.length) at++;
    else if (pattern[at + 1] === MINUS && at + 2 < pattern.length) {
      const [low, high] = [pattern[at], pattern[at + 2]].sort((a, b) => a - b);
      found ||= low <= byte && byte <= high;
      at += 2;
      continue;
    }
    found ||= pattern[at] === byte;
  }
  return found === negated ? -1 : Math.min(at + 1, pattern.length);
}
