// Patterns as those of KEYS, matched byte by byte: https://redis.io/docs/latest/commands/keys/

const [STAR, ANY, OPEN, CLOSE, NOT, DASH, ESCAPE] = Array.from('*?[]^-\\', (c) => c.charCodeAt(0));
const SPECIAL = /[*?[\\]/;

/**
 * Tells which keys a text in the filter field means: a pattern as for KEYS, or a part of the name where it has none of
 * the characters that make one. Everything where it is empty.
 * @param {string} text
 * @returns {(bytes: Uint8Array) => boolean}
 */
export function createMatcher(text) {
  if (text === '') return () => true;
  const pattern = new TextEncoder().encode(isPattern(text) ? text : `*${text}*`);
  return (bytes) => matches(pattern, 0, bytes, 0);
}

/** @param {string} text */
export function isPattern(text) {
  return SPECIAL.test(text);
}

/**
 * Goes back to the last star alone, so that no pattern takes longer than its length times the key's.
 * @param {Uint8Array} pattern
 * @param {number} p
 * @param {Uint8Array} bytes
 * @param {number} b
 */
function matches(pattern, p, bytes, b) {
  let star = -1;
  let resume = 0;
  while (b < bytes.length) {
    if (pattern[p] === STAR) {
      star = p++;
      resume = b;
      continue;
    }
    const next = p < pattern.length ? matchOne(pattern, p, bytes[b]) : -1;
    if (next !== -1) {
      p = next;
      b++;
    } else if (star !== -1) {
      p = star + 1;
      b = ++resume;
    } else return false;
  }
  while (pattern[p] === STAR) p++;
  return p >= pattern.length;
}

/**
 * Where the pattern goes on after one that stands for this byte; -1 when it does not.
 * @param {Uint8Array} pattern
 * @param {number} p
 * @param {number} byte
 */
function matchOne(pattern, p, byte) {
  if (pattern[p] === ANY) return p + 1;
  if (pattern[p] === OPEN) return matchSet(pattern, p + 1, byte);
  if (pattern[p] === ESCAPE && p + 1 < pattern.length) p++;
  return pattern[p] === byte ? p + 1 : -1;
}

/**
 * A set that is not closed goes to the end, as in Redis.
 * @param {Uint8Array} pattern
 * @param {number} p
 * @param {number} byte
 */
function matchSet(pattern, p, byte) {
  const not = pattern[p] === NOT;
  if (not) p++;
  let found = false;
  for (; p < pattern.length && pattern[p] !== CLOSE; p++) {
    if (pattern[p] === ESCAPE && p + 1 < pattern.length) found ||= pattern[++p] === byte;
    else if (pattern[p + 1] === DASH && p + 2 < pattern.length) {
      const [low, high] = [pattern[p], pattern[p + 2]].sort((x, y) => x - y);
      found ||= byte >= low && byte <= high;
      p += 2;
    } else found ||= pattern[p] === byte;
  }
  return found === not ? -1 : p + 1;
}
