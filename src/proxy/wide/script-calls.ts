// EVAL, EVALSHA and SCRIPT on a cluster: a script that one client has shown to heatsink is there on every shard.

import { argument, argumentText } from '../../commands/argument.ts';
import type { Command } from '../../commands/command.ts';
import { itemsOf, textOf } from '../../commands/elements.ts';
import { findKeys, KeyPositions } from '../../commands/keys.ts';
import { arrayReply, integerReply } from '../../resp3/encode.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Topology } from '../../upstream/topology.ts';
import { FORWARD, type Outcome } from '../outcome.ts';
import type { Session } from '../session.ts';
import { bytesOf, type Gather } from './gather.ts';
import type { Scripts } from './scripts.ts';

export class ScriptCalls {
  readonly #topology: Topology;
  readonly #scripts: Scripts;
  readonly #gather: Gather;
  readonly #keys = new KeyPositions();

  constructor(topology: Topology, scripts: Scripts, gather: Gather) {
    this.#topology = topology;
    this.#scripts = scripts;
    this.#gather = gather;
  }

  /** The body is the argument `index`. */
  remember({ buf, view, start, args }: RequestFrame, index: number): typeof FORWARD {
    this.#scripts.remember(buf, view, start + args[index * 2], start + args[index * 2 + 1]);
    return FORWARD;
  }

  forgetAll(): typeof FORWARD {
    this.#scripts.clear();
    return FORWARD;
  }

  /** Sends the script ahead where it may be missing: to send it only after a NOSCRIPT would let others overtake. */
  evalSha(session: Session, frame: RequestFrame, command: Command): typeof FORWARD {
    if (this.#scripts.size === 0) return FORWARD;
    const script = this.#scripts.find(argumentText(frame, 1));
    if (script === null || findKeys(command, frame, this.#keys) < 0) return FORWARD;
    const key = this.#keys.count > 0 ? argument(frame, this.#keys.at[0]) : null;
    const node = key === null ? this.#gather.anyNode(session) : this.#topology.ownerOf(key, 0, key.length);
    if (node !== null) this.#scripts.ahead(script, session.laneTo(node));
    return FORWARD;
  }

  /** A script is there when all shards have it, or when heatsink can give it to those that have not. */
  exists(session: Session, frame: RequestFrame, command: Command): Outcome {
    const known = Array.from({ length: frame.argc - 2 }, (_, i) =>
      this.#scripts.find(argumentText(frame, i + 2)),
    );
    return this.#gather.fromAll(session, command, bytesOf(frame), (replies) => {
      const shards = replies.map((reply) => itemsOf(reply).map((item) => textOf(item) === '1'));
      const there = known.map((script, i) =>
        script === null ? shards.every((has) => has[i]) : shards.some((has) => has[i]),
      );
      return arrayReply(there.map((is) => integerReply(is ? 1 : 0)));
    });
  }
}
