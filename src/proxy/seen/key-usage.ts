// How much time and how many bytes each key takes, while HOTKEYS measures. Bytes are those of requests and replies as
// clients send and get them, from the tier too. Time is that of the servers as heatsink sees it: from when a request
// was the next one on its connection to its reply; what no server was asked for takes none.

import type { Entry } from '../../cache/tier.ts';
import { clock, microsSince } from '../../clock.ts';
import type { Measuring } from '../../commands/hotkeys.ts';
import type { Call } from '../../upstream/call.ts';
import { slotOf } from '../../upstream/slot.ts';
import { TopKeys, type Weighed } from './top-keys.ts';

/** Places per key that is told of, so that those that are told of are surely among them. */
const PLACES = 10;

/** What one worker has measured. */
export interface Measured {
  readonly measuring: Measuring;
  readonly active: boolean;
  /** Epoch milliseconds, and milliseconds. */
  readonly startedAt: number;
  readonly duration: number;
  /** Microseconds and bytes: of all requests with keys, of those in the selected slots, and of the sampled ones of these. */
  readonly all: Usage;
  readonly selected: Usage;
  readonly sampled: Usage;
  /** What was given to keys. */
  readonly netTotal: number;
  readonly cpu: readonly Weighed[];
  readonly net: readonly Weighed[];
}

export interface Usage {
  us: number;
  bytes: number;
}

export class KeyUsage {
  readonly measuring: Measuring;
  readonly startedAt: number;
  active = true;
  #duration = 0;
  readonly #all: Usage = { us: 0, bytes: 0 };
  readonly #selected: Usage = { us: 0, bytes: 0 };
  readonly #sampled: Usage = { us: 0, bytes: 0 };
  readonly #cpu: TopKeys;
  readonly #net: TopKeys;
  /** When a reply last came over a connection. */
  readonly #lastReply = new WeakMap<object, number>();

  constructor(measuring: Measuring, startedAt: number) {
    this.measuring = measuring;
    this.startedAt = startedAt;
    this.#cpu = new TopKeys(measuring.count * PLACES);
    this.#net = new TopKeys(measuring.count * PLACES);
  }

  stop(): void {
    if (!this.active) return;
    this.active = false;
    this.#duration = Date.now() - this.startedAt;
  }

  /** A reply of the tier was given out. */
  hit({ request, keyStart, keyEnd, reply }: Entry): void {
    const key = Buffer.from(request.buffer, request.byteOffset + keyStart, keyEnd - keyStart);
    this.#count([key], 0, request.byteLength + reply.length);
  }

  /** A request about those keys was answered; it and its reply have that many bytes, for each of those who share it. */
  answered(call: Call, keys: readonly Buffer[], bytes: number): void {
    if (keys.length > 0) this.#count(keys, this.#timeOf(call), bytes);
  }

  measured(): Measured {
    const { measuring, active, startedAt } = this;
    return {
      measuring,
      active,
      startedAt,
      duration: active ? Date.now() - startedAt : this.#duration,
      all: this.#all,
      selected: this.#selected,
      sampled: this.#sampled,
      netTotal: this.#net.total,
      cpu: measuring.cpu ? this.#cpu.list() : [],
      net: measuring.net ? this.#net.list() : [],
    };
  }

  #count(keys: readonly Buffer[], us: number, bytes: number): void {
    const { measuring } = this;
    add(this.#all, us, bytes);
    if (measuring.slots !== null && !this.#isSelected(keys[0])) return;
    add(this.#selected, us, bytes);
    if (measuring.sample > 1 && Math.random() * measuring.sample >= 1) return;
    add(this.#sampled, us, bytes);
    for (const key of keys) {
      const name = key.toString('latin1');
      if (measuring.cpu) this.#cpu.add(name, Math.floor(us / keys.length));
      if (measuring.net) this.#net.add(name, Math.floor(bytes / keys.length));
    }
  }

  /** Replies that come together were worked on one after the other: the first is given their time. */
  #timeOf({ lane, begunAt }: Call): number {
    if (lane === null) return 0;
    const last = this.#lastReply.get(lane);
    this.#lastReply.set(lane, clock.us);
    const taken = microsSince(begunAt);
    return last === undefined ? taken : Math.min(taken, microsSince(last));
  }

  #isSelected(key: Buffer): boolean {
    const slot = slotOf(key, 0, key.length);
    return this.measuring.slots?.some(([first, last]) => first <= slot && slot <= last) ?? true;
  }
}

function add(usage: Usage, us: number, bytes: number): void {
  usage.us += us;
  usage.bytes += bytes;
}
