// Which large requests are passed on as they come: writes of one key, which stands before the value, of clients that
// need no closer look. All others are gathered.

import type { Command } from '../commands/command.ts';
import { C } from '../counters.ts';
import { hashBytes } from '../resp3/hash.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { Topology } from '../upstream/topology.ts';
import { FORWARD, HOLD } from './outcome.ts';
import type { Session } from './session.ts';
import { Upload, type UploadParts } from './upload.ts';

export class Uploads {
  readonly #on: UploadParts & { readonly topology: Topology };

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
    const key = start + args[fixedKey * 2];
    const keyEnd = start + args[fixedKey * 2 + 1];
    const node = topology.ownerOf(buf, key, keyEnd);
    if (node === null) return FORWARD;
    session.lastCommand = command;
    session.generation = topology.generation;
    counters[C.forwarded]++;
    counters[C.sentWrite]++;
    counters[C.largeWrites]++;
    const pins = session.pin();
    return new Upload(this.#on, session, pins, pins.need(node), hashBytes(view, key, keyEnd));
  }
}
