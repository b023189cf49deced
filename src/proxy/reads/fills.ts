// Fills of the local tier: PTTL and the read, pipelined over the tracked connection. PTTL goes first: whatever
// changes the key between the two then pushes an invalidation before the read's reply, and the time to live is
// never that of an older value. The entry is published with the read's reply, if nothing has touched the key
// since the fill was sent.

import type { Rules } from '../../cache/rules.ts';
import type { Entry, Tier } from '../../cache/tier.ts';
import type { Versions } from '../../cache/versions.ts';
import type { Witness } from '../../cache/witness.ts';
import { clock } from '../../clock.ts';
import { saysMissing } from '../../commands/whole-reads.ts';
import { C, type Counters } from '../../counters.ts';
import { encodeRequest } from '../../resp3/encode.ts';
import { hashBytes, viewOf } from '../../resp3/hash.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import { Call } from '../../upstream/call.ts';
import type { Lane } from '../../upstream/lane.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import { releaseBytes } from '../../upstream/outgoing.ts';
import { proofUntil } from '../../upstream/redirected.ts';
import { isOwn } from '../../upstream/space.ts';
import type { Topology } from '../../upstream/topology.ts';
import type { Proof } from '../../upstream/tracking.ts';
import type { Fill, Request } from '../request.ts';
import type { LastValues } from './last-values.ts';
import type { Warmth } from './negatives.ts';

/**
 * `tier.ttl`, `tier.maxStaleness`, `tier.untrackedTtl` and `tier.staleOnError`, in milliseconds; they may change at any
 * time.
 */
export interface FillLimits {
  ttl: number;
  maxStaleness: number;
  untrackedTtl: number;
  staleOnError: number;
}

export interface FillOptions {
  readonly tier: Tier;
  readonly versions: Versions;
  readonly witness: Witness;
  readonly topology: Topology;
  readonly counters: Counters;
  readonly limits: FillLimits;
  readonly lastValues: LastValues;
  readonly rules: Rules;
  /** An entry was made that is to be read again ahead of its end; see refreshes.ts. */
  readonly planRefresh: (entry: Entry, request: Request, fill: Fill) => void;
}

const MISSING = -2;
/** For how long a key is not filled after a reply that was too large, in milliseconds. */
export const UNFIT_FOR = 1000;
/** Entries that only time ends. */
const NO_PROOF_NEEDED: Proof = proofUntil(Number.POSITIVE_INFINITY);

export class Fills {
  readonly #options: FillOptions;

  constructor(options: FillOptions) {
    this.#options = options;
  }

  /** The lane for a tracked fill of the request now, or null when it cannot be one. */
  trackedLane(request: Request, heat: Warmth, node: UpstreamNode): Lane | null {
    if (heat.unfitUntil > clock.ms || heat.writeHotUntil > clock.ms) return null;
    if (this.#options.versions.writing(request.keyHash)) return null;
    return node.tracker?.lane(request.space) ?? null;
  }

  /** Makes the read `buf[start, end)`, about to be sent on that lane, a fill, and sends its PTTL ahead. */
  begin(request: Request, heat: Warmth, node: UpstreamNode | null, lane: Lane, key: Buffer): void {
    const { versions, topology, limits, counters, lastValues, rules } = this.#options;
    if (lastValues.on) lastValues.superseded(request.keyHash);
    const fill: Fill = {
      heat,
      node,
      load: lane.options.load,
      proof: node?.tracker?.proofOf(request.space) ?? NO_PROOF_NEEDED,
      version: versions.of(request.keyHash),
      epoch: versions.epoch(),
      generation: topology.generation,
      sentAt: clock.ms,
      ttl: node === null ? limits.untrackedTtl : limits.ttl,
      pttl: Number.NaN,
      refreshes: !heat.spare && node !== null && rules.of(key, 0, key.length).refreshAhead,
    };
    request.fill = fill;
    counters[C.sentFill]++;
    const pttl = new Call({
      replied(call, buf, start, end) {
        releaseBytes(call);
        if (buf[start] === TYPE.integer) fill.pttl = Number(buf.toString('latin1', start + 1, end - 2));
      },
      failed: releaseBytes,
    });
    const bytes = encodeRequest(['PTTL', key]);
    lane.send(pttl, bytes, 0, bytes.length);
    lane.seal();
  }

  /** The fill's read has a reply that is too large to be held, and so for the tier. */
  giveUp({ heat }: Fill): void {
    heat.unfitUntil = clock.ms + UNFIT_FOR;
    heat.gone();
    this.#options.counters[C.fillsDropped]++;
  }

  /** The fill's read is answered by `buf[start, end)`. It is kept if nothing speaks against it. */
  publish(request: Request, fill: Fill, buf: Buffer, start: number, end: number): void {
    const { tier, versions, witness, topology, counters } = this.#options;
    const { heat, proof, version, epoch } = fill;
    const deadline = fill.sentAt + this.#life(fill, request.space);
    const bytes = bytesOf(request);
    const unchanged = !versions.writing(request.keyHash) && versions.current(request.keyHash, version, epoch);
    if (!unchanged) heat.changed();
    const answered = buf[start] !== TYPE.error && buf[start] !== TYPE.bulkError;
    const fits =
      answered &&
      // That a key is missing is not what everybody may be told who asks for it.
      !(request.lease && saysMissing(buf, start)) &&
      heat.hot &&
      !Number.isNaN(fill.pttl) &&
      deadline > clock.ms &&
      proof.until !== Number.NEGATIVE_INFINITY &&
      fill.generation === topology.generation &&
      (!heat.spare || fill.pttl === MISSING) &&
      unchanged;
    // Kept or not, it is an answer that clients get, and what is older must not be served after it.
    if (answered && !fits) witness.saw(request, buf, start, end);
    const keeps = fits && witness.note(request, version, epoch, buf, start, end);
    const entry = keeps
      ? tier.put({
          hash: hashBytes(viewOf(bytes), 0, bytes.length),
          space: request.space,
          request: bytes,
          reply: buf.subarray(start, end),
          keyHash: request.keyHash,
          keyStart: request.keyStart,
          keyEnd: request.keyEnd,
          version,
          epoch,
          deadline,
          expiresAt: fill.pttl >= 0 ? fill.sentAt + fill.pttl : Number.POSITIVE_INFINITY,
          proof,
          heat,
          load: fill.load,
        })
      : null;
    if (entry === null) heat.gone();
    else if (fill.refreshes) this.#options.planRefresh(entry, request, fill);
    if (end - start > tier.options.maxEntryBytes) heat.unfitUntil = clock.ms + UNFIT_FOR;
    counters[entry !== null ? C.fillsKept : C.fillsDropped]++;
  }

  /**
   * How long an entry may live. A key that is missing (PTTL -2) is never told of again once its slot has moved, and
   * a hot one sends nobody to the old owner to find out: so in a cluster it lives no longer than a proof.
   */
  #life({ pttl, ttl: longest, node }: Fill, space: number): number {
    const { topology, limits } = this.#options;
    // Nobody tells when the server takes a right away from one of its users.
    const ttl = isOwn(space) ? longest : Math.min(longest, limits.maxStaleness);
    if (pttl >= 0) return Math.min(pttl, ttl);
    return pttl === MISSING && node !== null && topology.cluster ? Math.min(ttl, limits.maxStaleness) : ttl;
  }
}

function bytesOf(request: Request): Buffer {
  const { chunk, offset, length } = request;
  return (chunk as { buf: Buffer }).buf.subarray(offset, offset + length);
}
