// Times to live that differ a little, by rule: keys that are written in the same second must not all expire in the same
// second, when everybody would rebuild them at once.

import type { Rules } from '../cache/rules.ts';
import type { Command } from '../commands/command.ts';
import { ttlOf, withTtl } from '../commands/expiry.ts';
import { C, type Counters } from '../counters.ts';
import { viewOf } from '../resp3/hash.ts';
import { RequestFrame } from '../resp3/request-frame.ts';
import { isOwn } from '../upstream/space.ts';

export class Jitter {
  readonly #rules: Rules;
  readonly #counters: Counters;
  readonly #random: () => number;

  constructor(rules: Rules, counters: Counters, random: () => number = Math.random) {
    this.#rules = rules;
    this.#counters = counters;
    this.#random = random;
  }

  /** The request as it is sent on: with another time to live, in a frame of its own, or as it is. */
  apply(frame: RequestFrame, command: Command, space: number): RequestFrame {
    const { buf, start, args } = frame;
    if (command.expiry === null || frame.argc < 2) return frame;
    const { jitter } = this.#rules.of(buf, start + args[2], start + args[3]);
    const ttl = jitter === 0 ? null : ttlOf(frame, command.expiry);
    if (ttl === null) return frame;
    const spread = 1 + jitter * (2 * this.#random() - 1);
    const milliseconds = Math.max(1, Math.round(ttl.milliseconds * spread));
    // The upstream may let one of its users send SETEX and not PSETEX.
    const bytes = withTtl(frame, ttl, milliseconds, isOwn(space));
    const jittered = new RequestFrame();
    jittered.read(bytes, viewOf(bytes), 0, bytes.length);
    this.#counters[C.jittered]++;
    return jittered;
  }
}
