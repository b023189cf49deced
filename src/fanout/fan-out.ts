// Copies of hot keys on the other masters of a cluster, so that their reads are spread over all of them. Each worker has
// copies of its own. A copy is asked only while everything holds that would let the local tier serve the same value.

import type { FanOutMode } from '../cache/rules.ts';
import type { Versions } from '../cache/versions.ts';
import { clock } from '../clock.ts';
import { C, type Counters, G } from '../counters.ts';
import type { Heat } from '../hotkeys/heat.ts';
import { encodeRequest } from '../resp3/encode.ts';
import type { Lane } from '../upstream/lane.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { sendQuietly } from '../upstream/quiet.ts';
import type { Topology } from '../upstream/topology.ts';
import { ask } from './ask.ts';
import { chooseLoad } from './choose.ts';
import { CopyNames } from './copy-names.ts';
import { type Copy, type Edition, KeyCopies, type Load } from './key-copies.ts';
import { OWN_SPACE, Places } from './places.ts';
import { readKey } from './read-key.ts';

/** The longest life of a copy that nobody renews, in milliseconds. */
export const LIFE = 1000;
/** Between two looks at all copies. */
const LOOK = 100;
/** A copy is renewed when it has less to live, and an edition replaced. */
const RENEW = 500;
/** For how long copies may be missing before the key is read again to replace them. */
const INCOMPLETE_FOR = 1000;
/** In bytes: a copy's name has the key in it. */
const LONGEST_KEY = 1024;
/** For how long a value that is too large to be held is not read again. */
const LARGE_FOR = 10_000;
/** How long a worker that ends waits for its copies to go. */
const FAREWELL = 300;

export interface FanOutOptions {
  readonly topology: Topology;
  readonly versions: Versions;
  readonly counters: Counters;
  /** `tier.ttl` in milliseconds; may change at any time. */
  readonly limits: { readonly ttl: number };
  /** A node does not take copies, in its own words. */
  readonly refused: (node: UpstreamNode, words: string) => void;
  /** A node does not own a slot any more that the map says it owns. */
  readonly misrouted: () => void;
}

/** Where a read of a key goes: to a copy of an edition, or, for null, to its own node. */
export interface Target {
  /** That of its own node. */
  readonly own: Load;
  readonly copy: Copy | null;
  readonly edition: Edition | null;
}

export class FanOut {
  readonly #on: FanOutOptions;
  readonly #keys = new Map<number, KeyCopies>();
  readonly #names: CopyNames;
  readonly #places: Places;
  readonly #timer: NodeJS.Timeout;

  constructor(options: FanOutOptions) {
    this.#on = options;
    this.#names = new CopyNames(options.topology);
    this.#places = new Places(options);
    this.#timer = setInterval(() => this.#look(), LOOK).unref();
  }

