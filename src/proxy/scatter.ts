// One request that several nodes must answer, or whose reply is made of theirs: its parts go out at once, and
// their replies are put together.

import type { Command } from '../commands/command.ts';
import { mergeReplies } from '../commands/merge.ts';
import type { Counters } from '../counters.ts';
import { C } from '../counters.ts';
import type { HiddenCopies } from '../fanout/hidden.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import { Call, type CallClient, type CallOwner } from '../upstream/call.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { releaseBytes } from '../upstream/outgoing.ts';
import { type Answers, failure } from './answers.ts';
import type { Redirects } from './redirects.ts';
import type { Request } from './request.ts';
import type { Sizes } from './seen/sizes.ts';

export interface ScatteredPart {
  readonly node: UpstreamNode;
  readonly request: Buffer;
  /** Which keys of the whole request it has. */
  readonly positions: readonly number[];
}

export class Scatter {
  readonly #redirects: Redirects;
  readonly #answers: Answers;
  readonly #sizes: Sizes;
  readonly #counters: Counters;
  readonly #hidden: HiddenCopies | null;

  constructor(
    redirects: Redirects,
    answers: Answers,
    sizes: Sizes,
    counters: Counters,
    hidden: HiddenCopies | null,
  ) {
    this.#redirects = redirects;
    this.#answers = answers;
    this.#sizes = sizes;
    this.#counters = counters;
    this.#hidden = hidden;
  }

  /** Sends the parts (at least one) of a client's request, and answers it when the last reply is in. */
  send(request: Request, command: Command, parts: readonly ScatteredPart[]): void {
    this.gather(request, command, parts, (replies) => {
      const merged = mergeReplies(
        command,
        replies.map((reply, i) => ({ positions: parts[i].positions, reply })),
      );
      return this.#hidden?.whole(command.name, merged) ?? merged;
    });
  }

  /** The same with a reply that the caller makes of those of the parts, in the order of the parts. */
  gather(
    request: Request,
    command: Command,
    parts: readonly ScatteredPart[],
    merge: (replies: readonly Buffer[]) => Buffer,
  ): void {
    const laneTo = (node: UpstreamNode) => request.session?.laneTo(node) ?? node.lane(request.space, 0);
    const replies: Buffer[] = parts.map(() => EMPTY);
    let missing = parts.length;
    const arrived = (call: Call, index: number, reply: Buffer): void => {
      releaseBytes(call);
      replies[index] = reply;
      if (--missing > 0) return;
      const whole = merge(replies);
      if (whole[0] === TYPE.error) this.#counters[C.failed]++;
      this.#answers.settle(request, whole, 0, whole.length);
    };
    parts.forEach((part, index) => {
      const owner: CallOwner = {
        replied: (call, buf, start, end) => {
          const redirected = buf[start] === TYPE.error;
          if (redirected && this.#redirects.follow(call, buf, start, end, laneTo)) return;
          if (Math.max(end - start, call.length) > this.#sizes.above)
            this.#sizes.look(call, request.space, buf, start, end);
          arrived(call, index, Buffer.from(buf.subarray(start, end)));
        },
        failed: (call, reason, sent) => arrived(call, index, failure(reason, sent)),
      };
      const call = new Part(owner, request);
      call.repeatable = command.isRead;
      this.#counters[command.isWrite ? C.sentWrite : C.sentRead]++;
      laneTo(part.node).send(call, part.request, 0, part.request.length);
    });
  }
}

/** May be sent again when the whole request may. */
class Part extends Call {
  readonly #whole: Request;

  constructor(owner: CallOwner, whole: Request) {
    super(owner);
    this.#whole = whole;
  }

  override get mayRepeat(): boolean {
    return this.repeatable && (this.#whole.session === null || this.#whole.session.writing === 0);
  }

  override get client(): CallClient {
    return this.#whole.client;
  }
}

const EMPTY = Buffer.alloc(0);
