// Which node owns a key. A standalone server is a topology of one node; a cluster maps 16,384 slots to nodes.

import type { Address } from './control.ts';
import { type LinkOptions, UpstreamNode } from './node.ts';
import type { Replicas } from './replicas.ts';
import { SLOTS, slotOf } from './slot.ts';
import { forgetSpaces, type Identity } from './space.ts';

const NOBODY = 0xffff;
/** Why the calls fail that another node took over from theirs: unsent ones, and reads, may go there instead. */
export const REPLACED = 'another node is the master now';

/** Consecutive slots `[first, last]`, the `host:port` of the primary that owns them, and its replicas. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly host: string;
  readonly port: number;
  readonly replicas?: readonly Address[];
}

export class Topology {
  readonly cluster: boolean;
  /** Of those nodes; null when no rule asks for them. */
  replicas: Replicas | null = null;
  /** Primaries that own slots, or the one server. */
  nodes: UpstreamNode[] = [];
  /** Goes up with every change of an owner: what was decided under an older one may be wrong. */
  generation = 0;
  /** Slots that have a new owner, after the map has changed; to be set once by who must know. */
  onMoved: (slots: (slot: number) => boolean) => void = () => {};
  /** A node owns slots from now on, and did not before. */
  onNode: (node: UpstreamNode) => void = () => {};

  readonly #link: LinkOptions;
  #owners: Uint16Array<ArrayBuffer> = new Uint16Array(SLOTS).fill(NOBODY);
  /** Every node met so far, by address; an index in `#owners` is a place in here. */
  readonly #met: UpstreamNode[] = [];

  constructor(cluster: boolean, link: LinkOptions) {
    this.cluster = cluster;
    this.#link = link;
  }

  /** The primary of the key `buf[start, end)`; null for a slot that nobody serves. */
  ownerOf(buf: Uint8Array, start: number, end: number): UpstreamNode | null {
    if (!this.cluster) return this.nodes[0];
    return this.#met[this.#owners[slotOf(buf, start, end)]] ?? null;
  }

  slotOwner(slot: number): UpstreamNode | null {
    return this.cluster ? (this.#met[this.#owners[slot]] ?? null) : this.nodes[0];
  }

  /** The node for what any can answer: always the same for a client, while there is a connection to it. */
  usual(clientId: number): UpstreamNode {
    const { nodes } = this;
    const first = clientId % nodes.length;
    return [...nodes.slice(first), ...nodes].find((node) => node.connected) ?? nodes[first];
  }

  /** Every node that may have connections. */
  get known(): readonly UpstreamNode[] {
    return this.#met;
  }

  /** The node of that address, met now if it is new. */
  at(host: string, port: number): UpstreamNode {
    const known = this.#met.find((node) => node.host === host && node.port === port);
    if (known !== undefined) return known;
    const node = new UpstreamNode(host, port, this.#link, (own) => this.nodes.includes(own));
    this.#met.push(node);
    return node;
  }

  /** The only node of a standalone topology. Another one than before takes over from it at once. */
  setOnly(host: string, port: number): void {
    const [before] = this.nodes;
    const node = this.at(host, port);
    if (node === before) return;
    this.nodes = [node];
    this.generation++;
    this.onNode(node);
    if (before === undefined) return;
    this.onMoved(() => true);
    // It may come back under its address, as another node.
    this.#met.splice(this.#met.indexOf(before), 1);
    before.close(REPLACED);
  }

  /** Takes a whole new map; slots that no range names belong to nobody. */
  setRanges(ranges: readonly SlotRange[]): void {
    const owners = new Uint16Array(SLOTS).fill(NOBODY);
    for (const { first, last, host, port } of ranges) {
      owners.fill(this.#met.indexOf(this.at(host, port)), first, last + 1);
    }
    const old = this.#owners;
    this.#change(owners, (slot) => old[slot] !== owners[slot]);
    if (this.replicas === null) return;
    const known = ranges.map(({ host, port, replicas = [] }) => [this.at(host, port), replicas] as const);
    this.replicas.set(new Map(known));
  }

  /** A node said MOVED. */
  setOwner(slot: number, host: string, port: number): void {
    const owner = this.#met.indexOf(this.at(host, port));
    if (this.#owners[slot] === owner) return;
    const owners = Uint16Array.from(this.#owners);
    owners[slot] = owner;
    this.#change(owners, (other) => other === slot);
  }

  /** Closes what was opened for a user that nobody is any more. */
  forget(identity: Identity): void {
    for (const space of forgetSpaces(identity)) {
      for (const node of this.#met) node.forget(space);
      this.replicas?.forget(space);
    }
  }

  close(): void {
    this.replicas?.close();
    for (const node of this.#met) node.close();
  }

  #change(owners: Uint16Array<ArrayBuffer>, moved: (slot: number) => boolean): void {
    const first = this.generation === 0;
    let changed = false;
    for (let slot = 0; slot < SLOTS && !changed; slot++) changed = moved(slot);
    if (!changed) return;
    if (this.replicas !== null) this.#restReplicas(owners, moved);
    this.#owners = owners;
    this.generation++;
    const owning = new Set(owners);
    const before = this.nodes;
    this.nodes = this.#met.filter((_, index) => owning.has(index));
    for (const node of this.nodes) if (!before.includes(node)) this.onNode(node);
    if (!first) this.onMoved(moved);
    for (const node of before) if (!this.nodes.includes(node)) this.#dismiss(node);
  }

  /** Replicas hear late of slots that move: until then they miss keys that are there. */
  #restReplicas(owners: Uint16Array<ArrayBuffer>, moved: (slot: number) => boolean): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (!moved(slot)) continue;
      this.#met[this.#owners[slot]]?.replicas?.rest();
      this.#met[owners[slot]]?.replicas?.rest();
    }
  }

  /** A primary that owns nothing any more vouches for nothing; and if it is gone, its calls must not wait for it. */
  #dismiss(node: UpstreamNode): void {
    node.untrack();
    setTimeout(() => {
      if (!this.nodes.includes(node)) node.abandon('the node owns no slot any more');
    }, this.#link.connectTimeout).unref();
  }
}
