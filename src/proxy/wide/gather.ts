// Sends what a command asks of several nodes, or asks one node in other words than the client's, when its turn has
// come; the reply is made of theirs.

import type { Command } from '../../commands/command.ts';
import { C, type Counters } from '../../counters.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import type { Topology } from '../../upstream/topology.ts';
import type { Answers } from '../answers.ts';
import { DONE, HOLD, type Outcome } from '../outcome.ts';
import { takeRequest } from '../request.ts';
import type { Scatter, ScatteredPart } from '../scatter.ts';
import type { Session } from '../session.ts';

export interface GatherOptions {
  readonly topology: Topology;
  readonly scatter: Scatter;
  readonly answers: Answers;
  readonly counters: Counters;
}

export type Merge = (replies: readonly Buffer[]) => Buffer;

export class Gather {
  readonly #on: GatherOptions;

  constructor(options: GatherOptions) {
    this.#on = options;
  }

  /** Sends the parts, at least one, unless the client must wait. `merge` gets the replies in their order. */
  send(session: Session, command: Command, parts: readonly ScatteredPart[], merge: Merge): Outcome {
    const { topology, answers, scatter, counters } = this.#on;
    // As in the pipeline: nothing may overtake what went by an older map, or a read that travels apart.
    if (session.generation !== topology.generation) {
      if (session.pending > 0) return HOLD;
      session.generation = topology.generation;
    }
    if (session.shared > 0 && !command.isRead) return HOLD;
    for (const { node } of parts) {
      const lane = session.laneTo(node);
      if (!lane.congested) continue;
      lane.onDrain(() => session.release());
      return HOLD;
    }
    const request = takeRequest(answers);
    request.space = session.space;
    counters[C.forwarded]++;
    session.enqueue(request);
    scatter.gather(request, command, parts, merge);
    return DONE;
  }

  /** The request to every master; an error of one of them is the reply. */
  fromAll(session: Session, command: Command, request: Buffer, merge: Merge): Outcome {
    const parts = this.#on.topology.nodes.map((node) => partTo(node, request));
    return this.send(session, command, parts, unlessFailed(merge));
  }

  /** The node for a client's commands without keys. */
  anyNode(session: Session): UpstreamNode {
    const { nodes } = this.#on.topology;
    return session.pins?.home ?? nodes[session.id % nodes.length];
  }
}

/** Merges replies of which none is an error; else the reply is the first error. */
export function unlessFailed(merge: Merge): Merge {
  return (replies) => replies.find((reply) => reply[0] === TYPE.error) ?? merge(replies);
}

export function partTo(node: UpstreamNode, request: Buffer): ScatteredPart {
  return { node, request, positions: [] };
}

/** A copy of the request. */
export function bytesOf({ buf, start, end }: RequestFrame): Buffer {
  return Buffer.from(buf.subarray(start, end));
}
