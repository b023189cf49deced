// What may go on behind reads that wait for a lease, on one connection, where replies keep their order. Whoever
// rebuilds the key may be behind them: then the write that they wait for overtakes them, and anything else that the
// holder may need for it ends their wait, as its reply would else be stuck behind theirs.

import type { Command } from '../../commands/command.ts';
import { findKeys, KeyPositions } from '../../commands/keys.ts';
import { readsWhole } from '../../commands/whole-reads.ts';
import { hashBytes } from '../../resp3/hash.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import { databaseOf } from '../../upstream/space.ts';
import type { Topology } from '../../upstream/topology.ts';
import type { Session } from '../session.ts';
import type { LeaseWaits } from './lease-waits.ts';

export class LeaseOrder {
  readonly #waits: LeaseWaits;
  readonly #topology: Topology;
  readonly #keys = new KeyPositions();

  constructor(waits: LeaseWaits, topology: Topology) {
    this.#waits = waits;
    this.#topology = topology;
  }

  /** Whether the request in `frame` may be served now, though reads before it wait; `command`: null if unknown. */
  admits(session: Session, frame: RequestFrame, command: Command | null): boolean {
    const [holds, waits] = command?.plain ? this.#involves(session, frame, command) : NEITHER;
    // It is one of those whose answer they wait for, or waits as they do.
    if (command?.isWrite && this.#keys.count === 1 && (holds || waits)) return true;
    if (command !== null && this.#waitsToo(session, frame, command, holds, waits)) return true;
    if (this.#waits.heldBy(session).length > 0 || session.generation !== this.#topology.generation) {
      this.#waits.end(session);
      return true;
    }
    return command?.plain === true && command.isRead && !waits;
  }

  /** A request that is passed on as it comes is about to begin; it waits for all that is before it. */
  beforeUpload(session: Session): void {
    if (this.#waits.heldBy(session).length > 0) this.#waits.end(session);
  }

  /** Whether the client has the lease of one of the request's keys, and whether it waits for one. */
  #involves(
    session: Session,
    frame: RequestFrame,
    command: Command,
  ): readonly [holds: boolean, waits: boolean] {
    const keys = this.#keys;
    const db = databaseOf(session.space);
    const held = this.#waits.heldBy(session);
    let [holds, waits] = NEITHER;
    if (findKeys(command, frame, keys) < 0) return UNKNOWN;
    for (let i = 0; i < keys.count; i++) {
      const at = keys.at[i] * 2;
      const keyHash = hashBytes(frame.view, frame.start + frame.args[at], frame.start + frame.args[at + 1]);
      holds ||= held.some((lease) => lease.keyHash === keyHash && lease.db === db);
      waits ||= this.#waits.lines.waits(session, keyHash, db);
    }
    return [holds, waits];
  }

  /** Whether it is the same read as one that waits, or one that will wait for what this client rebuilds. */
  #waitsToo(
    session: Session,
    frame: RequestFrame,
    command: Command,
    holds: boolean,
    waits: boolean,
  ): boolean {
    if (!command.isRead || !(holds || waits) || !readsWhole(command, frame)) return false;
    const { buf, start, end } = frame;
    return !waits || this.#waits.lines.asks(session, session.space, buf.subarray(start, end));
  }
}

const NEITHER: readonly [boolean, boolean] = [false, false];
/** Only the server can tell its keys. */
const UNKNOWN: readonly [boolean, boolean] = [false, true];
