// Which large requests are passed on as they come: writes of one key, which stands before the value, of clients that
// need no closer look. All others are gathered.

import type { Command } from '../../commands/command.ts';
import { C } from '../../counters.ts';
import { encodeRequest } from '../../resp3/encode.ts';
import { hashBytes } from '../../resp3/hash.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import { sendQuietly } from '../../upstream/quiet.ts';
import type { Topology } from '../../upstream/topology.ts';
import { ask } from '../client-calls.ts';
import { FORWARD, HOLD } from '../outcome.ts';
import { ASKING, MOST_HOPS } from '../redirects.ts';
import type { Session } from '../session.ts';
import { type Place, Upload, type UploadParts } from './upload.ts';

export class Uploads {
  readonly #on: UploadParts & { readonly topology: Topology };
  /** Of clients whose request is about to begin: its key, and its place once that is found. */
  readonly #found = new WeakMap<Session, { readonly key: Buffer; place: Place | null }>();

  constructor(parts: UploadParts & { readonly topology: Topology }) {
    this.#on = parts;
  }

  /** Begins with a request of which the frame has found some arguments; see `Servant.upload`. */
  begin(session: Session, frame: RequestFrame, command: Command): Upload | typeof HOLD | typeof FORWARD {
    const { plain, isWrite, fixedKey } = command;
    if (session.restricted || session.tunnel !== null) return FORWARD;
    if (!plain || !isWrite || fixedKey === 0 || frame.found <= fixedKey) return FORWARD;
    if (session.pending > 0) return HOLD;
    const { topology, counters } = this.#on;
    const { buf, view, start, args } = frame;
    const keyStart = start + args[fixedKey * 2];
    const keyEnd = start + args[fixedKey * 2 + 1];
    const node = topology.ownerOf(buf, keyStart, keyEnd);
    if (node === null) return FORWARD;
    const place = topology.cluster
      ? this.#placeOf(session, Buffer.from(buf.subarray(keyStart, keyEnd)), node)
      : { node, asking: false };
    if (place === null) return HOLD;
    // Without a connection of its own it is gathered, as the others are.
    if (!session.reserve([place.node])) return FORWARD;
    session.lastCommand = command;
    session.generation = topology.generation;
    counters[C.forwarded]++;
    counters[C.sentWrite]++;
    counters[C.largeWrites]++;
    return new Upload(this.#on, session, place, hashBytes(view, keyStart, keyEnd));
  }

  /** Where the key is by now, as the request cannot be sent twice; null when the session must wait for it. */
  #placeOf(session: Session, key: Buffer, node: Place['node']): Place | null {
    const known = this.#found.get(session);
    if (known?.key.equals(key)) {
      if (known.place !== null) this.#found.delete(session);
      return known.place;
    }
    const found: { key: Buffer; place: Place | null } = { key, place: null };
    this.#found.set(session, found);
    this.#find(session, encodeRequest(['EXISTS', key]), node).then((place) => {
      found.place = place;
      session.release();
    });
    return null;
  }

  async #find(session: Session, question: Buffer, owner: Place['node']): Promise<Place> {
    const { redirects } = this.#on;
    let place: Place = { node: owner, asking: false };
    for (let hops = 0; hops < MOST_HOPS; hops++) {
      const lane = place.node.lane(session.space, session.id);
      if (place.asking) sendQuietly(lane, ASKING);
      const reply = await ask(lane, question);
      const where = redirects.read(reply, 0, reply.length);
      if (where === null || where.word === 'TRYAGAIN') break;
      place = { node: redirects.target(where, lane), asking: where.word === 'ASK' };
    }
    return place;
  }
}
