// Increments of one counter that go upstream as one: they are gathered, sent, and their callers answered.

import { repliesOf, sumRequest } from '../commands/increments.ts';
import { C, type Counters } from '../counters.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import { Call, type CallOwner, type Carrier } from '../upstream/call.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { releaseBytes } from '../upstream/outgoing.ts';
import type { Answers } from './answers.ts';
import type { Redirects } from './redirects.ts';
import { type Request, share } from './request.ts';

export interface IncrementsParts {
  readonly answers: Answers;
  readonly redirects: Redirects;
  readonly counters: Counters;
}

export class Increments implements CallOwner {
  readonly #on: IncrementsParts;
  readonly #lane: Carrier;
  readonly #key: Buffer;
  readonly #field: Buffer | null;
  readonly #sent: () => void;
  readonly #members: Request[] = [];
  readonly #amounts: number[] = [];
  #sum = 0;
  #open = true;

  /** `sent` is called when nobody may be added any more. */
  constructor(on: IncrementsParts, lane: Carrier, key: Buffer, field: Buffer | null, sent: () => void) {
    this.#on = on;
    this.#lane = lane;
    this.#key = key;
    this.#field = field;
    this.#sent = sent;
  }

  get count(): number {
    return this.#members.length;
  }

  /** Whether it is that counter, and the amount may be added to the others. */
  takes(key: Buffer, field: Buffer | null, amount: number): boolean {
    const same =
      this.#key.equals(key) && (field === null ? this.#field === null : this.#field?.equals(field) === true);
    // In one direction all values on the way are between the first and the last: none of them alone is out of range.
    return same && this.#sum * amount >= 0 && Number.isSafeInteger(this.#sum + amount);
  }

  /** The request has its bytes, and its place among its client's. */
  add(request: Request, amount: number): void {
    this.#members.push(request);
    this.#amounts.push(amount);
    this.#sum += amount;
  }

  /** Sends what has gathered, once. Alone it is sent as its client wrote it. */
  send(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#sent();
    const { counters } = this.#on;
    counters[C.sentWrite]++;
    if (this.#members.length === 1) {
      this.#lane.resend(this.#members[0]);
      return;
    }
    counters[C.combined] += this.#members.length;
    counters[C.combinedSent]++;
    const bytes = sumRequest(this.#key, this.#field, this.#sum);
    this.#lane.send(new Call(this), bytes, 0, bytes.length);
    this.#lane.seal();
  }

  replied(call: Call, buf: Buffer, start: number, end: number): void {
    if (buf[start] === TYPE.error && this.#follows(call, buf, start, end)) return;
    const lane = call.lane ?? this.#lane;
    releaseBytes(call);
    if (buf[start] === TYPE.integer) this.#answer(buf.toString('latin1', start + 1, end - 2));
    // The error says that nothing was added. Sent singly, some may succeed, and each gets its own words.
    else this.#singly(lane);
  }

  failed(call: Call, reason: string, sent: boolean): void {
    releaseBytes(call);
    for (const request of this.#members) this.#on.answers.failed(request, reason, sent);
  }

  #follows(call: Call, buf: Buffer, start: number, end: number): boolean {
    const { space } = this.#members[0];
    const session = this.#members.find((request) => request.session !== null)?.session;
    const laneTo = (node: UpstreamNode) => session?.laneTo(node) ?? node.lane(space, 0);
    if (!this.#on.redirects.follow(call, buf, start, end, laneTo)) return false;
    // Their clients' writes must not overtake them on their way round.
    for (const request of this.#members) {
      if (request.session !== null && !request.shared) share(request.session, request);
    }
    return true;
  }

  #singly(lane: Carrier): void {
    const { counters } = this.#on;
    for (const request of this.#members) {
      counters[C.sentWrite]++;
      lane.resend(request);
    }
  }

  #answer(digits: string): void {
    const replies = repliesOf(digits, this.#amounts, this.#sum);
    const bytes = Buffer.from(replies.join(''), 'latin1');
    let at = 0;
    for (const [i, request] of this.#members.entries()) {
      const end = at + replies[i].length;
      this.#on.answers.settle(request, bytes, at, end);
      at = end;
    }
  }
}
