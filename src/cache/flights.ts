// Coalescing by the next flight. A read may share only an upstream read that is not yet on the socket, so every
// answer comes from a read that was sent after its own request began: linearizable, even against writers that
// go past heatsink. Per request there is at most one flight in the air and one boarding.

import { finalize } from '../resp3/hash.ts';
import { Call } from '../upstream/call.ts';

/** A place per hash of a request; a second request in a taken place flies alone. */
const PLACES = 1 << 14;
const MASK = PLACES - 1;

/** An upstream read that others may share. Its request stays readable in its chunk while it is under way. */
export class Flight extends Call {
  /** `flightHash` of the request, and the space that it was asked in. */
  hash = 0;
  space = 0;
  /** Who joined, first to last. */
  joined: Flight | null = null;
  lastJoined: Flight | null = null;
  /** The next one in the list of those who joined the same flight. */
  nextJoined: Flight | null = null;
  /** The flight that boards while this one is in the air. */
  boarding: Flight | null = null;
  /** Whether it holds the place of its hash. */
  listed = false;

  join(passenger: Flight): void {
    passenger.nextJoined = null;
    if (this.lastJoined === null) this.joined = passenger;
    else this.lastJoined.nextJoined = passenger;
    this.lastJoined = passenger;
  }
}

/**
 * Where a read of the key with that hash is looked for. Cheaper than a hash of all its bytes, which most reads
 * need for nothing else: the key, the length, and the last bytes tell the reads of one key apart well enough.
 */
export function flightHash(keyHash: number, view: DataView, start: number, end: number): number {
  return finalize(keyHash ^ (view.getInt32(end - 6, true) + (end - start)));
}

export class Flights {
  readonly #places: (Flight | null)[] = new Array(PLACES).fill(null);

  /** The flight of the request `buf[start, end)`, in the air or not, if there is one. */
  find(hash: number, space: number, buf: Buffer, start: number, end: number): Flight | null {
    const flight = this.#places[hash & MASK];
    if (flight === null || flight.hash !== hash || flight.space !== space) return null;
    return carries(flight, buf, start, end) ? flight : null;
  }

  /** Lists a flight, so that others find it; no effect while another one has its place. */
  list(flight: Flight): void {
    const at = flight.hash & MASK;
    if (this.#places[at] !== null) return;
    this.#places[at] = flight;
    flight.listed = true;
  }

  /** The flight has landed. What was boarding takes its place, is returned, and must be sent now. */
  landed(flight: Flight): Flight | null {
    if (!flight.listed) return null;
    const next = flight.boarding;
    flight.listed = false;
    flight.boarding = null;
    this.#places[flight.hash & MASK] = next;
    if (next !== null) next.listed = true;
    return next;
  }
}

function carries(flight: Flight, buf: Buffer, start: number, end: number): boolean {
  const chunk = flight.chunk;
  if (chunk === null || flight.length !== end - start) return false;
  flight.lane?.seal();
  return chunk.buf.compare(buf, start, end, flight.offset, flight.offset + flight.length) === 0;
}
