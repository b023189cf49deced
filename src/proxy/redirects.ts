// MOVED, ASK and TRYAGAIN are followed here and never shown to a client.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#moved-redirection

import { C, type Counters } from '../counters.ts';
import { encodeRequest } from '../resp3/encode.ts';
import { Call, type Carrier } from '../upstream/call.ts';
import type { Discovery } from '../upstream/discover.ts';
import { releaseBytes } from '../upstream/outgoing.ts';
import type { Topology } from '../upstream/topology.ts';

/** A call that is sent round more often than this gets the server's word as it is. */
const MOST_HOPS = 16;
/** While a slot is half moved, a command of several keys has to wait: that many times, that many milliseconds. */
const TRYAGAIN_HOPS = 200;
const TRYAGAIN_PAUSE = 10;

const ASKING = encodeRequest(['ASKING']);
const IGNORED = {
  replied: (call: Call) => releaseBytes(call),
  failed: (call: Call) => releaseBytes(call),
};

export interface RedirectOptions {
  readonly topology: Topology;
  readonly discovery: Discovery;
  readonly counters: Counters;
}

export class Redirects {
  readonly #options: RedirectOptions;

  constructor(options: RedirectOptions) {
    this.#options = options;
  }

  /**
   * Whether the error reply `buf[start, end)` was a redirection and the call is on its way again, on a lane of
   * that space and client.
   */
  follow(call: Call, buf: Buffer, start: number, end: number, space: number, clientId: number): boolean {
    if (!this.#options.topology.cluster) return false;
    const initial = buf[start + 1];
    // M, A, T: any other error is the client's.
    if (initial !== 0x4d && initial !== 0x41 && initial !== 0x54) return false;
    const [word, slot, address] = buf.toString('latin1', start + 1, end - 2).split(' ');
    const { counters, topology, discovery } = this.#options;
    if (word === 'TRYAGAIN') {
      if (call.waits >= TRYAGAIN_HOPS) return false;
      counters[C.tryAgain]++;
      const lane = call.lane as Carrier;
      call.waits++;
      setTimeout(() => resend(lane, call), TRYAGAIN_PAUSE);
      return true;
    }
    if ((word !== 'MOVED' && word !== 'ASK') || address === undefined || call.repeats >= MOST_HOPS)
      return false;
    const colon = address.lastIndexOf(':');
    const from = (call.lane as Carrier).options;
    const host = address.slice(0, colon) || from.host;
    const port = Number(address.slice(colon + 1));
    call.repeats++;
    const lane = topology.at(host, port).lane(space, clientId);
    if (word === 'MOVED') {
      counters[C.moved]++;
      topology.setOwner(Number(slot), host, port);
      discovery.refreshSoon();
    } else {
      counters[C.asked]++;
    }
    call.asking = word === 'ASK';
    resend(lane, call);
    return true;
  }
}

function resend(lane: Carrier, call: Call): void {
  if (call.asking) {
    // On the same lane and right before: it holds for the next command alone.
    lane.send(new Call(IGNORED), ASKING, 0, ASKING.length);
    lane.seal();
  }
  lane.resend(call);
}
