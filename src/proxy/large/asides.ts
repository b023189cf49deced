// Reads of one client whose replies are large, over connections of its own beside those by which its other commands
// go: nobody waits there while the client takes its time. Each is sent when all before it are answered, so that the
// server makes no more than one such reply at a time for it.

import type { UpstreamNode } from '../../upstream/node.ts';
import type { Pin, PinHolder } from '../../upstream/pin.ts';
import { resend } from '../redirects.ts';
import type { Request } from '../request.ts';

/** The client, as far as these reads need to know it; see session.ts. */
export interface AsideClient {
  readonly space: number;
  readonly name: string;
  /** Its oldest request without a reply. */
  readonly waiting: Request | null;
}

export class Asides implements PinHolder {
  readonly #client: AsideClient;
  readonly #pins = new Map<UpstreamNode, Pin>();
  /** Reads that are not sent yet. */
  #unsent = 0;

  constructor(client: AsideClient) {
    this.#client = client;
  }

  /** Sends a read of the client, which has its bytes, to that node as soon as its turn has come. */
  add(request: Request, node: UpstreamNode): void {
    request.aside = node;
    this.#unsent++;
    this.#sendNext();
  }

  /**
   * Gives back what is not needed any more, and lets the rest read on, or wait for a slow client. False when nothing
   * is left to do.
   */
  settle(blocked: boolean): boolean {
    this.#sendNext();
    for (const [node, pin] of this.#pins) {
      const { lane } = pin;
      if (lane.pending === 0 && lane.state !== 'connecting') {
        this.#pins.delete(node);
        node.pins.give(pin, true);
      } else if (blocked) {
        lane.pause();
      } else {
        lane.resume();
      }
    }
    return this.#pins.size > 0 || this.#unsent > 0;
  }

  /** The client has gone: what is still on its way is for nobody. */
  release(): void {
    for (const [node, pin] of this.#pins) node.pins.give(pin, false);
    this.#pins.clear();
  }

  unasked(): boolean {
    return true;
  }

  lost(pin: Pin): void {
    for (const [node, other] of this.#pins) if (other === pin) this.#pins.delete(node);
  }

  #sendNext(): void {
    const next = this.#client.waiting;
    if (next === null || next.aside === null) return;
    const node = next.aside;
    next.aside = null;
    this.#unsent--;
    resend(this.#to(node).lane, next);
  }

  #to(node: UpstreamNode): Pin {
    let pin = this.#pins.get(node);
    if (pin === undefined) {
      pin = node.pins.take(this.#client.space, this);
      this.#pins.set(node, pin);
      pin.name = this.#client.name;
    }
    return pin;
  }
}
