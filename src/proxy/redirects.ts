// Followed here and never shown to a client: MOVED, ASK, TRYAGAIN, the NOSCRIPT of a known script, and a node that
// knows no owner of a slot which has one.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#moved-redirection

import { C, type Counters } from '../counters.ts';
import { encodeRequest } from '../resp3/encode.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import type { Call, Carrier } from '../upstream/call.ts';
import type { Discovery } from '../upstream/discover.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { sendQuietly } from '../upstream/quiet.ts';
import type { Topology } from '../upstream/topology.ts';
import type { Scripts } from './wide/scripts.ts';

/** A call that is sent round more often than this gets the server's word as it is. */
export const MOST_HOPS = 16;
/** While a slot is half moved, a command of several keys has to wait: that many times, that many milliseconds. */
export const TRYAGAIN_HOPS = 200;
export const TRYAGAIN_PAUSE = 10;

/** Redis Cluster's words for a slot without owner. */
export const UNSERVED = 'CLUSTERDOWN Hash slot not served';
/** How a server that becomes a replica ends commands that wait, and their connections after it. */
const DEMOTED = 'UNBLOCKED force unblock';
/** Of MOVED, ASK, TRYAGAIN, CLUSTERDOWN and UNBLOCKED: any other error is the client's. */
const INITIALS = Buffer.from('MATCU');
export const ASKING = encodeRequest(['ASKING']);
/** Its initial. */
const NOSCRIPT = 0x4e;

export interface Redirection {
  /** CLUSTERDOWN: that node knows nobody who serves the slot, which another may. */
  readonly word: 'MOVED' | 'ASK' | 'TRYAGAIN' | 'CLUSTERDOWN';
  readonly slot: number;
  /** Empty for the host that said it. */
  readonly host: string;
  readonly port: number;
}

export interface RedirectOptions {
  readonly topology: Topology;
  readonly discovery: Discovery;
  readonly counters: Counters;
  readonly scripts: Scripts;
}

export class Redirects {
  readonly #options: RedirectOptions;

  constructor(options: RedirectOptions) {
    this.#options = options;
  }

  /** What the reply `buf[start, end)` says about where to ask instead; null for any other reply. */
  read(buf: Buffer, start: number, end: number): Redirection | null {
    if (buf[start] !== TYPE.error) return null;
    if (!this.#options.topology.cluster) {
      // A master that was demoted: sentinels know which one is the master now.
      if (buf.toString('latin1', start + 1, start + 10) === 'READONLY ')
        this.#options.discovery.refreshSoon();
      return null;
    }
    const initial = buf[start + 1];
    if (!INITIALS.includes(initial)) return null;
    const words = buf.toString('latin1', start + 1, end - 2);
    if (words === UNSERVED || words.startsWith(DEMOTED))
      return { word: 'CLUSTERDOWN', slot: -1, host: '', port: 0 };
    const [word, slot, address = ''] = words.split(' ');
    if (word === 'TRYAGAIN') return { word, slot: -1, host: '', port: 0 };
    if ((word !== 'MOVED' && word !== 'ASK') || address === '') return null;
    const colon = address.lastIndexOf(':');
    return {
      word,
      slot: Number(slot),
      host: address.slice(0, colon),
      port: Number(address.slice(colon + 1)),
    };
  }

  /**
   * The node that a MOVED or ASK from `from` names; a MOVED changes the map as well. For a node that has left the
   * cluster, or is new in it, and knows no better, another one, which does or will say the same.
   */
  target({ word, slot, host, port }: Redirection, from: Carrier): UpstreamNode {
    const { counters, topology, discovery } = this.#options;
    if (word === 'CLUSTERDOWN') {
      discovery.refreshSoon();
      const asked = topology.at(from.options.host, from.options.port);
      return topology.nodes.find((node) => node !== asked) ?? asked;
    }
    const at = host || from.options.host;
    if (word === 'MOVED') {
      counters[C.moved]++;
      topology.setOwner(slot, at, port);
      discovery.refreshSoon();
    } else {
      counters[C.asked]++;
      topology.replicas?.rest(from.options);
    }
    return topology.at(at, port);
  }

  /**
   * Whether the error reply `buf[start, end)` was a redirection and the call is on its way again, on the lane that
   * `laneTo` gives for its new node.
   */
  follow(
    call: Call,
    buf: Buffer,
    start: number,
    end: number,
    laneTo: (node: UpstreamNode) => Carrier,
  ): boolean {
    const where = this.read(buf, start, end);
    const from = call.lane as Carrier;
    if (isDemotion(buf, start)) from.ending = true;
    if (where === null) {
      if (buf[start + 1] !== NOSCRIPT || call.repeats >= MOST_HOPS) return false;
      if (!this.#options.scripts.reload(call, buf, start)) return false;
      call.repeats++;
      resend(from, call);
      return true;
    }
    if (where.word === 'TRYAGAIN') {
      if (call.waits >= TRYAGAIN_HOPS) return false;
      this.#options.counters[C.tryAgain]++;
      call.waits++;
      setTimeout(() => resend(from, call), TRYAGAIN_PAUSE);
      return true;
    }
    if (call.repeats >= MOST_HOPS || (where.word === 'CLUSTERDOWN' && call.strayed)) return false;
    call.strayed ||= where.word === 'CLUSTERDOWN';
    call.repeats++;
    const lane = laneTo(this.target(where, from));
    call.asking = where.word === 'ASK';
    resend(lane, call);
    return true;
  }
}

function isDemotion(buf: Buffer, start: number): boolean {
  return buf.toString('latin1', start + 1, start + 1 + DEMOTED.length) === DEMOTED;
}

/** Sends a call that has its bytes already, to where it was asked to go. */
export function resend(lane: Carrier, call: Call): void {
  // On the same lane and right before: it holds for the next command alone.
  if (call.asking) sendQuietly(lane, ASKING);
  lane.resend(call);
}
