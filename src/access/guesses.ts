// Wrong passwords by the address that they came from, and how long its next try must wait for them.

/** Milliseconds to wait after the first wrong password; each further one doubles it. */
const FIRST = 50;
/** Milliseconds without a wrong password after which an address is as good as new. */
const FORGOTTEN = 60_000;
/** Addresses that are remembered; who has been quiet for longest is forgotten for another one. */
const ADDRESSES_MAX = 10_000;

export interface GuessLimit {
  /** The longest wait in milliseconds; 0: none. May change at any time. */
  authDelay: number;
}

interface Guesser {
  readonly delay: number;
  readonly lastAt: number;
}

export class Guesses {
  readonly #limit: GuessLimit;
  /** In the order of their last wrong passwords. */
  readonly #guessers = new Map<string, Guesser>();

  constructor(limit: GuessLimit) {
    this.#limit = limit;
  }

  /** Somebody at that address had a wrong password. `now`: milliseconds. */
  failed(address: string, now: number): void {
    const source = sourceOf(address);
    const before = this.#guessers.get(source);
    const again = before !== undefined && now - before.lastAt < FORGOTTEN;
    this.#guessers.delete(source);
    const delay = again ? Math.min(before.delay * 2, this.#limit.authDelay) : FIRST;
    this.#guessers.set(source, { delay, lastAt: now });
    if (this.#guessers.size <= ADDRESSES_MAX) return;
    for (const oldest of this.#guessers.keys()) {
      this.#guessers.delete(oldest);
      return;
    }
  }

  /** Milliseconds that a try from that address must wait now. */
  waitOf(address: string, now: number): number {
    const guesser = this.#guessers.get(sourceOf(address));
    if (guesser === undefined) return 0;
    return Math.max(0, guesser.lastAt + Math.min(guesser.delay, this.#limit.authDelay) - now);
  }
}

/** What one guesser has of addresses: one of IPv4, 64 bits of IPv6. `address`: `host:port` without brackets. */
function sourceOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(':'));
  if (!host.includes(':')) return host;
  // An address of IPv4 as one of IPv6.
  if (host.includes('.')) return host.slice(host.lastIndexOf(':') + 1);
  const [head, tail = null] = host.split('::');
  const groups = head.split(':');
  const after = tail === null || tail === '' ? [] : tail.split(':');
  const zeros = tail === null ? 0 : 8 - groups.length - after.length;
  return [...groups, ...new Array(Math.max(0, zeros)).fill('0'), ...after].slice(0, 4).join(':');
}
