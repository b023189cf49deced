// Glob patterns of clients, in time that no pattern can blow up: a regular expression made of a*a*a*b could.
// https://redis.io/docs/latest/commands/keys/

import { globToRegExp } from '../cache/rules.ts';

const TOKENS = /\*|\\.|\[\^?[^\]]*\]|./gs;

/** Whether the pattern matches the whole text; letters match in either case. */
export function matchesGlob(pattern: string, text: string): boolean {
  // Each token but * stands for one character.
  const tokens = (pattern.match(TOKENS) ?? []).map((token) =>
    token === '*' ? null : new RegExp(globToRegExp(token).source, 'i'),
  );
  let token = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < text.length) {
    const wanted = tokens[token];
    if (wanted === null) {
      star = token++;
      starAt = at;
    } else if (wanted?.test(text[at])) {
      token++;
      at++;
    } else if (star >= 0) {
      // The last star takes one character more; earlier ones need not be tried again.
      token = star + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  return tokens.slice(token).every((rest) => rest === null);
}
