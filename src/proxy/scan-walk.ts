// SCAN from shard to shard; see commands/scan.ts for the cursor.

import { argumentText } from '../commands/argument.ts';
import type { Command } from '../commands/command.ts';
import {
  cursorOf,
  joinCursor,
  readCursor,
  replyWith,
  type ScanPosition,
  scanWith,
} from '../commands/scan.ts';
import { errorReply } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { type FirstSlot, firstSlots } from '../upstream/first-slots.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import type { Topology } from '../upstream/topology.ts';
import { type Gather, partTo } from './gather.ts';
import { FORWARD, type Outcome } from './outcome.ts';
import type { Session } from './session.ts';

const CURSOR_TOO_LARGE = errorReply(
  'ERR heatsink: the cursor of the shard does not fit into a cursor for all shards',
);

export class ScanWalk {
  readonly #topology: Topology;
  readonly #gather: Gather;
  readonly #masters: () => readonly FirstSlot[];

  constructor(topology: Topology, gather: Gather) {
    this.#topology = topology;
    this.#gather = gather;
    this.#masters = firstSlots(topology);
  }

  serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    const at = readCursor(argumentText(frame, 1));
    const turn = at === null ? null : this.#turnOf(at);
    // Any node says what is wrong with the cursor, or that the cluster has no slots.
    if (turn === null) return FORWARD;
    const { node, slot, cursor } = turn;
    return this.#gather.send(session, command, [partTo(node, scanWith(frame, cursor))], ([reply]) => {
      const found = cursorOf(reply);
      if (found === null) return reply;
      const next = found.cursor === 0n ? this.#after(slot) : joinCursor({ slot, cursor: found.cursor });
      return next === null ? CURSOR_TOO_LARGE : replyWith(reply, next, found.rest);
    });
  }

  /** Whose turn it is at that position. A slot that nobody owns any more leaves its turn to the next master. */
  #turnOf({ slot, cursor }: ScanPosition): (ScanPosition & { node: UpstreamNode }) | null {
    const node = this.#topology.slotOwner(slot);
    if (node !== null) return { node, slot, cursor };
    const next = this.#masters().find((master) => master.slot >= slot);
    return next === undefined ? null : { ...next, cursor: 0n };
  }

  /**
   * The client's cursor when the turn of that slot has ended: the beginning of the next one's, or 0. It goes by the
   * slot and not by the master, so that it only ever goes up, and a walk ends however the slots move meanwhile.
   */
  #after(slot: number): bigint {
    return BigInt(this.#masters().find((master) => master.slot > slot)?.slot ?? 0);
  }
}
