// The pinned connections of one client, and why it has them. While it has any, its commands for those nodes go
// there, in order, and nothing of it is served from the tier or shared.

import { TYPE } from '../../resp3/reply-frame.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import type { Pin, PinHolder } from '../../upstream/pin.ts';
import type { PinBudget } from '../../upstream/pin-budget.ts';
import { protocolOf } from '../../upstream/space.ts';
import type { Untouched } from './no-touch.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { ClientTracking } from './tracking.ts';
import type { Transaction } from './transaction.ts';

/** The client, as far as its pinned connections need to know it; see session.ts. */
export interface PinnedClient {
  readonly space: number;
  readonly name: string;
  /** Sends the client what it did not ask for: messages, invalidations, lines of MONITOR. */
  push(buf: Buffer, start: number, end: number): void;
  /** Its last subscription has ended. */
  unsubscribed(): void;
  /** Closes the connection, as a server does that goes away. */
  hangUp(): void;
}

export class Pins implements PinHolder {
  /** Under way from WATCH or MULTI to EXEC or DISCARD. */
  transaction: Transaction | null = null;
  subscriptions: Subscriptions | null = null;
  tracking: ClientTracking | null = null;
  /** Set while CLIENT NO-TOUCH is on. */
  untouched: Untouched | null = null;
  /** Whether MONITOR runs on them. */
  monitoring = false;
  /** Whether a command that may block has no reply yet. */
  blocked = false;
  /** Whether a large request is on its way, of which the last bytes have not come yet. */
  uploading = false;
  /** Whether a connection is being opened for a command that must find it open. */
  opening = false;
  /** Whether other clients redirect their invalidations to this one. */
  redirectedTo = false;
  /** Connections that it may still open: room for them is taken. */
  spare = 0;

  /** Whether they are for nobody else. */
  #spoiled = false;
  readonly #client: PinnedClient;
  readonly #budget: PinBudget;
  readonly #pins = new Map<UpstreamNode, Pin>();

  constructor(client: PinnedClient, budget: PinBudget) {
    this.#client = client;
    this.#budget = budget;
  }

  /** Whether there is no reason left to have them. */
  get idle(): boolean {
    return (
      this.transaction === null &&
      this.subscriptions === null &&
      this.tracking === null &&
      this.untouched === null &&
      !this.monitoring &&
      !this.blocked &&
      !this.uploading &&
      !this.opening &&
      !this.redirectedTo
    );
  }

  get all(): Iterable<Pin> {
    return this.#pins.values();
  }

  get none(): boolean {
    return this.#pins.size === 0;
  }

  /** To how many of those nodes it has no connection. */
  missing(nodes: readonly UpstreamNode[]): number {
    return nodes.filter((node) => !this.#pins.has(node)).length;
  }

  /** Gives back the room that it does not need any more. */
  relax(): void {
    // These may need a connection to any node at any time.
    if (this.tracking !== null || this.untouched !== null || this.blocked) return;
    const kept = this.transaction?.open && this.transaction.pin === null ? 1 : 0;
    while (this.spare > kept) this.#spend();
  }

  #spend(): void {
    this.spare--;
    this.#budget.quota.release();
  }

  /** The client's connection to that node, or null when it has none there. */
  to(node: UpstreamNode): Pin | null {
    // A client that caches must be told of all that it reads, wherever that is.
    const everywhere = this.tracking !== null || this.untouched !== null;
    return everywhere || this.#pins.has(node) ? this.need(node) : null;
  }

  /** The client's connection to that node, taken from the pool if it has none. */
  need(node: UpstreamNode): Pin {
    let pin = this.#pins.get(node);
    if (pin === undefined) {
      pin = node.pins.take(this.#client.space, this);
      this.#pins.set(node, pin);
      if (this.spare > 0) this.#spend();
      pin.name = this.#client.name;
    }
    this.tracking?.follow(pin);
    this.untouched?.follow(pin);
    return pin;
  }

  /** Any node to which there is a connection already. */
  get home(): UpstreamNode | null {
    for (const node of this.#pins.keys()) return node;
    return null;
  }

  /** What the server still knows of them is not for anybody else: they are closed when they are not needed any more. */
  spoil(): void {
    this.#spoiled = true;
  }

  /** Gives the connections back: `clean` ones may be used by other clients, the others are closed. */
  release(clean: boolean): void {
    const usable = clean && !this.#spoiled;
    for (const [node, pin] of this.#pins) node.pins.give(pin, usable && pin.space === this.#client.space);
    this.#pins.clear();
    while (this.spare > 0) this.#spend();
  }

  unasked(pin: Pin, buf: Buffer, start: number, end: number): boolean {
    if (this.#isReply(pin, buf, start)) return false;
    if (!this.monitoring || !isHousekeeping(buf, start, end)) this.#client.push(buf, start, end);
    // The server drops subscriptions itself, to channels of slots that move away.
    const { subscriptions } = this;
    if (subscriptions?.count === 0 && subscriptions.expected === 0) this.#client.unsubscribed();
    return true;
  }

  lost(pin: Pin): void {
    for (const [node, other] of this.#pins) if (other === pin) this.#pins.delete(node);
    this.transaction?.lost(pin);
    // It would miss messages without knowing: a server that goes away ends the connection, too.
    if (this.subscriptions !== null || this.tracking !== null || this.monitoring || this.redirectedTo)
      this.#client.hangUp();
  }

  #isReply(pin: Pin, buf: Buffer, start: number): boolean {
    const type = buf[start];
    // In RESP2 messages look like replies.
    if (type === TYPE.push || (type === TYPE.array && protocolOf(pin.space) === 2))
      return this.subscriptions === null
        ? type === TYPE.array
        : !this.subscriptions.isMessage(pin, buf, start);
    // So do the lines of MONITOR, which begin with the time.
    const digit = buf[start + 1] >= ZERO && buf[start + 1] <= NINE;
    return !(this.monitoring && type === TYPE.simple && digit);
  }
}

const ZERO = 0x30;
const NINE = 0x39;

/** What heatsink itself says to servers, between the client's commands, and what no client's command looks like. */
const HOUSEKEEPING = [
  '"PING" "heatsink"',
  '"EXISTS" "heatsink:probe',
  '"INFO" "commandstats"',
  '"CLIENT" "ID"',
  '"COMMAND" "GETKEYS"',
  '"CLIENT" "SETNAME"',
  '"CLIENT" "TRACKING"',
  '"HELLO"',
  '"SELECT"',
];

/** Whether the line of MONITOR shows what no client has sent. */
function isHousekeeping(buf: Buffer, start: number, end: number): boolean {
  const command = buf.indexOf('] ', start) + 2;
  const text = buf.toString('latin1', command, Math.min(end, command + 40));
  return HOUSEKEEPING.some((words) => text.startsWith(words));
}
