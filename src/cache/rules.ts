// Which keys may be coalesced and kept, and on what promise: rules by key pattern, the first match decides.

/** off: untouched. coalesce: shared reads only. tracked: kept while the server vouches. ttl: kept for a time. */
export type Consistency = 'off' | 'coalesce' | 'tracked' | 'ttl';

export interface Rule {
  /** A glob as in KEYS: `*`, `?`, `[a-z]`, `[^a]`, `\` before a literal. */
  readonly match: string;
  readonly consistency: Consistency;
}

export class Rules {
  readonly #rules: readonly { matches: RegExp; consistency: Consistency }[];
  readonly #otherwise: Consistency;

  constructor(rules: readonly Rule[], otherwise: Consistency) {
    this.#rules = rules.map(({ match, consistency }) => ({ matches: globToRegExp(match), consistency }));
    this.#otherwise = otherwise;
  }

  /** Whether any key can get that consistency. */
  use(consistency: Consistency): boolean {
    return this.#otherwise === consistency || this.#rules.some((rule) => rule.consistency === consistency);
  }

  /** For the key `buf[start, end)`. Decodes it only when there are rules at all. */
  of(buf: Buffer, start: number, end: number): Consistency {
    if (this.#rules.length === 0) return this.#otherwise;
    const key = buf.toString('latin1', start, end);
    return this.#rules.find((rule) => rule.matches.test(key))?.consistency ?? this.#otherwise;
  }
}

/** The glob as an expression over bytes as latin1. https://redis.io/docs/latest/commands/keys/ */
export function globToRegExp(glob: string): RegExp {
  const bytes = Buffer.from(glob).toString('latin1');
  let source = '';
  for (let at = 0; at < bytes.length; at++) {
    const char = bytes[at];
    const close = char === '[' ? bytes.indexOf(']', at + 1) : -1;
    if (char === '*') source += '[^]*';
    else if (char === '?') source += '[^]';
    else if (close > at + 1) {
      source += `[${bytes.slice(at + 1, close).replace(/[\\\]]/g, '\\$&')}]`;
      at = close;
    } else {
      const literal = char === '\\' && at + 1 < bytes.length ? bytes[++at] : char;
      source += literal.replace(/[$()*+./?[\\\]^{|}-]/, '\\$&');
    }
  }
  return new RegExp(`^${source}$`);
}
