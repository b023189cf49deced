// Upstream commands that took long, in the manner of Redis's SLOWLOG: from when a request was sent, and all before it
// on its connection were answered, to its reply. Commands that wait on purpose and values that are passed on as they
// come are not among them.
//
// Of commands that are answered in one go nobody can tell from here which one took the time. Those stay that the
// server does not call fast (the flag of COMMAND), or else the first.

import { clock, microsSince } from '../../clock.ts';
import { argument } from '../../commands/argument.ts';
import type { Command } from '../../commands/command.ts';
import { secretFrom } from '../../commands/secrets.ts';
import type { CommandTable } from '../../commands/table.ts';
import { C, type Counters } from '../../counters.ts';
import { COMPLETE, RequestFrame } from '../../resp3/request-frame.ts';
import type { Call, CallClient } from '../../upstream/call.ts';
import type { Answering, SlowWatch } from '../../upstream/slow-watch.ts';
import { mayWait } from '../pinned/blocking.ts';

/** One slow command. */
export interface SlowCommand {
  readonly id: number;
  /** Unix time in seconds. */
  readonly at: number;
  readonly micros: number;
  /** The command with its arguments, cut short as Redis does. */
  readonly args: readonly Uint8Array[];
  /** `host:port` and name of the client; empty when it has gone. */
  readonly client: string;
  readonly name: string;
  /** `host:port` of the node that answered. */
  readonly node: string;
}

/** What one worker remembers, and how much of it all workers show together. */
export interface SlowCommands {
  readonly maxLen: number;
  /** In milliseconds. */
  readonly slowerThan: number;
  /** The newest first. */
  readonly entries: readonly SlowCommand[];
}

/** `slowLog.slowerThan` in milliseconds, and `slowLog.maxLen`. */
export interface SlowLimits {
  readonly slowerThan: number;
  readonly maxLen: number;
}

/** No call takes longer: see `microsSince`. */
const NEVER = 0x7fffffff;
/** As in Redis. */
const MOST_ARGUMENTS = 32;
const LONGEST_ARGUMENT = 128;
const REDACTED = Buffer.from('(redacted)');

export class SlowLog implements SlowWatch {
  above = NEVER;
  #limits: SlowLimits;
  /** The newest last. */
  #entries: SlowCommand[] = [];
  /** Of the newest one: when and by whom it was answered, and whether it is called fast. */
  #answeredAt = -1;
  #answeredBy: Answering | null = null;
  #fast = false;
  readonly #table: () => CommandTable | null;
  readonly #nextId: () => number;
  readonly #counters: Counters;
  readonly #frame = new RequestFrame();

  /** The table is null before the upstream has answered. Ids go up over all workers. */
  constructor(
    limits: SlowLimits,
    table: () => CommandTable | null,
    nextId: () => number,
    counters: Counters,
  ) {
    this.#limits = limits;
    this.#table = table;
    this.#nextId = nextId;
    this.#counters = counters;
    this.tune(limits);
  }

  /** Changes what is slow, or how many are remembered. */
  tune(limits: Partial<SlowLimits>): void {
    this.#limits = { ...this.#limits, ...limits };
    const { slowerThan, maxLen } = this.#limits;
    this.above = slowerThan < 0 || maxLen === 0 ? NEVER : slowerThan * 1000 - 1;
    this.#entries = maxLen === 0 ? [] : this.#entries.slice(-maxLen);
  }

  list(): SlowCommands {
    return { ...this.#limits, entries: this.#entries.toReversed() };
  }

  clear(): void {
    this.#entries = [];
    this.#answeredBy = null;
  }

  saw(call: Call, micros: number, by: Answering): void {
    const { client, chunk, offset, length } = call;
    // Before it others on its connection were.
    const own = Math.min(micros, microsSince(by.answeredAt));
    if (client === null || chunk === null || own <= this.above) return;
    const frame = this.#frame;
    // A request that was passed on as it came has not kept its bytes.
    if (frame.read(chunk.buf, chunk.view, offset, offset + length) === COMPLETE) {
      const command = this.#table()?.find(frame) ?? null;
      if (command === null || !waits(command, frame)) this.#note(command, own, client, by);
    }
    frame.reset();
  }

  #note(command: Command | null, micros: number, { address, name }: CallClient, by: Answering): void {
    const fast = command?.fast === true;
    const together = this.above >= 0 && this.#answeredBy === by && this.#answeredAt === clock.us;
    if (together && fast) return;
    const first = together && this.#fast ? this.#entries.pop() : undefined;
    if (first === undefined) this.#counters[C.slowCommands]++;
    this.#answeredBy = by;
    this.#answeredAt = clock.us;
    this.#fast = fast;
    const { host, port } = by.options;
    this.#entries.push({
      id: first?.id ?? this.#nextId(),
      at: Math.floor(Date.now() / 1000),
      micros,
      args: shortened(this.#frame, secretFrom(command?.name ?? null, this.#frame)),
      client: address,
      name,
      node: `${host}:${port}`,
    });
    if (this.#entries.length > this.#limits.maxLen) this.#entries.shift();
  }
}

/** Whether that request may wait for others, so that its time says nothing of the server. */
function waits(command: Command, frame: RequestFrame): boolean {
  return command.state === 'wait' || (command.blocking && mayWait(command, frame));
}

/** Its arguments as Redis's SLOWLOG keeps them, without those from `secret` on. */
function shortened(frame: RequestFrame, secret: number): Buffer[] {
  const { argc } = frame;
  const shown = argc > MOST_ARGUMENTS ? MOST_ARGUMENTS - 1 : argc;
  const args = Array.from({ length: shown }, (_, i) => (i < secret ? cut(argument(frame, i)) : REDACTED));
  if (shown < argc) args.push(Buffer.from(`... (${argc - shown} more arguments)`));
  return args;
}

function cut(bytes: Buffer): Buffer {
  if (bytes.length <= LONGEST_ARGUMENT) return Buffer.from(bytes);
  const rest = `... (${bytes.length - LONGEST_ARGUMENT} more bytes)`;
  return Buffer.concat([bytes.subarray(0, LONGEST_ARGUMENT), Buffer.from(rest)]);
}

const NOTHING: SlowCommands = { maxLen: 0, slowerThan: 0, entries: [] };

/** The newest of what all workers remember, `count` of them. */
export function mergeSlowCommands(
  logs: readonly SlowCommands[],
  count = Number.POSITIVE_INFINITY,
): SlowCommands {
  const [{ maxLen, slowerThan } = NOTHING] = logs;
  const entries = logs.flatMap((log) => log.entries).sort((a, b) => b.id - a.id);
  return { maxLen, slowerThan, entries: entries.slice(0, Math.min(count, maxLen)) };
}
