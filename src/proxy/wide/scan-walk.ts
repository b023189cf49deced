// SCAN from master to master; see commands/scan.ts for the cursor. Keys whose slots stay where they are come at least
// once, whatever moves around them: when another master has come before the one whose turn it is, or its slots have a
// new owner, the walk goes on with all masters that own slots from about there up. Keys of a slot that moves during
// the walk may be missed, as by any client that walks over the nodes of a cluster.

import { argumentText } from '../../commands/argument.ts';
import type { Command } from '../../commands/command.ts';
import {
  cursorOf,
  FROM_STEP,
  joinCursor,
  readCursor,
  replyWith,
  scanWith,
  splitCursor,
} from '../../commands/scan.ts';
import type { HiddenCopies } from '../../fanout/hidden.ts';
import { errorReply } from '../../resp3/encode.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Topology } from '../../upstream/topology.ts';
import { type MasterTurn, masterTurns } from '../../upstream/turns.ts';
import { FORWARD, type Outcome } from '../outcome.ts';
import type { Session } from '../session.ts';
import { type Gather, partTo } from './gather.ts';

/** A master's turn, and the one after it. */
interface Turn {
  readonly now: MasterTurn;
  readonly next: MasterTurn | null;
  readonly from: number;
  readonly cursor: bigint;
}

const CURSOR_TOO_LARGE = errorReply(
  'ERR heatsink: the cursor of the shard does not fit into a cursor for all shards',
);

export class ScanWalk {
  readonly #turns: (from: number) => readonly MasterTurn[];
  readonly #gather: Gather;
  readonly #hidden: HiddenCopies | null;

  constructor(topology: Topology, gather: Gather, hidden: HiddenCopies | null) {
    this.#turns = masterTurns(topology);
    this.#gather = gather;
    this.#hidden = hidden;
  }

  serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    const value = readCursor(argumentText(frame, 1));
    const turn = value === null ? null : this.#turnAt(value);
    // Any node says what is wrong with the cursor, or that the cluster has no slots.
    if (turn === null) return FORWARD;
    const { now, cursor } = turn;
    return this.#gather.send(session, command, [partTo(now.node, scanWith(frame, cursor))], ([said]) => {
      const reply = this.#hidden?.scanned(said) ?? said;
      const found = cursorOf(reply);
      if (found === null) return reply;
      const carriedOn = after(turn, found.cursor);
      return carriedOn === null ? CURSOR_TOO_LARGE : replyWith(reply, carriedOn, found.rest);
    });
  }

  #turnAt(value: bigint): Turn | null {
    const { slot, tag, from, cursor } = splitCursor(value);
    const turns = this.#turns(from * FROM_STEP);
    const index = turns.findIndex((turn) => turn.slot === slot && (turn.tag === tag || value === 0n));
    if (index >= 0) return { now: turns[index], next: turns[index + 1] ?? null, from, cursor };
    const again = Math.floor(slot / FROM_STEP);
    const [now, next = null] = this.#turns(again * FROM_STEP);
    if (now !== undefined) return { now, next, from: again, cursor: 0n };
    return value === 0n ? null : this.#turnAt(0n);
  }
}

/** The client's cursor behind a node's; 0 at the end of the walk, null when there is no such. */
function after({ now, next, from }: Turn, cursor: bigint): bigint | null {
  if (cursor !== 0n) return joinCursor({ ...now, from, cursor });
  return next === null ? 0n : joinCursor({ ...next, from, cursor: 0n });
}
