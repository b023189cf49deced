// The replicas of one primary that reads may be spread over, and which of them is fit for one now: it can be reached,
// answers in time, and is proven to be no older than `reads.maxLag`.

import { clock } from '../clock.ts';
import type { UpstreamNode } from './node.ts';
import { Offsets, type Replication } from './replication.ts';

/** `reads.maxLag` in milliseconds, 0 for any; may change at any time. */
export interface LagLimit {
  maxLag: number;
}

/** For how long a replica gets no reads after it refused one, in milliseconds. */
const REST = 1000;
/** And all replicas of a node whose slots have changed, as replicas hear of that late. */
const REST_MOVED = 5000;
const NEVER = Number.NEGATIVE_INFINITY;

export class Replica {
  /** The server in this role: its connections are for reads alone. It is another one as a primary. */
  readonly node: UpstreamNode;
  group: ReplicaGroup;
  /** On `clock.ms`: whatever the primary had done then, it has. */
  provenAt = NEVER;
  /** How often a connection to it was made. */
  lives = 0;
  /** In which of its lives it was asked what it has not answered yet. */
  askedIn = -1;
  /** Whether it has answered since its last connection was made. */
  #asked = false;
  #linkUp = false;
  #restUntil = NEVER;

  constructor(node: UpstreamNode, group: ReplicaGroup) {
    this.node = node;
    this.group = group;
  }

  /** A connection to it is new: it may have been started again, with older data, or it follows another primary. */
  renewed(): void {
    this.lives++;
    this.provenAt = NEVER;
    this.#asked = false;
  }

  said(replication: Replication): void {
    const { offsets } = this.group;
    // It has got data from elsewhere since.
    if (offsets.differsFrom(replication)) this.provenAt = NEVER;
    this.provenAt = Math.max(this.provenAt, offsets.coveredBy(replication));
    this.#linkUp = replication.role === 'replica' && replication.linkUp;
    this.#asked = true;
  }

  /** It does not say how far it is; whoever wants no bound takes it as it is. */
  keptSilent(): void {
    this.#linkUp = true;
    this.#asked = true;
  }

  rest(): void {
    this.#restUntil = clock.ms + REST;
  }

  /** Whether it may be read from. One without its primary may as long as nobody can reach that. */
  get fit(): boolean {
    const { limit, primary } = this.group;
    if (!this.#asked || this.#restUntil > clock.ms) return false;
    if (!this.#linkUp && !primary.circuit.open) return false;
    return limit.maxLag === 0 || clock.ms - this.provenAt < limit.maxLag;
  }

  /** Its load as that client's next request would meet it; NaN when it must not be sent there. */
  loadFor(space: number, clientId: number): number {
    if (!this.fit) return Number.NaN;
    const lane = this.node.lane(space, clientId);
    // Nobody waits for a connection to a replica: it is made for those who come next.
    if (lane.state === 'idle' && !lane.down) lane.connect();
    if (lane.state !== 'up' || lane.stalled || lane.congested) return Number.NaN;
    return lane.pending;
  }
}

export class ReplicaGroup {
  readonly primary: UpstreamNode;
  readonly limit: LagLimit;
  readonly offsets = new Offsets();
  members: readonly Replica[] = [];
  /** `clock.ms` of the last read that could have gone to one of them. */
  usedAt = NEVER;
  /** Whether a question to the primary is under way. */
  asking = false;
  #restUntil = NEVER;
  readonly #used: (group: ReplicaGroup) => void;

  /** `used` is told of the first read after a while without any. */
  constructor(primary: UpstreamNode, limit: LagLimit, used: (group: ReplicaGroup) => void) {
    this.primary = primary;
    this.limit = limit;
    this.#used = used;
  }

  /** Slots of the primary come or go. */
  rest(): void {
    this.#restUntil = clock.ms + REST_MOVED;
  }

  /** The one of two at random that has less to do; another one when neither is fit; null when none is. */
  pick(space: number, clientId: number): Replica | null {
    const { members } = this;
    const count = members.length;
    if (count === 0) return null;
    const idle = this.usedAt === NEVER;
    this.usedAt = clock.ms;
    if (idle) this.#used(this);
    if (this.#restUntil > clock.ms) return null;
    const first = (Math.random() * count) | 0;
    const one = members[first];
    const load = one.loadFor(space, clientId);
    if (count === 1) return load >= 0 ? one : null;
    const second = (first + 1 + ((Math.random() * (count - 1)) | 0)) % count;
    const otherLoad = members[second].loadFor(space, clientId);
    if (load >= 0 || otherLoad >= 0)
      return load <= otherLoad || Number.isNaN(otherLoad) ? one : members[second];
    return members.find((replica) => replica.loadFor(space, clientId) >= 0) ?? null;
  }
}
