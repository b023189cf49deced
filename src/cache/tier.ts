// The local tier: raw replies by raw requests, found without decoding either. An entry is served only while its
// proof holds, its deadline has not passed and its version is current; who looks it up checks that with `valid`.

import type { Counters } from '../counters.ts';
import { C, G } from '../counters.ts';
import { sameBytes, viewOf } from '../resp3/hash.ts';
import type { Proof } from '../upstream/tracking.ts';
import type { Versions } from './versions.ts';

/** Who cares for an entry: counts the reads that it serves, and is told of its end; see hotkeys/heat. */
export interface HitCount {
  hit(): void;
  /** The key has changed. */
  changed(): void;
  /** The entry is not in the tier any more. */
  gone(): void;
  /** Whether it must give way to others when room is short: what is kept of keys that do not exist. */
  readonly spare: boolean;
}

/** Rough size of an entry's own objects, in bytes. */
const OVERHEAD = 400;
const FIRST_SLOTS = 1024;

type EntryData = Pick<
  Entry,
  | 'hash'
  | 'space'
  | 'request'
  | 'reply'
  | 'keyHash'
  | 'keyStart'
  | 'keyEnd'
  | 'version'
  | 'epoch'
  | 'deadline'
  | 'expiresAt'
  | 'proof'
  | 'heat'
  | 'load'
>;

export class Entry {
  readonly hash: number;
  readonly space: number;
  readonly request: DataView;
  readonly reply: Buffer;
  readonly keyHash: number;
  /** Where the key is in the request. */
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly version: number;
  readonly epoch: number;
  /** On `clock.ms`. */
  readonly deadline: number;
  /** When the key itself expires, on `clock.ms`; Infinity for one that does not. */
  readonly expiresAt: number;
  readonly proof: Proof;
  readonly heat: HitCount;
  /** Of the node whose key it is. */
  readonly load: { spared: number };
  readonly bytes: number;
  /** Whether it was served since the eviction hand last passed. */
  used = false;
  /** Reads it again ahead of its end; see proxy/reads/refreshes. */
  refresh: NodeJS.Timeout | null = null;
  older: Entry | null = null;
  newer: Entry | null = null;
  sameKey: Entry | null = null;

  constructor(of: EntryFields) {
    this.hash = of.hash;
    this.space = of.space;
    this.request = viewOf(of.request);
    this.reply = of.reply;
    this.keyHash = of.keyHash;
    this.keyStart = of.keyStart;
    this.keyEnd = of.keyEnd;
    this.version = of.version;
    this.epoch = of.epoch;
    this.deadline = of.deadline;
    this.expiresAt = of.expiresAt;
    this.proof = of.proof;
    this.heat = of.heat;
    this.load = of.load;
    this.bytes = of.request.length + of.reply.length + OVERHEAD;
  }
}

/** What an entry is made of; the tier copies the bytes. */
export type EntryFields = Omit<EntryData, 'request'> & { readonly request: Buffer };

export interface TierOptions {
  /** Hard cap for requests, replies and overhead together, in bytes; see `limit`. */
  maxBytes: number;
  /** The largest reply that is kept, in bytes; may change at any time. */
  maxEntryBytes: number;
  /** The most entries that are spare; may change at any time. */
  maxSpare: number;
  readonly versions: Versions;
  readonly counters: Counters;
  /** Makes what is kept of a reply; without it, an exact copy. */
  readonly copyReply?: (reply: Buffer) => Buffer;
}

export class Tier {
  bytes = 0;
  entries = 0;

  readonly options: TierOptions;
  /** Open addressing by request hash, linear probing, at most half full. */
  #slots: (Entry | null)[] = new Array(FIRST_SLOTS).fill(null);
  readonly #byKey = new Map<number, Entry>();
  /** First in, first out. */
  readonly #spare = new Set<Entry>();
  #oldest: Entry | null = null;
  #newest: Entry | null = null;

  constructor(options: TierOptions) {
    this.options = options;
  }

