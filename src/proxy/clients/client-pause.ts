// CLIENT PAUSE and UNPAUSE. All masters are paused, and heatsink holds what they would hold, so that nobody waits on
// a shared lane behind a command that is paused. The hold begins first, and the servers are told when all that was
// sent before is answered. https://redis.io/docs/latest/commands/client-pause/

import { clock } from '../../clock.ts';
import {
  mayOnlyRead,
  PAUSED,
  PAUSED_WRITES,
  type PauseMode,
  type PauseOrder,
  RUNNING,
  readPause,
} from '../../commands/client-pause.ts';
import type { Command } from '../../commands/command.ts';
import { fits } from '../../commands/keys.ts';
import { C, type Counters } from '../../counters.ts';
import { encodeRequest, OK } from '../../resp3/encode.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Lane } from '../../upstream/lane.ts';
import type { Topology } from '../../upstream/topology.ts';
import type { Answers } from '../answers.ts';
import { ask, expectReply, settleLater } from '../client-calls.ts';
import { DONE, FORWARD, type Outcome } from '../outcome.ts';
import type { Peers } from '../peers.ts';
import type { PauseClaim, Transaction } from '../pinned/transaction.ts';
import type { Session } from '../session.ts';

const PING = encodeRequest(['PING']);
const UNPAUSE = encodeRequest(['CLIENT', 'UNPAUSE']);
/** The longest that a timer can wait, in milliseconds. */
const TIMER_MAX = 0x7fffffff;

export interface ClientPauseOptions {
  readonly sessions: ReadonlyMap<number, Session>;
  readonly topology: Topology;
  readonly answers: Answers;
  readonly counters: Counters;
  readonly peers: Peers;
}

/** A pause that is about to begin, as the other workers are told of it. */
interface Announced {
  /** The number of the worker that begins it, and one of its own. */
  readonly name: string;
  readonly mode: PauseMode;
}

export class ClientPause {
  /** What is held now; every session has it, too. */
  mode: PauseMode = RUNNING;

  readonly #on: ClientPauseOptions;
  /** Holds of which the servers are not told yet, or have not answered. */
  readonly #claims = new Set<PauseClaim>();
  /** Those of other workers, by name. */
  readonly #elsewhere = new Map<string, PauseClaim>();
  #lastName = 0;
  /** What the servers hold, and until when by `clock.ms`. */
  #granted: PauseMode = RUNNING;
  #until = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Clients that are held, in the order in which they began to wait. */
  readonly #held = new Set<Session>();
  /** One order after the other, so that the servers and heatsink agree on the last. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ClientPauseOptions) {
    this.#on = options;
    this.#listen(options.peers);
  }

  /** Takes over what is paused already, for a worker that is new. */
  async learn(): Promise<void> {
    for (const order of await this.#on.peers.ask<PauseOrder>('pause in force', null)) this.#grant(order);
    this.#apply();
  }

  #listen(peers: Peers): void {
    peers.on('pause begins', async ({ name, mode }: Announced) => {
      this.#elsewhere.set(name, this.#claim(mode));
      await this.#whenQuiet();
    });
    peers.on('pause granted', (order: PauseOrder) => {
      this.#grant(order);
      this.#apply();
    });
    peers.on('pause over', (name: string) => this.#drop([name]));
    peers.on('pause ended', () => this.#ended());
    peers.on('pause in force', () => this.#inForce());
    peers.on('worker lost', (worker: number) =>
      this.#drop([...this.#elsewhere.keys()].filter((name) => name.startsWith(`${worker}:`))),
    );
  }

  #inForce(): PauseOrder | undefined {
    const timeout = Math.ceil(this.#until - clock.tick());
    return this.#granted === RUNNING || timeout <= 0 ? undefined : { mode: this.#granted, timeout };
  }

  #drop(names: readonly string[]): void {
    for (const name of names) {
      const claim = this.#elsewhere.get(name);
      this.#elsewhere.delete(name);
      if (claim !== undefined) this.#claims.delete(claim);
    }
    this.#apply();
  }

  /** How many of heatsink's clients are held by a pause. */
  get held(): number {
    let count = 0;
    for (const session of this.#held) if (!session.closed) count++;
    return count;
  }

  /** Serves CLIENT PAUSE and UNPAUSE; their client has nothing under way. */
  serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    const { answers, counters } = this.#on;
    const order = command.name === 'client|pause' ? readPause(frame) : null;
    // The server says what is wrong with it.
    if (order === null && (command.name === 'client|pause' || frame.argc !== 2)) return FORWARD;
    const bytes = Buffer.from(frame.buf.subarray(frame.start, frame.end));
    counters[C.forwarded]++;
    const lanes = this.#on.topology.nodes.map((node) => session.laneTo(node));
    const request = expectReply(session, answers);
    const work = order === null ? this.#unpause(lanes, bytes) : this.#pause(lanes, order, bytes);
    work.then((reply) => settleLater(session, answers, request, reply));
    return DONE;
  }

  /** Whether the request must wait for the end of a pause. For a client that has `paused` set. */
  holds(session: Session, frame: RequestFrame, command: Command | null): boolean {
    session.postponed = this.#concerns(session, frame, command);
    if (!session.postponed) {
      this.#held.delete(session);
      return false;
    }
    this.#held.add(session);
    this.#forgetClosed();
    return true;
  }

  /** Holds a client, which offers what it has again when the pause ends, or becomes less. */
  postpone(session: Session): void {
    session.postponed = true;
    this.#held.add(session);
  }

  /** Notes what that CLIENT PAUSE or UNPAUSE, which is queued, will do when its transaction is executed. */
  queued(transaction: Transaction, frame: RequestFrame, command: Command): void {
    if (command.name === 'client|unpause') transaction.pauses.push(null);
    const order = command.name === 'client|pause' ? readPause(frame) : null;
    if (order !== null) transaction.pauses.push(order);
  }

  /** Whether that transaction, which is about to be executed, need not wait any more for what it will pause. */
  prepared(session: Session, transaction: Transaction): boolean {
    if (transaction.pauses.length === 0) return true;
    if (transaction.claim !== null) return transaction.claim.quiet;
    const mode = Math.max(...transaction.pauses.map((order) => order?.mode ?? RUNNING)) as PauseMode;
    const claim = this.#claim(mode);
    transaction.claim = claim;
    this.#allQuiet(claim).then(() => {
      claim.quiet = true;
      if (session.closed) this.executed(session, transaction, false);
      session.release();
    });
    return false;
  }

