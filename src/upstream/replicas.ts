// The replicas of all primaries, where a rule asks for them: who they are, and how far behind. While reads come for
// them, primary and replicas are asked for their offsets again and again.

import { clock } from '../clock.ts';
import { C, type Counters } from '../counters.ts';
import { encodeRequest } from '../resp3/encode.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import { Call } from './call.ts';
import type { Address } from './control.ts';
import type { Lane } from './lane.ts';
import { type LinkOptions, UpstreamNode } from './node.ts';
import { releaseBytes } from './outgoing.ts';
import { type LagLimit, Replica, ReplicaGroup } from './replica.ts';
import { parseReplication, type Replication } from './replication.ts';
import { spaceOf } from './space.ts';

export interface ReplicasOptions {
  /** As to the primaries. */
  readonly link: LinkOptions;
  /** Whether a connection must ask for old data: https://redis.io/docs/latest/commands/readonly/ */
  readonly cluster: boolean;
  readonly limit: LagLimit;
  /** Silence of one that owes answers, in milliseconds, after which it is asked whether it is alive; 0: never. */
  readonly replyTimeout: number;
  readonly counters: Counters;
  /** The topology may not be any more what it was. */
  readonly outdated: () => void;
  /** A server does not tell how far it is. */
  readonly refused: (node: UpstreamNode, words: string) => void;
}

/** Between two rounds of questions, in milliseconds, if the limit does not want more of them. */
const INTERVAL = 500;
const SHORTEST = 50;
/** Without reads for so many milliseconds nothing is asked any more. */
const USED_FOR = 10_000;
const READONLY = encodeRequest(['READONLY']);
const INFO = encodeRequest(['INFO', 'replication']);

