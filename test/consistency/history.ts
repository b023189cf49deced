// What clients saw of one key: who asked what when, and which value that gave. Columns of numbers, so that a
// million operations are a few arrays.

/** The value of a key that is not there; values that are written are greater. */
export const MISSING = 0;

/** Gave that value. */
export const READ = 0;
/** Wrote that value. */
export const WRITE = 1;
/** Removed the key; where values are numbered in the order of writing, the value is the removal's own number. */
export const DELETE = 2;
/** From some moment between the two times on that value is gone, unless it was overwritten before. */
export const EXPIRY = 3;
/** Wrote that value and told so: the reply to an INCR. */
export const ADD = 4;

const NAMES = ['read', 'write', 'delete', 'expiry of', 'add'];

/** Times are `performance.now()` of one process. Whose outcome is not known has responded at Infinity. */
export interface Operation {
  readonly kind: number;
  readonly value: number;
  readonly invoked: number;
  readonly responded: number;
  /** By which client and which commands. */
  readonly by?: string;
}

export class History {
  readonly kinds: number[] = [];
  readonly values: number[] = [];
  readonly invoked: number[] = [];
  readonly responded: number[] = [];
  readonly clients: string[] = [];
  readonly commands: string[] = [];

  static of(operations: readonly Operation[]): History {
    const history = new History();
    for (const { kind, value, invoked, responded } of operations)
      history.add(kind, value, invoked, responded);
    return history;
  }

  get length(): number {
    return this.kinds.length;
  }

  add(kind: number, value: number, invoked: number, responded: number, client = '', commands = ''): void {
    this.kinds.push(kind);
    this.values.push(value);
    this.invoked.push(invoked);
    this.responded.push(responded);
    this.clients.push(client);
    this.commands.push(commands);
  }

  at(index: number): Operation {
    return {
      kind: this.kinds[index],
      value: this.values[index],
      invoked: this.invoked[index],
      responded: this.responded[index],
      by: `${this.clients[index]} ${this.commands[index]}`,
    };
  }

  /** Those that the filter takes. */
  where(takes: (invoked: number, responded: number, kind: number, index: number) => boolean): History {
    const some = new History();
    for (let i = 0; i < this.length; i++) {
      if (takes(this.invoked[i], this.responded[i], this.kinds[i], i))
        some.add(
          this.kinds[i],
          this.values[i],
          this.invoked[i],
          this.responded[i],
          this.clients[i],
          this.commands[i],
        );
    }
    return some;
  }

  /** Writes of all kinds near that moment, and reads that gave these values or nothing, as text. */
  around(moment: number, values: readonly number[], most = 12): string {
    const all = Array.from({ length: this.length }, (_, i) => i).sort(
      (a, b) => distance(this, a, moment) - distance(this, b, moment),
    );
    const writes = all.filter((i) => this.kinds[i] !== READ);
    const reads = all.filter(
      (i) => this.kinds[i] === READ && (values.includes(this.values[i]) || this.values[i] === MISSING),
    );
    return [...writes.slice(0, most), ...reads.slice(0, most)]
      .sort((a, b) => this.invoked[a] - this.invoked[b])
      .map((i) => describeOperation(this.at(i)))
      .join('\n');
  }
}

function distance({ invoked, responded }: History, index: number, moment: number): number {
  return Math.max(0, invoked[index] - moment, moment - responded[index]);
}

export function describeOperation({ kind, value, invoked, responded, by = '' }: Operation): string {
  const what = kind === READ && value === MISSING ? 'missing' : String(value);
  return `${NAMES[kind]} ${what} [${invoked.toFixed(3)}, ${responded.toFixed(3)}] ${by}`.trimEnd();
}

/** What a checker found wrong with the history of a key. */
export class Findings {
  count = 0;
  /** The first few, in words. */
  readonly examples: string[] = [];

  add(text: () => string): void {
    if (this.count++ < 3) this.examples.push(text());
  }
}

/** The indexes 0 to `count - 1` by ascending keys; of equal keys the lower index comes first. */
export function sortedBy(count: number, key: (index: number) => number): Uint32Array {
  const keys = Float64Array.from({ length: count }, (_, i) => key(i));
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  return order.sort((a, b) => keys[a] - keys[b] || a - b);
}

/** How many of the ascending keys are below the limit, or equal to it if `even`. */
export function countBelow(keys: Float64Array, limit: number, even: boolean): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle] < limit || (even && keys[middle] === limit)) low = middle + 1;
    else high = middle;
  }
  return low;
}
