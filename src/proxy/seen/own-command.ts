// Serves HEATSINK and HOTKEYS; what their subcommands say is for each of them to know.

import type { Command } from '../../commands/command.ts';
import { fits } from '../../commands/keys.ts';
import {
  type SubcommandName,
  subcommandOf,
  unknownSubcommand,
  wrongNumber,
} from '../../commands/own-command.ts';
import { C, type Counters } from '../../counters.ts';
import type { Protocol } from '../../resp3/encode.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Answers } from '../answers.ts';
import { expectReply, settleLater } from '../client-calls.ts';
import { DONE, HOLD, type Outcome } from '../outcome.ts';
import type { Session } from '../session.ts';

/** The reply, which may be long in coming, as other workers are asked. It never rejects. */
export type Subcommand = (frame: RequestFrame, protocol: Protocol) => Buffer | Promise<Buffer>;

export interface OwnCommandParts {
  readonly subcommands: Readonly<Record<SubcommandName, Subcommand>>;
  readonly answers: Answers;
  readonly counters: Counters;
}

export class OwnCommand {
  readonly #on: OwnCommandParts;

  constructor(parts: OwnCommandParts) {
    this.#on = parts;
  }

  serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    // What it tells may be of the client's own last request.
    if (session.pending > 0) return HOLD;
    const { answers, counters } = this.#on;
    counters[C.local]++;
    const reply = this.#reply(session, frame, command);
    if (Buffer.isBuffer(reply)) {
      session.reply(reply);
    } else {
      const request = expectReply(session, answers);
      reply.then((bytes) => settleLater(session, answers, request, bytes));
    }
    return DONE;
  }

  #reply({ protocol }: Session, frame: RequestFrame, command: Command): Buffer | Promise<Buffer> {
    const { name } = command;
    if (!fits(command, frame)) return wrongNumber(name);
    const subcommand = subcommandOf(name);
    if (subcommand === null) return unknownSubcommand(frame, 1, name);
    return this.#on.subcommands[subcommand](frame, protocol);
  }
}
