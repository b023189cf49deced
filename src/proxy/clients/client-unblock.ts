// CLIENT UNBLOCK: the server of a client that waits is told, with the id that it gave to the client's connection.
// https://redis.io/docs/latest/commands/client-unblock/

import { setTimeout as sleep } from 'node:timers/promises';
import { argumentIs, argumentText } from '../../commands/argument.ts';
import { parseInteger } from '../../commands/client-state.ts';
import { C, type Counters } from '../../counters.ts';
import { encodeRequest, errorReply, integerReply } from '../../resp3/encode.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Pin } from '../../upstream/pin.ts';
import type { Topology } from '../../upstream/topology.ts';
import type { Answers } from '../answers.ts';
import { ask, expectReply, settleLater } from '../client-calls.ts';
import { DONE, FORWARD, type Outcome } from '../outcome.ts';
import type { Peers } from '../peers.ts';
import type { Session } from '../session.ts';

const WRONG_REASON = errorReply('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR');
const NO_INTEGER = errorReply('ERR value is not an integer or out of range');
const NOBODY = integerReply(0);
/** The command that waits may still be on its way when the server hears of the end of it. */
const TRIES = 5;
/** Milliseconds. */
const PAUSE = 3;

export interface ClientUnblockOptions {
  readonly sessions: ReadonlyMap<number, Session>;
  readonly topology: Topology;
  readonly answers: Answers;
  readonly counters: Counters;
  readonly peers: Peers;
}

export class ClientUnblock {
  readonly #on: ClientUnblockOptions;

  constructor(options: ClientUnblockOptions) {
    this.#on = options;
    options.peers.on('client unblock', ({ id, reason }: { id: number; reason: string }) => {
      const target = options.sessions.get(id);
      return target !== undefined && waits(target) ? this.#unblock(target, target, reason) : undefined;
    });
  }

  serve(session: Session, frame: RequestFrame): Outcome {
    if (frame.argc !== 3 && frame.argc !== 4) return FORWARD;
    const { sessions, answers, counters, peers } = this.#on;
    counters[C.local]++;
    const withError = frame.argc === 4 && argumentIs(frame, 3, 'error');
    const id = parseInteger(argumentText(frame, 2));
    const target = id === null ? undefined : sessions.get(Number(id));
    if (frame.argc === 4 && !withError && !argumentIs(frame, 3, 'timeout')) session.reply(WRONG_REASON);
    else if (id === null) session.reply(NO_INTEGER);
    else if (target === undefined ? !peers.any : !waits(target)) session.reply(NOBODY);
    else {
      const request = expectReply(session, answers);
      const reason = withError ? 'ERROR' : 'TIMEOUT';
      const done =
        target === undefined
          ? this.#unblockElsewhere(Number(id), reason)
          : this.#unblock(session, target, reason);
      done.then((reply) => settleLater(session, answers, request, reply));
    }
    return DONE;
  }

  /**
   * Ends the connection of a client that says nothing more while it waits. As with a server it takes nothing from
   * now on; what it has taken already is still on its way to it.
   */
  left(target: Session): void {
    if (!waits(target)) {
      target.kill();
      return;
    }
    target.closing = true;
    this.#unblock(target, target, 'TIMEOUT').then(() => {
      if (waits(target)) target.kill();
    });
  }

  async #unblock(session: Session, target: Session, reason: string): Promise<Buffer> {
    const { waiting } = target;
    let reply = NOBODY;
    for (let i = 0; i < TRIES && waits(target) && target.waiting === waiting; i++) {
      if (i > 0) await sleep(PAUSE);
      const replies = await Promise.all(busyPins(target).map((pin) => this.#tell(session, pin, reason)));
      reply = replies.find((one) => one[0] === TYPE.error) ?? reply;
      const done = replies.find((one) => one[0] === TYPE.integer && !one.equals(NOBODY));
      if (done !== undefined) return done;
    }
    return reply;
  }

  async #unblockElsewhere(id: number, reason: string): Promise<Buffer> {
    const [reply] = await this.#on.peers.ask<Uint8Array>('client unblock', { id, reason });
    return reply === undefined ? NOBODY : Buffer.from(reply);
  }

  async #tell(session: Session, pin: Pin, reason: string): Promise<Buffer> {
    if (pin.serverId === '' && pin.lane.state !== 'closed')
      await new Promise<void>((resolve) => pin.onServerId(resolve));
    const node = this.#on.topology.nodes.find((one) => one === pin.node);
    if (node === undefined || pin.serverId === '') return NOBODY;
    const lane = node.lane(session.space, session.id);
    return ask(lane, encodeRequest(['CLIENT', 'UNBLOCK', pin.serverId, reason]));
  }
}

/** Whether it has sent a command that blocks and has no reply yet. */
function waits({ pins, lastCommand }: Session): boolean {
  return pins?.blocked === true && (lastCommand?.state === 'blocking' || lastCommand?.state === 'wait');
}

function busyPins({ pins }: Session): Pin[] {
  return [...(pins?.all ?? [])].filter(({ lane }) => lane.pending > 0 || lane.state === 'connecting');
}
