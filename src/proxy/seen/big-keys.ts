// The keys whose large values went by: a bounded list of which one half are the largest, and the other half those
// that were seen last, so that a giant of last week leaves room for what is large now.

import { clock } from '../../clock.ts';
import type { Size } from './size.ts';

/** What was seen of one key. */
export interface BigKey {
  readonly key: Buffer;
  readonly db: number;
  /** The largest that was seen of either; elements are 0 where there were none. */
  readonly bytes: number;
  readonly elements: number;
  /** What the most bytes were seen in: the command in lower case, and whether they came or went. */
  readonly command: string;
  readonly of: Direction;
  /** Epoch milliseconds. */
  readonly firstSeen: number;
  readonly lastSeen: number;
  readonly times: number;
}

export type Direction = 'reply' | 'argument';

/** What one worker has seen, and how much of it all workers show together. */
export interface BigKeyList {
  readonly top: number;
  /** Above these a value is large; 0: none is. */
  readonly bytes: number;
  readonly elements: number;
  /** The largest first. */
  readonly keys: readonly BigKey[];
}

/** One key, changed in place whenever it is seen: where all values are large, that is with every request. */
interface Row {
  /** Its bytes as characters. */
  readonly key: string;
  readonly db: number;
  bytes: number;
  elements: number;
  command: string;
  of: Direction;
  /** By `clock.ms`. */
  readonly firstSeen: number;
  lastSeen: number;
  times: number;
}

/** Of a longer key the beginning is kept: it could have 512 MB. */
const LONGEST_KEY = 1024;
/** The list is put in order when it has so many times as many keys as it may, and these more. */
const ROOM = 4;
const SLACK = 64;
/** For so long after that, in milliseconds, only what is larger than they come in: few of a flood of keys can stay. */
const REST = 100;

export class BigKeys {
  /** By database, then by key. */
  readonly #rows: Map<number, Map<string, Row>> = new Map();
  #size = 0;
  #top: number;
  /** By `clock.ms`; until then new keys must have more bytes than that. */
  #restUntil = Number.NEGATIVE_INFINITY;
  #least = 0;

  constructor(top: number) {
    this.#top = top;
  }

  /** How many keys are kept. */
  get top(): number {
    return this.#top;
  }

  set top(top: number) {
    this.#top = top;
    this.#trim();
  }

  /** A value of the key `buf[start, end)` went by, in that command and direction. */
  saw(
    buf: Buffer,
    start: number,
    end: number,
    db: number,
    { bytes, elements }: Size,
    command: string,
    of: Direction,
  ): void {
    const key = buf.toString('latin1', start, Math.min(end, start + LONGEST_KEY));
    const row = this.#rows.get(db)?.get(key);
    if (row === undefined) {
      const now = clock.ms;
      if (now < this.#restUntil && bytes <= this.#least) return;
      this.#add({ key, db, bytes, elements, command, of, firstSeen: now, lastSeen: now, times: 1 });
      return;
    }
    row.times++;
    row.lastSeen = clock.ms;
    if (elements > row.elements) row.elements = elements;
    if (bytes <= row.bytes) return;
    row.bytes = bytes;
    row.command = command;
    row.of = of;
  }

  /** The largest first. */
  list(): BigKey[] {
    this.#trim();
    const epoch = Date.now() - clock.tick();
    return this.#all()
      .sort(largestFirst)
      .map((row) => ({
        ...row,
        key: Buffer.from(row.key, 'latin1'),
        firstSeen: epoch + row.firstSeen,
        lastSeen: epoch + row.lastSeen,
      }));
  }

  #add(row: Row): void {
    let rows = this.#rows.get(row.db);
    if (rows === undefined) {
      rows = new Map();
      this.#rows.set(row.db, rows);
    }
    rows.set(row.key, row);
    if (++this.#size <= this.#top * ROOM + SLACK) return;
    this.#restUntil = clock.ms + REST;
    this.#trim();
  }

  #all(): Row[] {
    return [...this.#rows.values()].flatMap((rows) => [...rows.values()]);
  }

  #trim(): void {
    if (this.#size <= this.#top) return;
    const bySize = this.#all().sort(largestFirst);
    const largest = Math.ceil(this.#top / 2);
    this.#least = bySize[largest - 1]?.bytes ?? 0;
    const byAge = bySize.splice(largest).sort((a, b) => b.lastSeen - a.lastSeen);
    this.#rows.clear();
    this.#size = 0;
    for (const row of [...bySize, ...byAge.slice(0, this.#top - largest)]) this.#add(row);
  }
}

const NOTHING: BigKeyList = { top: 0, bytes: 0, elements: 0, keys: [] };

/** What all workers have seen, as one list of at most `count` keys. */
export function mergeBigKeys(lists: readonly BigKeyList[], count = Number.POSITIVE_INFINITY): BigKeyList {
  const [{ top, bytes, elements } = NOTHING] = lists;
  const all = lists.flatMap(({ keys }) => keys);
  const byName = Map.groupBy(all, ({ key, db }) => `${db} ${Buffer.from(key).toString('latin1')}`);
  const keys = [...byName.values()].map(mergeKey).sort(largestFirst);
  return { top, bytes, elements, keys: keys.slice(0, Math.min(count, top)) };
}

function mergeKey(parts: readonly BigKey[]): BigKey {
  const largest = parts.reduce((a, b) => (b.bytes > a.bytes ? b : a));
  return {
    ...largest,
    // Between threads a Buffer becomes plain bytes.
    key: Buffer.from(largest.key),
    elements: Math.max(...parts.map(({ elements }) => elements)),
    firstSeen: Math.min(...parts.map(({ firstSeen }) => firstSeen)),
    lastSeen: Math.max(...parts.map(({ lastSeen }) => lastSeen)),
    times: parts.reduce((sum, { times }) => sum + times, 0),
  };
}

type Sized = Pick<BigKey, 'bytes' | 'lastSeen'>;

function largestFirst(a: Sized, b: Sized): number {
  return b.bytes - a.bytes || b.lastSeen - a.lastSeen;
}
