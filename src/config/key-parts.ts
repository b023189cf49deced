// Which keys a drain takes and what their names say: a glob whose parts in braces are values for columns.

export interface KeyParts {
  /** For SCAN: every key that fits matches it, and perhaps others. */
  readonly glob: string;
  /** The columns that parts of the key are for, in the order of the pattern. */
  readonly columns: readonly string[];
  /** The value of each column; null for a key that does not fit. */
  match(key: string): readonly string[] | null;
}

/** A backslash and what it protects, a part that is caught, or any other sign. */
const TOKEN = /\\(.)|\{([A-Za-z_]\w*)\}|(.)/gsu;
const CAUGHT = '([^:{}]+)';

/**
 * Reads a pattern such as `views:{shop}:{day}`. `*` stands for any text, `?` for one character, `{name}` for text
 * without `:` and braces; a backslash takes the meaning from what follows it. Throws an Error that says what is wrong.
 */
export function parseKeyParts(pattern: string): KeyParts {
  const columns: string[] = [];
  let glob = '';
  let expression = '';
  for (const [, literal, column, other] of pattern.matchAll(TOKEN)) {
    if (column !== undefined) {
      if (columns.includes(column)) throw new Error(`{${column}} stands in it twice`);
      columns.push(column);
      glob += '*';
      expression += CAUGHT;
    } else if (literal === undefined && (other === '*' || other === '?')) {
      // To a server `?` is one byte, here it is one character.
      glob += '*';
      expression += other === '*' ? '.*' : '.';
    } else {
      glob += escapeGlob(literal ?? other);
      expression += (literal ?? other).replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    }
  }
  const whole = new RegExp(`^${expression}$`, 'su');
  return { glob, columns, match: (key) => whole.exec(key)?.slice(1) ?? null };
}

/** Text that a glob of Redis matches as it is. */
export function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\^]/g, '\\$&');
}