  /** That transaction was executed, or not: its pauses hold for all servers from now on, or never did. */
  executed(session: Session, transaction: Transaction, done: boolean): void {
    const { claim, pauses, node } = transaction;
    if (claim === null) return;
    transaction.claim = null;
    const others = this.#on.topology.nodes
      .filter((other) => other !== node)
      .map((other) => other.lane(session.space, session.id));
    for (const order of done ? pauses : []) {
      if (order === null) {
        this.#ended();
        this.#on.peers.tell('pause ended', null);
        tell(others, UNPAUSE);
      } else {
        this.#grant(order);
        this.#on.peers.tell('pause granted', order);
        const word = order.mode === PAUSED_WRITES ? 'WRITE' : 'ALL';
        tell(others, encodeRequest(['CLIENT', 'PAUSE', order.timeout, word]));
      }
    }
    this.#forget(claim);
  }

  #concerns(session: Session, frame: RequestFrame, command: Command | null): boolean {
    // An error takes nobody's time, and is due at once.
    if (command !== null && !fits(command, frame)) return false;
    const transaction = command?.name === 'exec' ? session.pins?.transaction : null;
    // The pause that it brings begins behind it.
    if (transaction?.claim) return false;
    if (this.mode === PAUSED) return true;
    if (this.mode === RUNNING || command === null) return false;
    return command.replicates ? !mayOnlyRead(command, frame) : transaction?.replicates === true;
  }

  #pause(lanes: readonly Lane[], order: PauseOrder, bytes: Buffer): Promise<Buffer> {
    const claim = this.#claim(order.mode);
    return this.#inTurn(async () => {
      await this.#allQuiet(claim);
      const reply = await tell(lanes, bytes);
      if (reply[0] !== TYPE.error) {
        this.#grant(order);
        this.#on.peers.tell('pause granted', order);
      }
      this.#forget(claim);
      return reply;
    });
  }

  #unpause(lanes: readonly Lane[], bytes: Buffer): Promise<Buffer> {
    return this.#inTurn(async () => {
      const reply = await tell(lanes, bytes);
      this.#ended();
      await this.#on.peers.ask('pause ended', null);
      return reply;
    });
  }

  #inTurn(work: () => Promise<Buffer>): Promise<Buffer> {
    const result = this.#turn.then(work);
    this.#turn = result.then(() => {});
    return result;
  }

  /** Until all that shared lanes have under way now is answered. */
  async #whenQuiet(): Promise<void> {
    const lanes = this.#on.topology.nodes.flatMap((node) => node.busyLanes());
    await Promise.all(lanes.map((lane) => ask(lane, PING)));
  }

  /** Until that holds for the lanes of all workers, and all hold what the claim says. */
  async #allQuiet({ name, mode }: PauseClaim): Promise<void> {
    await Promise.all([this.#whenQuiet(), this.#on.peers.ask('pause begins', { name, mode })]);
  }

  #claim(mode: PauseMode): PauseClaim {
    const claim = { mode, name: `${this.#on.peers.self}:${++this.#lastName}`, quiet: false };
    this.#claims.add(claim);
    this.#apply();
    return claim;
  }

  #forget(claim: PauseClaim): void {
    this.#on.peers.tell('pause over', claim.name);
    this.#claims.delete(claim);
    this.#apply();
  }

  /** As in Redis a pause never makes another one shorter or weaker. */
  #grant({ mode, timeout }: PauseOrder): void {
    if (timeout === 0 && this.#granted === RUNNING) return;
    this.#granted = Math.max(this.#granted, mode) as PauseMode;
    this.#until = Math.max(this.#until, clock.tick() + timeout);
    this.#wait();
  }

  #wait(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const left = Math.min(TIMER_MAX, Math.ceil(this.#until - clock.tick()));
    this.#timer = setTimeout(() => (clock.tick() < this.#until ? this.#wait() : this.#ended()), left).unref();
  }

  #ended(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#granted = RUNNING;
    this.#until = 0;
    this.#apply();
  }

  /** Makes all clients know what is held, and lets those go on that are held for less; they may be held again. */
  #apply(): void {
    const before = this.mode;
    this.mode = Math.max(this.#granted, ...[...this.#claims].map((claim) => claim.mode)) as PauseMode;
    if (this.mode === before) return;
    for (const session of this.#on.sessions.values()) session.paused = this.mode;
    if (this.mode > before) return;
    const held = [...this.#held];
    this.#held.clear();
    for (const session of held) {
      session.postponed = false;
      session.release();
    }
  }

  #forgetClosed(): void {
    if (this.#held.size <= this.#on.sessions.size) return;
    for (const session of this.#held) if (session.closed) this.#held.delete(session);
  }
}

/** OK, or the first error. */
async function tell(lanes: readonly Lane[], bytes: Buffer): Promise<Buffer> {
  const replies = await Promise.all(lanes.map((lane) => ask(lane, bytes)));
  return replies.find((reply) => reply[0] === TYPE.error) ?? replies[0] ?? OK;
}