  /** The entry of the request `[start, end)` of a view, asked in that space; it may not be valid any more. */
  find(hash: number, space: number, view: DataView, start: number, end: number): Entry | null {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = slots[at];
      if (entry === null) return null;
      if (entry.hash === hash && entry.space === space && sameBytes(view, start, end, entry.request))
        return entry;
    }
  }

  /** Whether an entry may be served at `now` (`clock.ms`). */
  valid(entry: Entry, now: number): boolean {
    return (
      now < entry.deadline &&
      now < entry.proof.until &&
      this.options.versions.current(entry.keyHash, entry.version, entry.epoch)
    );
  }

  /** Keeps copies of request and reply, in place of an older entry for the request. Null when there is no room for it. */
  put(fields: EntryFields): Entry | null {
    const { maxBytes, maxEntryBytes, copyReply = exactCopy } = this.options;
    const { request, reply } = fields;
    if (reply.length > maxEntryBytes || request.length + reply.length + OVERHEAD > maxBytes) return null;
    const entry = new Entry({ ...fields, request: exactCopy(request), reply: copyReply(reply) });
    const old = this.find(entry.hash, entry.space, entry.request, 0, entry.request.byteLength);
    if (old !== null) this.drop(old);
    if (entry.heat.spare && !this.#makeRoomForSpare(entry)) return null;
    while (this.bytes + entry.bytes > maxBytes) this.#evict();
    if ((this.entries + 1) * 2 > this.#slots.length) this.#resize();
    this.#insert(entry);
    entry.sameKey = this.#byKey.get(entry.keyHash) ?? null;
    this.#byKey.set(entry.keyHash, entry);
    this.#append(entry);
    this.#grown(entry.bytes, 1);
    if (entry.heat.spare) this.#spare.add(entry);
    return entry;
  }

  /** Changes the cap, and drops what does not fit under it. */
  limit(maxBytes: number): void {
    this.options.maxBytes = maxBytes;
    while (this.bytes > maxBytes) this.#evict();
  }

  /** Drops the entries of a key that are not valid any more; returns how many. */
  dropInvalid(keyHash: number, now: number): number {
    let dropped = 0;
    for (let entry = this.#byKey.get(keyHash) ?? null; entry !== null; ) {
      const next: Entry | null = entry.sameKey;
      if (!this.valid(entry, now)) {
        this.drop(entry);
        dropped++;
      }
      entry = next;
    }
    return dropped;
  }

  /** The key has changed: drops all its entries. Their version is what keeps them from being served. */
  dropChanged(keyHash: number): number {
    this.#byKey.get(keyHash)?.heat.changed();
    return this.dropKey(keyHash);
  }

  /** Drops all entries of a key. */
  dropKey(keyHash: number): number {
    let dropped = 0;
    for (let entry = this.#byKey.get(keyHash) ?? null; entry !== null; dropped++) {
      const next: Entry | null = entry.sameKey;
      this.drop(entry);
      entry = next;
    }
    return dropped;
  }

  /** Drops the entries for which `doomed` says so; returns how many. */
  dropWhere(doomed: (entry: Entry) => boolean): number {
    let dropped = 0;
    for (let entry = this.#oldest; entry !== null; ) {
      const next: Entry | null = entry.newer;
      if (doomed(entry)) {
        this.drop(entry);
        dropped++;
      }
      entry = next;
    }
    return dropped;
  }

  /** Bytes and entries that a key has here now. */
  usage(keyHash: number): { bytes: number; entries: number } {
    let bytes = 0;
    let entries = 0;
    for (let entry = this.#byKey.get(keyHash) ?? null; entry !== null; entry = entry.sameKey) {
      bytes += entry.bytes;
      entries++;
    }
    return { bytes, entries };
  }

  drop(entry: Entry): void {
    this.#removeSlot(entry);
    this.#unchain(entry);
    if (entry.older === null) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === null) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    entry.older = null;
    entry.newer = null;
    this.#grown(-entry.bytes, -1);
    if (entry.refresh !== null) clearTimeout(entry.refresh);
    if (entry.heat.spare) this.#spare.delete(entry);
    entry.heat.gone();
  }

  #grown(bytes: number, entries: number): void {
    const { counters } = this.options;
    this.bytes += bytes;
    this.entries += entries;
    counters[G.tierBytes] = this.bytes;
    counters[G.tierEntries] = this.entries;
  }

  #append(entry: Entry): void {
    entry.newer = null;
    entry.older = this.#newest;
    if (this.#newest === null) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  /** What is spare takes no room but from its like; false when there is none to take. */
  #makeRoomForSpare(entry: Entry): boolean {
    const { maxBytes, maxSpare } = this.options;
    while (this.#spare.size >= maxSpare || this.bytes + entry.bytes > maxBytes) {
      if (!this.#dropSpare()) return false;
    }
    return true;
  }

  #dropSpare(): boolean {
    const [first] = this.#spare;
    if (first === undefined) return false;
    this.drop(first);
    this.options.counters[C.evictions]++;
    return true;
  }

  /** What is spare goes first. Then second chance (CLOCK): the oldest that was not used since the hand last passed. */
  #evict(): void {
    if (this.#dropSpare()) return;
    for (;;) {
      const entry = this.#oldest as Entry;
      if (!entry.used) {
        this.drop(entry);
        this.options.counters[C.evictions]++;
        return;
      }
      entry.used = false;
      if (entry.newer === null) continue;
      this.#oldest = entry.newer;
      entry.newer.older = null;
      this.#append(entry);
    }
  }

  #insert(entry: Entry): void {
    const mask = this.#slots.length - 1;
    let at = entry.hash & mask;
    while (this.#slots[at] !== null) at = (at + 1) & mask;
    this.#slots[at] = entry;
  }

  #resize(): void {
    const entries = this.#slots.filter((entry) => entry !== null);
    this.#slots = new Array(this.#slots.length * 2).fill(null);
    for (const entry of entries) this.#insert(entry);
  }

  /** Removal by backward shift, so that no tombstones slow the lookups down. */
  #removeSlot(entry: Entry): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = entry.hash & mask;
    while (slots[hole] !== entry) hole = (hole + 1) & mask;
    slots[hole] = null;
    for (let at = (hole + 1) & mask; slots[at] !== null; at = (at + 1) & mask) {
      const mover = slots[at] as Entry;
      const home = mover.hash & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = mover;
      slots[at] = null;
      hole = at;
    }
  }

  #unchain(entry: Entry): void {
    const first = this.#byKey.get(entry.keyHash) as Entry;
    if (first === entry) {
      if (entry.sameKey === null) this.#byKey.delete(entry.keyHash);
      else this.#byKey.set(entry.keyHash, entry.sameKey);
    } else {
      let before = first;
      while (before.sameKey !== entry) before = before.sameKey as Entry;
      before.sameKey = entry.sameKey;
    }
    entry.sameKey = null;
  }
}

/** A copy in memory of its own: a slice of Node's shared pool would hold all of it. */
function exactCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
