// The masters that may have copies, and for how long one that would not is left alone.

import { clock } from '../clock.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { spaceOf } from '../upstream/space.ts';
import type { Topology } from '../upstream/topology.ts';
import type { Copy } from './key-copies.ts';

export interface PlacesOptions {
  readonly topology: Topology;
  readonly refused: (node: UpstreamNode, words: string) => void;
  readonly misrouted: () => void;
}

/** Heatsink's own connections: RESP3, the one database of a cluster. */
export const OWN_SPACE = spaceOf(3, 0);
/** Until a node that would not take a copy is asked again, in milliseconds. */
const LEFT_ALONE = 2000;
/** The same for one that only no longer owns the slot, which the next map will show. */
const MISROUTED = 100;

export class Places {
  readonly #on: PlacesOptions;
  readonly #until = new WeakMap<UpstreamNode, number>();
  readonly #said = new WeakMap<UpstreamNode, string>();

  constructor(options: PlacesOptions) {
    this.#on = options;
  }

  /** The masters that may be given a copy now of a key of `owner`. */
  open(owner: UpstreamNode | null): UpstreamNode[] {
    return this.#on.topology.nodes.filter((node) => {
      const lane = node.lane(OWN_SPACE, 0);
      const alone = (this.#until.get(node) ?? 0) > clock.ms;
      return node !== owner && !alone && !lane.down && !lane.congested && !node.circuit.open;
    });
  }

  /** Whether that copy, on that node, may be asked now. */
  usable(node: UpstreamNode, copy: Copy): boolean {
    return copy.until > clock.ms && !node.circuit.open;
  }

  /** That node has not taken, or not kept, a copy: null when it said nothing. */
  failed(node: UpstreamNode, reply: Buffer | null): void {
    const words = reply === null ? '' : reply.toString('latin1', 1, Math.max(1, reply.length - 2));
    const misrouted = words.startsWith('MOVED ') || words.startsWith('ASK ');
    this.#until.set(node, clock.ms + (misrouted ? MISROUTED : LEFT_ALONE));
    if (misrouted) this.#on.misrouted();
    else if (words !== '' && this.#said.get(node) !== words) {
      this.#said.set(node, words);
      this.#on.refused(node, words);
    }
  }
}
