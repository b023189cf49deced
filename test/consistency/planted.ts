// Loaded into a heatsink ahead of its own code (node --import): takes one of its guards away, named by PLANTED_BUG,
// in every thread. The checker must notice each.

import { Flight } from '../../src/cache/flights.ts';
import { Tier } from '../../src/cache/tier.ts';
import { Versions } from '../../src/cache/versions.ts';
import { clock } from '../../src/clock.ts';
import { FanOut } from '../../src/fanout/fan-out.ts';
import { Fills } from '../../src/proxy/reads/fills.ts';

export const PLANTED = {
  /** A hit does not look whether the version of its key is still the one of the entry. */
  'version check on hit'() {
    Tier.prototype.valid = (entry, now) => now < entry.deadline && now < entry.proof.until;
  },

  /** A fill is published though its key was written since it was sent. */
  'poison of a fill in flight'() {
    let versions: Versions | null = null;
    const { of } = Versions.prototype;
    Versions.prototype.of = function (keyHash) {
      versions = this;
      return of.call(this, keyHash);
    };
    const { publish } = Fills.prototype;
    Fills.prototype.publish = function (request, fill, buf, start, end) {
      const version = versions?.of(request.keyHash) ?? fill.version;
      const epoch = versions?.epoch() ?? fill.epoch;
      publish.call(this, request, { ...fill, version, epoch }, buf, start, end);
    };
  },

  /** The version goes up when a write is sent, but not when it has ended. */
  'second bump'() {
    const { writeEnded } = Versions.prototype;
    Versions.prototype.writeEnded = function (keyHash) {
      const { add } = Atomics;
      Atomics.add = (() => 0) as unknown as typeof add;
      writeEnded.call(this, keyHash);
      Atomics.add = add;
    };
  },

  /** A read joins one that has left already. */
  'join rule'() {
    Object.defineProperty(Flight.prototype, 'sent', { get: () => false });
  },

  /** A copy is asked, and believed, though its key was written since it was made. */
  'version check on copies'() {
    FanOut.prototype.holds = ({ endsAt, proof }) => clock.ms < endsAt && clock.ms < proof.until;
  },

  /** An entry outlives its key's time to live. */
  'PTTL bound'() {
    const { publish } = Fills.prototype;
    Fills.prototype.publish = function (request, fill, buf, start, end) {
      publish.call(this, request, { ...fill, pttl: -1 }, buf, start, end);
    };
  },
};

export type PlantedBug = keyof typeof PLANTED;
/** Those that show themselves in front of one server. */
export type PlantedInOne = Exclude<PlantedBug, 'version check on copies'>;

const bug = process.env.PLANTED_BUG;
if (bug !== undefined) PLANTED[bug as PlantedBug]();
