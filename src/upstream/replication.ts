// What a server says of its replication, and how far a replica is behind its primary by that: who has all that the
// primary had at some moment is no older than that moment. https://redis.io/docs/latest/commands/info/

import type { Address } from './control.ts';

export interface Replication {
  readonly role: 'master' | 'replica';
  /** The history that its data belong to: offsets mean something within the same one only. */
  readonly id: string;
  /** Bytes of that history: of a master all that it has said, of a replica all that it has applied. */
  readonly offset: number;
  /** Of a replica: whether it is connected to its master. */
  readonly linkUp: boolean;
  /** Of a master: those that follow it now. */
  readonly replicas: readonly Address[];
}

/** Reads INFO replication. Fields that are missing make a server that is no use as a replica, and has none. */
export function parseReplication(info: string): Replication {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const role = field('role') === 'master' ? 'master' : 'replica';
  return {
    role,
    id: field('master_replid'),
    offset: Number(field(role === 'master' ? 'master_repl_offset' : 'slave_repl_offset') || Number.NaN),
    linkUp: field('master_link_status') === 'up',
    replicas: role === 'master' ? listed(info) : [],
  };
}

/** `slave0:ip=10.0.0.3,port=6379,state=online,offset=1234,lag=0` */
function listed(info: string): Address[] {
  const rows = info.matchAll(/^slave\d+:ip=([^,]+),port=(\d+),state=online,/gm);
  return Array.from(rows, ([, host, port]) => ({ host, port: Number(port) }));
}

/** Offsets of a primary that are remembered: a replica that is further behind is as old as the oldest of them. */
const MOST = 1200;

/** What a primary had said at which moment. */
export class Offsets {
  #id = '';
  readonly #known: { readonly at: number; readonly offset: number }[] = [];

  /** The primary was asked at that moment, by any clock, or later, and said this. */
  add(at: number, { role, id, offset }: Replication): void {
    if (id !== this.#id || role !== 'master') this.#known.length = 0;
    this.#id = id;
    if (role !== 'master' || Number.isNaN(offset)) return;
    this.#known.push({ at, offset });
    if (this.#known.length > MOST) this.#known.shift();
  }

  /** Whether the replica's data have another history than the primary's, as far as that is known. */
  differsFrom({ id }: Replication): boolean {
    return this.#known.length > 0 && id !== this.#id;
  }

  /** The latest moment of which such a replica has everything; -Infinity when none is known. */
  coveredBy({ id, offset }: Replication): number {
    if (id !== this.#id) return Number.NEGATIVE_INFINITY;
    return this.#known.findLast((known) => known.offset <= offset)?.at ?? Number.NEGATIVE_INFINITY;
  }
}
