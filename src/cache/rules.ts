// What heatsink may do with which keys: rules by key pattern. A rule says as much as it likes, and of every setting
// the first rule that matches the key and names it decides.

/** off: untouched. coalesce: shared reads only. tracked: kept while the server vouches. ttl: kept for a time. */
export type Consistency = 'off' | 'coalesce' | 'tracked' | 'ttl';

/** Who answers reads: the node that owns the key, or one of its replicas, which may be late. */
export type Readers = 'primary' | 'replicas';

/** off: no copies. large: of values that the tier does not take. on: of all hot keys, in place of the tier. */
export type FanOutMode = 'off' | 'large' | 'on';

/** What there is to say of a key; config/rule-types.ts has what each means and may be. */
export interface KeySettings {
  readonly consistency: Consistency;
  /** The share by which times to live may differ from what was asked, from 0 to 0.5. */
  readonly jitter: number;
  /** Whether increments that come at once go upstream as one. */
  readonly combine: boolean;
  /** Whether what is kept while the key is hot is read again ahead of its end. */
  readonly refreshAhead: boolean;
  /** Whether that a key is missing is kept, though it is not hot. */
  readonly negative: boolean;
  readonly reads: Readers;
  readonly fanOut: FanOutMode;
  /** Whether one client at a time is told that the key is missing while it is hot. */
  readonly lease: boolean;
}

export interface Rule extends Partial<KeySettings> {
  /** A glob as in KEYS: `*`, `?`, `[a-z]`, `[^a]`, `\` before a literal. */
  readonly match: string;
}

/** What holds for a key that is banned, whatever the rules say: nothing of it is kept, shared or copied. */
const BANNED: Partial<KeySettings> = {
  consistency: 'off',
  fanOut: 'off',
  refreshAhead: false,
  negative: false,
};

/** After the first rules were looked at: what they have said, and where it goes on. */
interface Step {
  readonly said: Partial<KeySettings>;
  readonly settings: KeySettings;
  /** Nothing is left that a rule could say, or no rule to say it. */
  readonly done: boolean;
  matched: Step | null;
  passed: Step | null;
}

export class Rules {
  /** As they were given. */
  readonly listed: readonly Rule[];
  readonly #rules: readonly { matches: RegExp; says: Partial<KeySettings> }[];
  /** What holds where no rule says anything. */
  readonly #otherwise: KeySettings;
  /** Keys that the same rules match share their settings: made when the first of them comes. */
  readonly #first: Step;
  /** By key as latin1. */
  readonly #banned = new Map<string, KeySettings>();

  constructor(rules: readonly Rule[], otherwise: KeySettings) {
    this.listed = rules;
    this.#rules = rules.map(({ match, ...says }) => ({ matches: globToRegExp(match), says }));
    this.#otherwise = otherwise;
    this.#first = this.#step({}, 0);
  }

  /** Whether any key can have a setting that passes the test. */
  use<Name extends keyof KeySettings>(name: Name, test: (value: KeySettings[Name]) => boolean): boolean {
    const said = this.#rules.map(({ says }) => says[name]).filter((value) => value !== undefined);
    return [this.#otherwise[name], ...said].some((value) => test(value as KeySettings[Name]));
  }

  /** For the key `buf[start, end)`. Decodes it only when there are rules or bans at all. */
  of(buf: Buffer, start: number, end: number): KeySettings {
    if (this.#first.done && this.#banned.size === 0) return this.#otherwise;
    const key = buf.toString('latin1', start, end);
    return this.#banned.get(key) ?? this.#said(key);
  }

  /** For each setting, what holds for the key and the pattern of the rule that decides it; null: none does. */
  explain(key: Buffer): { name: string; value: string | number | boolean; by: string | null }[] {
    const name = key.toString('latin1');
    const matching = this.listed.filter((_, i) => this.#rules[i].matches.test(name));
    return Object.entries(this.of(key, 0, key.length)).map(([setting, value]) => {
      const rule = matching.find((candidate) => setting in candidate);
      return { name: setting, value, by: rule?.match ?? null };
    });
  }

  /** From now on nothing of the key is to be kept, shared or copied; `unban` ends it. */
  ban(key: Buffer): void {
    const name = key.toString('latin1');
    this.#banned.set(name, { ...this.#said(name), ...BANNED });
  }

  unban(key: Buffer): void {
    this.#banned.delete(key.toString('latin1'));
  }

  #said(key: string): KeySettings {
    let step = this.#first;
    for (let i = 0; !step.done; i++) {
      const { matches, says } = this.#rules[i];
      if (matches.test(key)) {
        step.matched ??= this.#step({ ...says, ...step.said }, i + 1);
        step = step.matched;
      } else {
        step.passed ??= this.#step(step.said, i + 1);
        step = step.passed;
      }
    }
    return step.settings;
  }

  #step(said: Partial<KeySettings>, next: number): Step {
    const all = Object.keys(said).length === Object.keys(this.#otherwise).length;
    const settings = { ...this.#otherwise, ...said };
    return { said, settings, done: all || next === this.#rules.length, matched: null, passed: null };
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
