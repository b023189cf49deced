// Commands with several keys, which several nodes may own, and commands with none: to whom they go.

import type { Command } from '../commands/command.ts';
import { fits, hashKeys, type KeyPositions } from '../commands/keys.ts';
import { splitByShard } from '../commands/split.ts';
import type { Detector } from '../hotkeys/detector.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { Lane } from '../upstream/lane.ts';
import { slotOf } from '../upstream/slot.ts';
import type { Topology } from '../upstream/topology.ts';
import { type Answers, SLOT_UNSERVED } from './answers.ts';
import { awaitRoom, type Dispatch } from './dispatch.ts';
import { NO_WRITE, takeRequest, WRITES_ALL, WRITES_KEYS } from './request.ts';
import type { ScatteredPart } from './scatter.ts';
import type { Session } from './session.ts';

export interface ManyKeysParts {
  readonly topology: Topology;
  readonly detector: Detector;
  readonly answers: Answers;
  readonly dispatch: Dispatch;
}

export class ManyKeys {
  readonly #on: ManyKeysParts;

  constructor(parts: ManyKeysParts) {
    this.#on = parts;
  }

  /** Sends a command with the keys at those positions; false if it must wait. */
  serve(session: Session, frame: RequestFrame, command: Command, keys: KeyPositions): boolean {
    const { topology, detector, dispatch } = this.#on;
    const { buf, view, start, args } = frame;
    const first = keys.at[0];
    const node = topology.ownerOf(buf, start + args[first * 2], start + args[first * 2 + 1]);
    if (node === null) return dispatch.fail(session, SLOT_UNSERVED);
    const lane = session.laneTo(node);
    if (lane.congested) return awaitRoom(session, lane);
    const request = takeRequest(this.#on.answers);
    request.space = session.space;
    const hashes: number[] = [];
    hashKeys(frame, keys, hashes);
    for (let i = 0; i < keys.count && command.isRead; i++) {
      const at = keys.at[i] * 2;
      detector.count(hashes[i], view, start + args[at], start + args[at + 1]);
    }
    request.keyHashes = hashes;
    request.asks = command.asks;
    const writes = command.isWrite ? WRITES_KEYS : NO_WRITE;
    const parts =
      command.requestPolicy === 'multi_shard' && topology.cluster ? this.#split(frame, command, keys) : null;
    if (parts === null) dispatch.send(session, frame, command, request, lane, writes);
    else dispatch.scatter(session, command, request, parts, writes);
    return true;
  }

  /** One part per slot, as Redis Cluster takes no two slots in one command; null when all keys have one slot. */
  #split(frame: RequestFrame, command: Command, keys: KeyPositions): ScatteredPart[] | null {
    const { topology } = this.#on;
    const { buf, start, args } = frame;
    const slotAt = (at: number) => slotOf(buf, start + args[at * 2], start + args[at * 2 + 1]);
    const slot = slotAt(keys.at[0]);
    let same = true;
    for (let i = 1; i < keys.count && same; i++) same = slotAt(keys.at[i]) === slot;
    if (same) return null;
    return splitByShard(command, frame, keys, slotAt).map(({ shard, request, positions }) => ({
      // A slot without owner gets the server's own word from whoever is asked.
      node: topology.slotOwner(shard) ?? topology.nodes[0],
      request,
      positions,
    }));
  }

  /** Sends a command without keys: to any node, or to all where it asks for that; false if it must wait. */
  keyless(session: Session, frame: RequestFrame, command: Command): boolean {
    const { topology, dispatch } = this.#on;
    const { nodes } = topology;
    const { buf, start, end } = frame;
    const { requestPolicy } = command;
    const everywhere =
      requestPolicy === 'all_nodes' || requestPolicy === 'all_shards' || command.name === 'randomkey';
    const lanes = everywhere ? nodes.map((node) => session.laneTo(node)) : [this.#anyLane(session)];
    const full = lanes.find((lane) => lane.congested);
    if (full !== undefined) return awaitRoom(session, full);
    const request = takeRequest(this.#on.answers);
    request.space = session.space;
    // With a wrong number of arguments it has no keys either, and the server will refuse it.
    const writes = command.isWrite && fits(command, frame) ? WRITES_ALL : NO_WRITE;
    if (lanes.length > 1) {
      const bytes = Buffer.from(buf.subarray(start, end));
      const parts = nodes.map((node) => ({ node, request: bytes, positions: [] }));
      dispatch.scatter(session, command, request, parts, writes);
      return true;
    }
    dispatch.send(session, frame, command, request, lanes[0], writes);
    return true;
  }

  /** The lane to the client's usual node for what any can answer, or to another one while that is down. */
  #anyLane(session: Session): Lane {
    const { nodes } = this.#on.topology;
    const usual = session.laneTo(session.pins?.home ?? nodes[session.id % nodes.length]);
    if (!usual.down) return usual;
    return nodes.map((node) => session.laneTo(node)).find((lane) => !lane.down) ?? usual;
  }
}