  /** Where to send a read of that hot key now; null when its reads are not to be spread. */
  target(heat: Heat, mode: FanOutMode): Target | null {
    if (mode === 'off' || this.#on.topology.nodes.length < 2 || heat.key.length > LONGEST_KEY) return null;
    let key = this.#keys.get(heat.keyHash);
    if (key !== undefined && key.heat !== heat && !key.heat.key.equals(heat.key)) {
      // Another key of the same hash has become hot in its place.
      this.#retire(key);
      key = undefined;
    }
    const edition = key?.edition ?? null;
    const holds = edition !== null && this.holds(edition, heat.keyHash);
    // Once there are copies of a large value, nobody need try again whether it fits into the tier.
    if (mode === 'large' && !holds && heat.unfitUntil <= clock.ms) return null;
    if (key === undefined) {
      key = new KeyCopies(heat);
      this.#keys.set(heat.keyHash, key);
    }
    key.heat = heat;
    const owner = this.#ownerOf(heat);
    if (owner === null) return null;
    const own = key.loadOf(owner);
    if (!holds) {
      this.#retire(key);
      this.#make(key);
      // Of a key that is missing the tier may keep just that.
      if (key.isNothing(this.#on.versions.of(heat.keyHash), clock.ms)) return null;
      return { own, copy: null, edition: null };
    }
    const copy = chooseLoad(own, edition.copies, (candidate) =>
      this.#places.usable(candidate.node, candidate),
    );
    if (copy !== null) edition.reads++;
    return { own, copy, edition };
  }

  /** Whether what the edition's copies say may be given out now: the very rules of the tier (cache/tier.ts). */
  holds({ version, epoch, generation, proof, endsAt }: Edition, keyHash: number): boolean {
    const now = clock.ms;
    return (
      now < endsAt &&
      now < proof.until &&
      generation === this.#on.topology.generation &&
      this.#on.versions.current(keyHash, version, epoch)
    );
  }

  /** Something is wrong with a copy that was asked: it may be gone. */
  suspect(copy: Copy, edition: Edition): void {
    if (!copy.refreshing && copy.until - clock.ms < LIFE - LOOK) void this.#renew(copy, edition);
  }

  /** How many copies of the key this worker has. */
  copiesOf(keyHash: number): number {
    const edition = this.#keys.get(keyHash)?.edition;
    return edition?.copies.length ?? 0;
  }

  /** Takes all copies away, as far as their nodes can be reached. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const gone = [...this.#keys.values()].flatMap((key) => this.#retire(key));
    this.#keys.clear();
    const lanes = new Set(gone.map(({ node }) => node.lane(OWN_SPACE, 0)));
    const answered = [...lanes].filter(({ state }) => state === 'up').map((lane) => ask(lane, ['PING']));
    await Promise.race([Promise.all(answered), new Promise((resolve) => setTimeout(resolve, FAREWELL))]);
  }

  #ownerOf({ key }: Heat): UpstreamNode | null {
    return this.#on.topology.ownerOf(key, 0, key.length);
  }

  /** Goes over all copies: those that are needed live on, all others go. */
  #look(): void {
    const now = clock.tick();
    for (const [keyHash, key] of this.#keys) {
      const { edition, heat } = key;
      if (!heat.hot) {
        this.#retire(key);
        this.#keys.delete(keyHash);
      } else if (edition !== null && !this.holds(edition, keyHash)) {
        this.#retire(key);
      } else if (edition !== null) {
        this.#renewAll(key, edition, now);
      }
    }
  }

  #renewAll(key: KeyCopies, edition: Edition, now: number): void {
    for (const copy of edition.copies)
      if (!copy.refreshing && copy.until - now < RENEW) void this.#renew(copy, edition);
    const old = edition.endsAt - now < RENEW && !edition.expires;
    const wanted = this.#places.open(this.#ownerOf(key.heat)).length;
    const incomplete = edition.copies.length < wanted && now - edition.madeAt > INCOMPLETE_FOR;
    if (old || incomplete) this.#make(key);
  }

  /** A copy lives for another while, if it is still there. */
  async #renew(copy: Copy, edition: Edition): Promise<void> {
    const lane = copy.node.lane(OWN_SPACE, 0);
    const now = clock.tick();
    const life = Math.min(LIFE, Math.ceil(edition.endsAt - now));
    if (life <= 0 || edition.retired) return;
    copy.refreshing = true;
    const reply = await ask(lane, ['PEXPIRE', copy.name, life]);
    copy.refreshing = false;
    if (reply?.toString('latin1') === ':1\r\n') {
      copy.until = now + life;
      return;
    }
    if (reply !== null && reply[0] === MINUS) this.#places.failed(copy.node, reply);
    this.#lose(copy, edition);
    this.#unlink(copy);
  }