export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #groups = new Map<UpstreamNode, ReplicaGroup>();
  /** By address. */
  readonly #replicas = new Map<string, Replica>();
  /** Those that nobody is sent to any more, until they are closed. */
  readonly #leaving = new Set<UpstreamNode>();
  /** Servers that do not tell: said once of each. */
  readonly #mute = new Set<string>();
  readonly #link: LinkOptions;
  #timer: NodeJS.Timeout;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    const handshake = options.cluster ? [READONLY] : [];
    const opened = (node: UpstreamNode) => this.#opened(node);
    this.#link = { ...options.link, lost: () => {}, replica: { handshake, opened } };
    this.#timer = this.#later();
  }

  get all(): readonly Replica[] {
    return [...this.#replicas.values()];
  }

  /** The replica of that address, if one is known. */
  known({ host, port }: Address): Replica | null {
    return this.#replicas.get(nameOf(host, port)) ?? null;
  }

  /** Takes a whole new list; an address may stand there twice. Who left it answers what is under way, no more. */
  set(lists: ReadonlyMap<UpstreamNode, readonly Address[]>): void {
    for (const [primary, group] of this.#groups) {
      if (lists.has(primary)) continue;
      group.members = [];
      primary.replicas = null;
      this.#groups.delete(primary);
    }
    const gone = new Map(this.#replicas);
    for (const [primary, addresses] of lists) {
      const group = this.#groupOf(primary);
      group.members = [...new Set(addresses.map((address) => this.#replica(address, group)))];
      for (const { node } of group.members) gone.delete(node.address);
    }
    for (const [address, { node }] of gone) {
      this.#replicas.delete(address);
      this.#leaving.add(node);
      setTimeout(() => this.#leave(node), this.#link.connectTimeout).unref();
    }
  }

  /** A slot of that primary is half moved, which its replicas do not know: they miss what has gone already. */
  rest({ host, port }: Address): void {
    for (const [primary, group] of this.#groups)
      if (primary.host === host && primary.port === port) group.rest();
  }

  /** Closes what was opened for a space that nobody uses any more. */
  forget(space: number): void {
    for (const { node } of this.#replicas.values()) node.forget(space);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const { node } of this.#replicas.values()) node.close();
    for (const node of this.#leaving) node.close();
  }

  #leave(node: UpstreamNode): void {
    this.#leaving.delete(node);
    node.close('it is no replica any more');
  }

  #groupOf(primary: UpstreamNode): ReplicaGroup {
    const known = this.#groups.get(primary);
    if (known !== undefined) return known;
    const group = new ReplicaGroup(primary, this.#options.limit, () => this.#ask(group));
    this.#groups.set(primary, group);
    primary.replicas = group;
    return group;
  }

  #replica({ host, port }: Address, group: ReplicaGroup): Replica {
    const name = nameOf(host, port);
    const known = this.#replicas.get(name);
    if (known !== undefined) {
      if (known.group !== group) known.renewed();
      known.group = group;
      return known;
    }
    const node = new UpstreamNode(host, port, this.#link, () => this.#replicas.get(name)?.node === node);
    const replica = new Replica(node, group);
    this.#replicas.set(name, replica);
    return replica;
  }

  #later(): NodeJS.Timeout {
    const { maxLag } = this.#options.limit;
    const wait = maxLag === 0 ? INTERVAL : Math.min(INTERVAL, Math.max(SHORTEST, maxLag / 4));
    return setTimeout(() => {
      this.#round();
      this.#timer = this.#later();
    }, wait).unref();
  }

  #round(): void {
    const now = clock.tick();
    const { replyTimeout } = this.#options;
    for (const group of this.#groups.values()) {
      if (now - group.usedAt < USED_FOR) this.#ask(group);
      else group.usedAt = Number.NEGATIVE_INFINITY;
    }
    if (replyTimeout > 0) for (const { node } of this.#replicas.values()) node.watch(replyTimeout);
  }

  /** First the primary: a replica that has what the primary had then is as old as that at the most. */
  #ask(group: ReplicaGroup): void {
    const askMembers = () => {
      for (const replica of group.members) this.#askReplica(replica);
    };
    for (const { node } of group.members) {
      const lane = this.#lane(node);
      if (lane.state === 'idle' && !lane.down) lane.connect();
    }
    if (group.asking) {
      askMembers();
      return;
    }
    group.asking = true;
    const at = clock.tick();
    this.#question(group.primary, (said) => {
      group.asking = false;
      if (said !== null) group.offsets.add(at, said);
      if (said?.role === 'replica') this.#options.outdated();
      askMembers();
    });
  }

  #askReplica(replica: Replica): void {
    const { lives } = replica;
    if (replica.askedIn === lives || this.#lane(replica.node).state !== 'up') return;
    replica.askedIn = lives;
    this.#question(replica.node, (said) => {
      // An answer over a connection of before proves nothing.
      if (replica.lives !== lives) return;
      replica.askedIn = -1;
      if (said !== null) replica.said(said);
      else if (this.#mute.has(replica.node.address)) replica.keptSilent();
      if (said?.role === 'master') this.#options.outdated();
    });
  }

  /** Nothing is proven for who comes over a new connection. */
  #opened(node: UpstreamNode): void {
    const replica = this.#replicas.get(node.address);
    if (replica?.node !== node) return;
    replica.renewed();
    if (!replica.group.asking) this.#ask(replica.group);
  }

  /** Calls back with what the node says of its replication; null when it says nothing. */
  #question(node: UpstreamNode, told: (said: Replication | null) => void): void {
    const { counters, refused } = this.#options;
    counters[C.sentProbe]++;
    const call = new Call({
      replied: (_, buf, start, end) => {
        releaseBytes(call);
        const text = buf.toString('latin1', start, end);
        if (buf[start] !== TYPE.error) {
          told(parseReplication(text));
          return;
        }
        if (!this.#mute.has(node.address)) refused(node, text.slice(1, -2));
        this.#mute.add(node.address);
        told(null);
      },
      failed() {
        releaseBytes(call);
        told(null);
      },
    });
    const lane = this.#lane(node);
    lane.send(call, INFO, 0, INFO.length);
    lane.seal();
  }

  /** That of heatsink's own user. */
  #lane(node: UpstreamNode): Lane {
    return node.lane(spaceOf(2, this.#link.db), 0);
  }
}

function nameOf(host: string, port: number): string {
  return `${host}:${port}`;
}
