// What the tier would keep, while nothing is served from it: every read goes upstream, and its reply says whether the
// one that was kept before would have been right. So a change that nobody told of costs no false promise.

import type { Tier } from '../../cache/tier.ts';
import type { Versions } from '../../cache/versions.ts';
import { clock } from '../../clock.ts';
import { C, type Counters } from '../../counters.ts';
import type { Heat } from '../../hotkeys/heat.ts';
import { hashBytes, viewOf } from '../../resp3/hash.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { Lane } from '../../upstream/lane.ts';
import { proofUntil } from '../../upstream/redirected.ts';
import type { Fill, Request } from '../request.ts';
import { type FillOptions, Fills } from './fills.ts';

const NO_PROOF_NEEDED = proofUntil(Number.POSITIVE_INFINITY);

export class ObservedFills extends Fills {
  readonly #tier: Tier;
  readonly #versions: Versions;
  readonly #counters: Counters;
  readonly #limits: FillOptions['limits'];

  constructor(options: FillOptions) {
    super(options);
    this.#tier = options.tier;
    this.#versions = options.versions;
    this.#counters = options.counters;
    this.#limits = options.limits;
  }

  /** Nothing is tracked, as nothing is served. */
  override trackedLane(): null {
    return null;
  }

  /** The read, about to be sent on that lane, would be served from the tier or fill it. */
  observe(request: Request, heat: Heat, lane: Lane): void {
    if (heat.unfitUntil > clock.ms || heat.writeHotUntil > clock.ms) return;
    request.fill = {
      heat,
      node: null,
      load: lane.options.load,
      proof: NO_PROOF_NEEDED,
      version: this.#versions.of(request.keyHash),
      epoch: this.#versions.epoch(),
      generation: 0,
      sentAt: clock.ms,
      ttl: this.#limits.ttl,
      pttl: Number.NaN,
      refreshes: false,
    };
  }

  override publish(request: Request, fill: Fill, buf: Buffer, start: number, end: number): void {
    const { heat, load, version, epoch } = fill;
    const { keyHash, chunk, offset, length, space } = request;
    if (chunk === null || buf[start] === TYPE.error || buf[start] === TYPE.bulkError || !heat.hot) return;
    const view = viewOf(chunk.buf);
    const hash = hashBytes(view, offset, offset + length);
    const kept = this.#tier.find(hash, space, view, offset, offset + length);
    if (kept !== null && this.#tier.valid(kept, clock.ms)) {
      if (kept.reply.compare(buf, start, end) === 0) {
        kept.used = true;
        heat.hit();
        load.spared++;
        this.#counters[C.observedHits]++;
        return;
      }
      heat.changed();
    }
    if (this.#versions.writing(keyHash) || !this.#versions.current(keyHash, version, epoch)) return;
    this.#tier.put({
      hash,
      space,
      request: chunk.buf.subarray(offset, offset + length),
      reply: buf.subarray(start, end),
      keyHash,
      keyStart: request.keyStart,
      keyEnd: request.keyEnd,
      version,
      epoch,
      deadline: fill.sentAt + fill.ttl,
      expiresAt: Number.POSITIVE_INFINITY,
      proof: fill.proof,
      heat,
      load,
    });
    this.#counters[C.observedFills]++;
  }
}
