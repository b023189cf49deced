// What heatsink knows of one client's transaction, from its first WATCH or from MULTI on.

import type { PauseMode, PauseOrder } from '../../commands/client-pause.ts';
import { encodeRequest } from '../../resp3/encode.ts';
import type { CallOwner } from '../../upstream/call.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import type { Pin } from '../../upstream/pin.ts';
import type { Redirection } from '../redirects.ts';

const MULTI: Buffer = encodeRequest(['MULTI']);
/** Commands that take more bytes do not wait for a node, and are not repeated when their slot moves. */
const KEPT_MAX = 1024 * 1024;

/** What a transaction that is being executed will pause. */
export interface PauseClaim {
  readonly mode: PauseMode;
  /** By which the other workers know it. */
  readonly name: string;
  /** Whether all that was sent before it is answered. */
  quiet: boolean;
}

export class Transaction {
  /** Whether MULTI was answered; else keys are only watched. */
  open = false;
  /** Whether the server has its MULTI. */
  begun = false;
  /** MULTI in the client's own writing, which MONITOR shows. */
  multi = MULTI;
  /** Who gets the replies to its commands; null until MULTI. */
  owner: CallOwner | null = null;
  watching = false;
  /** The topology generation under which keys were watched first. */
  generation = 0;
  /** Heatsink refused a command of it, or its connection broke: EXEC must fail. */
  aborted = false;
  /** The connection on which keys were watched broke: they may have changed since. */
  unwatched = false;
  /** Where its slot is by now, as the server said of a command. */
  moved: Redirection | null = null;
  node: UpstreamNode | null = null;
  /** Whether that node imports its slot, and does not own it yet. */
  asking = false;
  pin: Pin | null = null;
  /** The slot that all its keys must have, in a cluster; -1 until the first key. */
  slot = -1;
  /** What its execution changes about the client's connection. */
  readonly effects: (() => void)[] = [];
  /** What EXEC will write: these keys, or any. */
  readonly written: number[] = [];
  writesAll = false;
  /** Whether a pause of writes holds its EXEC, or only the server can tell. */
  replicates = false;
  unsure = false;
  /** What it says itself of pauses, in order; null for their end. */
  readonly pauses: (PauseOrder | null)[] = [];
  claim: PauseClaim | null = null;
  /** Its commands and their bytes. */
  count = 0;
  bytes = 0;
  /** Its commands, in a cluster: the first wait for their node, all for a slot that moves. Null when too long. */
  commands: Buffer[] | null = [];

  #kept = 0;

  /** Whether so many bytes more can be kept. */
  mayKeep(size: number): boolean {
    return this.#kept + size <= KEPT_MAX;
  }

  /** Keeps a copy of a command's bytes. */
  keep(buf: Buffer, start: number, end: number): void {
    if (!this.mayKeep(end - start)) this.commands = null;
    this.#kept += end - start;
    this.commands?.push(Buffer.from(buf.subarray(start, end)));
  }

  /** Its connection broke. */
  lost(pin: Pin): void {
    if (pin !== this.pin) return;
    this.pin = null;
    if (this.begun) this.aborted = true;
    if (this.watching) this.unwatched = true;
    this.begun = false;
  }
}
