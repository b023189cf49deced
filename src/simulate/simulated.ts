// heatsink as it would be with one setting: the detector and the tier that serve clients, without clients and without
// servers. What a fill brings is there at once, and what a write ends is gone at once.

import { type Entry, Tier } from '../cache/tier.ts';
import type { Versions } from '../cache/versions.ts';
import { C, CounterMemory } from '../counters.ts';
import { Detector } from '../hotkeys/detector.ts';
import type { Heat } from '../hotkeys/heat.ts';
import { UNFIT_FOR } from '../proxy/reads/fills.ts';
import { SHARED_MAX } from '../proxy/reads/shared-reads.ts';
import { proofUntil } from '../upstream/redirected.ts';
import type { Access } from './access.ts';
import type { NodeLoads } from './loads.ts';
import type { Setting } from './settings.ts';

/** Nothing is missed in a simulation. */
const PROVEN = proofUntil(Number.POSITIVE_INFINITY);

/** Of a request's key and its bytes: see resp3/hash. */
export interface Hashes {
  readonly key: number;
  readonly request: number;
}

export interface SimulatedParts {
  readonly setting: Setting;
  /** Those of all settings: they see the same writes. */
  readonly versions: Versions;
  readonly loads: NodeLoads;
  /** Bytes of the reply to the read. */
  readonly sizeOf: (access: Access, request: number) => number;
}

export class Simulated {
  readonly setting: Setting;
  readonly loads: NodeLoads;
  hits = 0;
  fills = 0;
  /** Reads of hot keys whose reply was too large. */
  tooLarge = 0;
  /** Entries that writes have ended. */
  invalidated = 0;
  /** Of the tier at its fullest, in bytes, and entries then. */
  peakBytes = 0;
  peakEntries = 0;
  peakHotKeys = 0;
  readonly #detector: Detector;
  readonly #tier: Tier;
  readonly #versions: Versions;
  readonly #sizeOf: SimulatedParts['sizeOf'];
  readonly #counters = new CounterMemory(1).of(0);
  readonly #load = { spared: 0 };

  constructor({ setting, versions, loads, sizeOf }: SimulatedParts) {
    const { values } = setting;
    this.setting = setting;
    this.loads = loads;
    this.#versions = versions;
    this.#sizeOf = sizeOf;
    this.#tier = new Tier({
      maxBytes: values['tier.maxBytes'],
      maxEntryBytes: values['tier.maxEntryBytes'],
      maxSpare: 0,
      versions,
      counters: this.#counters,
      // Its length is all that is asked of it.
      copyReply: (reply) => reply,
    });
    this.#detector = new Detector({
      threshold: values['hot.threshold'],
      window: values['hot.window'],
      steps: values['hot.steps'],
      cool: values['hot.cool'],
      candidates: values['hot.candidates'],
      keep: { minHits: values['tier.minHits'] },
      cooling: () => {},
      cooled: (keyHash) => this.#tier.dropKey(keyHash),
    });
  }

  /** Entries that have given way to others. */
  get evicted(): number {
    return this.#counters[C.evictions];
  }

  advance(now: number): void {
    this.#detector.advance(now);
    this.peakHotKeys = Math.max(this.peakHotKeys, this.#detector.hotKeys);
  }

  /** A read whose reply may be kept, of a key of that node. The way of `pipeline.ts` and `shared-reads.ts`. */
  read(access: Access, hashes: Hashes, node: number, now: number): void {
    const { view, start, end, keys } = access;
    const short = end - start <= SHARED_MAX;
    if (short && this.#tier.entries > 0) {
      const entry = this.#tier.find(hashes.request, access.db, view, start, end);
      if (entry !== null && this.#tier.valid(entry, now)) {
        this.#serve(entry);
        return;
      }
    }
    this.loads.sent(node);
    const heat = this.#detector.count(hashes.key, view, keys[0], keys[1]);
    if (heat === null || !short || heat.unfitUntil > now || heat.writeHotUntil > now) return;
    this.#fill(access, hashes, heat, now);
    // Before the read goes PTTL.
    this.loads.sent(node);
  }

  /** Any other read of a key. */
  count(access: Access, key: number, keyHash: number): void {
    this.#detector.count(keyHash, access.view, access.keys[key * 2], access.keys[key * 2 + 1]);
  }

  written(keyHash: number): void {
    if (this.#tier.entries > 0) this.invalidated += this.#tier.dropChanged(keyHash);
  }

  writtenAll(): void {
    this.invalidated += this.#tier.dropWhere(() => true);
  }

  #serve(entry: Entry): void {
    entry.used = true;
    entry.heat.hit();
    this.hits++;
  }

  #fill(access: Access, hashes: Hashes, heat: Heat, now: number): void {
    const { buf, start, end, keys } = access;
    const length = this.#sizeOf(access, hashes.request);
    this.fills++;
    if (length > this.#tier.options.maxEntryBytes) {
      heat.unfitUntil = now + UNFIT_FOR;
      this.tooLarge++;
      return;
    }
    this.#tier.put({
      hash: hashes.request,
      space: access.db,
      request: buf.subarray(start, end),
      reply: { length } as Buffer,
      keyHash: hashes.key,
      keyStart: keys[0] - start,
      keyEnd: keys[1] - start,
      version: this.#versions.of(hashes.key),
      epoch: this.#versions.epoch(),
      deadline: now + this.setting.values['tier.ttl'],
      expiresAt: Number.POSITIVE_INFINITY,
      proof: PROVEN,
      heat,
      load: this.#load,
    });
    if (this.#tier.bytes > this.peakBytes) this.peakBytes = this.#tier.bytes;
    if (this.#tier.entries > this.peakEntries) this.peakEntries = this.#tier.entries;
  }
}
