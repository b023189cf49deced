// A space: what requests must have in common to share a connection, a reply or an entry of the tier. It is the
// protocol version, the database, and who the upstream takes the client for.

import type { Protocol } from '../resp3/encode.ts';

/** Who the upstream takes a client for. Null in its place stands for heatsink's own user. */
export interface Identity {
  readonly username: string;
  /** The bytes of the password, as latin1; null for a connection that says no AUTH. */
  readonly password: string | null;
}

interface Space {
  readonly protocol: Protocol;
  readonly db: number;
  readonly identity: Identity;
}

/** Spaces below are those of heatsink's own user, two for each database; Redis counts databases in 31 bits. */
const OWN = 2 ** 20;
const others = new Map<number, Space>();
const numbers = new WeakMap<Identity, Map<number, number>>();
let last = OWN;

/** The space's number. One that is forgotten is never given again, so that nothing kept under it can be found. */
export function spaceOf(protocol: Protocol, db: number, identity: Identity | null = null): number {
  const within = db * 2 + (protocol - 2);
  if (identity === null) return within;
  let known = numbers.get(identity);
  if (known === undefined) {
    known = new Map();
    numbers.set(identity, known);
  }
  let space = known.get(within);
  if (space === undefined) {
    space = ++last;
    known.set(within, space);
    others.set(space, { protocol, db, identity });
  }
  return space;
}

/** Whether it is a space of heatsink's own user: a small number, fit for an array. */
export function isOwn(space: number): boolean {
  return space < OWN;
}

export function protocolOf(space: number): Protocol {
  if (space < OWN) return space & 1 ? 3 : 2;
  return others.get(space)?.protocol ?? 2;
}

export function databaseOf(space: number): number {
  return space < OWN ? space >> 1 : (others.get(space)?.db ?? 0);
}

/** Undefined for a space that is forgotten. */
export function identityOf(space: number): Identity | null | undefined {
  return space < OWN ? null : others.get(space)?.identity;
}

/** Forgets all spaces of an identity that nobody has any more; returns their numbers. */
export function forgetSpaces(identity: Identity): number[] {
  const forgotten = [...(numbers.get(identity)?.values() ?? [])];
  numbers.delete(identity);
  for (const space of forgotten) others.delete(space);
  return forgotten;
}