  #lose(copy: Copy, edition: Edition): void {
    if (!edition.copies.includes(copy)) return;
    edition.copies = edition.copies.filter((other) => other !== copy);
    this.#on.counters[G.copies]--;
    this.#on.counters[C.copiesRetired]++;
  }

  /** Reads the key from its node and puts copies of it on the others, unless that is under way or not worth while. */
  #make(key: KeyCopies): void {
    if (key.making || !key.mayBegin(this.#on.versions.of(key.heat.keyHash), clock.ms)) return;
    key.making = true;
    void this.#makeNow(key).finally(() => {
      key.making = false;
    });
  }

  async #makeNow(key: KeyCopies): Promise<void> {
    const { topology, versions, limits, counters, misrouted } = this.#on;
    const { heat } = key;
    const { keyHash } = heat;
    const owner = this.#ownerOf(heat);
    const places = this.#places.open(owner);
    if (owner === null || places.length === 0) {
      key.failed(clock.ms);
      return;
    }
    // Somebody's write is under way: what can be read now may be old at once.
    const lane = versions.writing(keyHash) ? null : (owner.tracker?.lane(OWN_SPACE) ?? null);
    if (lane === null) return;
    const state = { version: versions.of(keyHash), epoch: versions.epoch(), generation: topology.generation };
    const proof = owner.tracker?.proofOf(OWN_SPACE);
    const sentAt = clock.tick();
    counters[C.sentFill]++;
    const read = await readKey(lane, key);
    clock.tick();
    if (read === 'missing') key.nothing(state.version, clock.ms);
    if (read === 'large') key.failed(clock.ms, LARGE_FOR);
    // Perhaps the map is old.
    if (read === null) misrouted();
    if (read === null) key.failed(clock.ms);
    if (read === null || typeof read === 'string' || proof === undefined) return;
    const { pttl, value, dumped } = read;
    key.loadOf(owner).bytes += value.length;
    const expires = pttl >= 0 && pttl <= limits.ttl;
    const endsAt = sentAt + (expires ? pttl : limits.ttl);
    const edition: Edition = {
      ...{ ...state, proof, endsAt, expires, madeAt: sentAt },
      ...{ copies: [], reads: 0, retired: false },
    };
    // As a fill of the tier is kept, so a write or a push since then is the end of it.
    if (!this.holds(edition, keyHash) || versions.writing(keyHash)) return;
    const placed = places.map((node) => this.#place(key, edition, node, value, dumped));
    await Promise.any(placed).catch(() => {});
    // From now on this one is asked; those of its copies that come later join in.
    if (edition.copies.length === 0 || this.#keys.get(keyHash) !== key) {
      this.#retireEdition(edition);
      key.failed(clock.ms);
      return;
    }
    this.#retire(key);
    key.edition = edition;
  }

  async #place(key: KeyCopies, edition: Edition, node: UpstreamNode, value: Buffer, dumped: boolean) {
    const { counters } = this.#on;
    const name = this.#names.next(node, edition, key.heat.key);
    const now = clock.tick();
    const life = Math.min(LIFE, Math.ceil(edition.endsAt - now));
    if (name === null || life <= 0) throw new Error('no place');
    counters[C.copyBytes] += value.length;
    const lane: Lane = node.lane(OWN_SPACE, 0);
    const reply = await ask(lane, dumped ? ['RESTORE', name, life, value] : ['SET', name, value, 'PX', life]);
    const copy = { node, name, load: key.loadOf(node), until: now + life, refreshing: false };
    if (reply?.toString('latin1') !== '+OK\r\n') {
      counters[C.copiesFailed]++;
      this.#places.failed(node, reply);
      throw new Error('no copy');
    }
    counters[C.copiesMade]++;
    if (edition.retired) {
      this.#unlink(copy);
      counters[C.copiesRetired]++;
      return;
    }
    counters[G.copies]++;
    edition.copies.push(copy);
  }

  /** Takes the copies of a key away; those that there were. */
  #retire(key: KeyCopies): Copy[] {
    const { edition } = key;
    if (edition === null) return [];
    key.edition = null;
    key.ended(edition, clock.ms);
    return this.#retireEdition(edition);
  }

  #retireEdition(edition: Edition): Copy[] {
    const { copies } = edition;
    edition.retired = true;
    edition.copies = [];
    for (const copy of copies) this.#unlink(copy);
    this.#on.counters[G.copies] -= copies.length;
    this.#on.counters[C.copiesRetired] += copies.length;
    return copies;
  }

  /** It would go by itself within a second. */
  #unlink({ node, name }: Copy): void {
    const lane = node.lane(OWN_SPACE, 0);
    if (lane.state === 'up') sendQuietly(lane, encodeRequest(['UNLINK', name]));
  }
}

const MINUS = 0x2d;
