// One upstream server: its lanes, made when they are first needed, and its tracked connections.

import type { Counters } from '../counters.ts';
import { type Argument, encodeRequest } from '../resp3/encode.ts';
import type { ServerTls } from '../resp3/socket.ts';
import { askAlive } from './ask-alive.ts';
import { Circuit } from './circuit.ts';
import { Lane } from './lane.ts';
import type { LaneOptions, NodeLoad } from './lane-options.ts';
import { PinPool } from './pin.ts';
import type { PinBudget } from './pin-budget.ts';
import type { ReplicaGroup } from './replica.ts';
import { RetryBudget } from './retry-budget.ts';
import type { SlowWatch } from './slow-watch.ts';
import { databaseOf, type Identity, identityOf, isOwn, protocolOf, spaceOf } from './space.ts';
import { Tracker, type TrackerOptions } from './tracking.ts';

const NAME = encodeRequest(['CLIENT', 'SETNAME', 'heatsink']);
/** Lanes beside the usual ones, per space, that are opened while those are stalled. */
const DETOURS_MAX = 16;
const PING = encodeRequest(['PING']);

/** Who heatsink is to the upstream, and how it talks to it. */
export interface LinkOptions {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Null for plain TCP. */
  readonly tls: ServerTls | null;
  /** The database that clients begin in. */
  readonly db: number;
  readonly connectTimeout: number;
  /** Connections per node, protocol and database. */
  readonly lanes: number;
  /** Reads that may be sent again after their connection broke, per second and node. */
  readonly retryBudget: number;
  readonly pinned: PinBudget;
  readonly slow: SlowWatch;
  readonly counters: Counters;
  readonly chunkDone: () => void;
  /** A connection to that node broke, or could not be made. */
  readonly lost: (node: UpstreamNode) => void;
  /** Of a server that is asked as a replica: for reads alone, which nobody sends there again. */
  readonly replica?: {
    /** What a connection says first. */
    readonly handshake: readonly Buffer[];
    /** A connection was made. */
    readonly opened: (node: UpstreamNode) => void;
  };
}

export class UpstreamNode {
  readonly host: string;
  readonly port: number;
  readonly address: string;
  tracker: Tracker | null = null;
  /** Where reads of its keys may go instead; null when no rule asks for that. */
  replicas: ReplicaGroup | null = null;
  readonly circuit: Circuit;
  readonly retries: RetryBudget;
  readonly load: NodeLoad = { requests: 0, spared: 0 };
  /** Connections that belong to one client for a while. */
  readonly pins: PinPool;
  readonly #link: LinkOptions;
  /** By space, those of heatsink's own user: see `spaceOf`. */
  readonly #lanes: (Lane[] | undefined)[] = [];
  /** By space, those of other users. */
  readonly #others = new Map<number, Lane[]>();
  /** By space: lanes for those who need not wait behind a call that takes long. */
  readonly #detours = new Map<number, Lane[]>();

  /** `wanted`: whether it has slots, or is the one server. */
  constructor(host: string, port: number, link: LinkOptions, wanted: (node: UpstreamNode) => boolean) {
    this.host = host;
    this.port = port;
    this.address = `${host}:${port}`;
    this.#link = link;
    const { tls, connectTimeout, counters, retryBudget } = link;
    this.retries = new RetryBudget(retryBudget);
    this.circuit = new Circuit({
      ask: (told) => askAlive({ host, port, tls, connectTimeout }, told),
      counters,
      wanted: () => wanted(this),
      opened: (reason) => this.#circuitOpened(reason),
      closed: () => this.#circuitClosed(),
      silent: (reason) => this.#breakUp(reason),
    });
    this.pins = new PinPool(this, link.pinned, (space) => this.#laneOptions(space));
  }

  /** The lane of a client of that space; a client always gets the same one. */
  lane(space: number, clientId: number): Lane {
    const lanes = (isOwn(space) ? this.#lanes[space] : this.#others.get(space)) ?? this.#makeLanes(space);
    return lanes.length === 1 ? lanes[0] : lanes[clientId % lanes.length];
  }

  /**
   * The number of a lane that is not stalled, for `detour`; opened when there is none. When all are, there is
   * nothing to gain from more: the last one is as good as any.
   */
  findDetour(space: number): number {
    const lanes = this.#detours.get(space) ?? [];
    this.#detours.set(space, lanes);
    const free = lanes.findIndex((lane) => !lane.stalled);
    if (free >= 0) return free;
    if (lanes.length < DETOURS_MAX) lanes.push(new Lane(this.#laneOptions(space)));
    return lanes.length - 1;
  }

  /** A lane beside the usual ones, for a client whose own is stalled. */
  detour(space: number, number: number): Lane {
    return this.#detours.get(space)?.[number] ?? this.lane(space, 0);
  }

  /** Shared lanes on which something is under way. */
  busyLanes(): Lane[] {
    return this.#sharedLanes().filter((lane) => lane.pending > 0 || lane.state === 'connecting');
  }

  /** Finds out whether it is still there when it owes answers and has been silent for that many milliseconds. */
  watch(longest: number): void {
    this.circuit.watch(
      longest,
      () => this.tracker?.waiting === true || this.#allLanes().some((lane) => lane.pending > 0),
    );
  }

  /** Requests that were sent, or wait to be, and have no reply yet. */
  get pending(): number {
    let sum = 0;
    for (const lane of this.#allLanes()) sum += lane.pending;
    return sum;
  }

  /** Whether a lane or the tracked connection is up. */
  get connected(): boolean {
    return this.tracker?.state === 'on' || this.#allLanes().some((lane) => lane.state === 'up');
  }

  track(options: Omit<TrackerOptions, 'makeLane' | 'space' | 'counters'>): void {
    const { counters, db } = this.#link;
    this.tracker ??= new Tracker({
      ...options,
      counters,
      space: spaceOf(3, db),
      makeLane: (space, extra, handshake) =>
        new Lane({
          ...this.#laneOptions(space, handshake),
          ...extra,
          lost: (reason) => {
            extra.lost?.(reason);
            this.#lost();
          },
          repeatReads: false,
        }),
    });
  }

  /** Gives the tracked connections up, and with them all that was filled over them. */
  untrack(): void {
    this.tracker?.close();
    this.tracker = null;
  }

  /** Ends the connections on which calls wait, and those on which clients may wait for messages. */
  abandon(reason: string): void {
    for (const lane of this.#sharedLanes()) if (lane.pending > 0) lane.breakUp(reason);
    for (const lane of this.pins.lanes) lane.breakUp(reason);
  }

  /** Closes what was opened for a space that nobody uses any more. */
  forget(space: number): void {
    for (const lane of [...(this.#others.get(space) ?? []), ...(this.#detours.get(space) ?? [])])
      lane.close();
    this.#others.delete(space);
    this.#detours.delete(space);
    this.tracker?.forget(space);
    this.pins.forget(space);
  }

  close(reason?: string): void {
    this.circuit.close();
    this.tracker?.close();
    for (const lane of this.#allLanes()) lane.close(reason);
  }

  /** While the circuit is open, nothing is lost that is not known to be. */
  #lost(): void {
    if (!this.circuit.open) this.#link.lost(this);
  }

  #circuitOpened(reason: string): void {
    // What waits for a connection need not wait until its time is over.
    for (const lane of this.#allLanes()) if (lane.state === 'connecting') lane.breakUp(reason);
    this.#link.lost(this);
  }

  #circuitClosed(): void {
    this.tracker?.retry();
    const own = [...this.#detours].flatMap(([space, lanes]) => (isOwn(space) ? lanes : []));
    for (const lane of [...this.#lanes.flatMap((lanes) => lanes ?? []), ...own]) lane.connect();
  }

  #breakUp(reason: string): void {
    this.tracker?.breakUp(reason);
    for (const lane of this.#allLanes()) lane.breakUp(reason);
  }

  #sharedLanes(): Lane[] {
    return [...this.#lanes, ...this.#others.values(), ...this.#detours.values()].flatMap(
      (lanes) => lanes ?? [],
    );
  }

  #allLanes(): Lane[] {
    return [...this.#sharedLanes(), ...this.pins.lanes];
  }

  #makeLanes(space: number): Lane[] {
    const options = this.#laneOptions(space);
    const lanes = Array.from({ length: this.#link.lanes }, () => new Lane(options));
    // The user of a forgotten space is not known any more: what still comes for it fails.
    if (identityOf(space) === undefined) {
      for (const lane of lanes) lane.close();
      return lanes;
    }
    if (isOwn(space)) this.#lanes[space] = lanes;
    else this.#others.set(space, lanes);
    if (this.#link.replica !== undefined) return lanes;
    // The first detour is opened ahead: a server that runs a long script lets nobody new into a database.
    const spare = new Lane(options);
    spare.connect();
    this.#detours.set(space, [spare]);
    return lanes;
  }

  #laneOptions(space: number, more: readonly Buffer[] = []): LaneOptions {
    const { tls, connectTimeout, slow, counters, chunkDone, replica } = this.#link;
    const { host, port } = this;
    return {
      host,
      port,
      tls,
      connectTimeout,
      circuit: this.circuit,
      retries: this.retries,
      load: this.load,
      slow,
      counters,
      chunkDone,
      introduction: NAME,
      handshake: [...opening(space, this.#link), ...(replica?.handshake ?? []), ...more],
      repeatReads: replica === undefined,
      forClients: !isOwn(space),
      lost: () => this.#lost(),
      ...(replica && { replica: true, opened: () => replica.opened(this) }),
    };
  }
}

/**
 * What makes a new connection one of that space. `own`: heatsink's own user, who selects the database, as a client
 * does that logs in as somebody else later: that user need not be allowed to.
 */
function opening(space: number, own: Pick<LinkOptions, 'username' | 'password' | 'tls'>): Buffer[] {
  const requests: Buffer[] = [];
  const db = databaseOf(space);
  const login = loginOf(identityOf(space), own);
  const first = db !== 0 && !isOwn(space) ? loginOf(null, own) : login;
  if (protocolOf(space) === 3)
    requests.push(encodeRequest(['HELLO', 3, ...(first ? ['AUTH', ...first] : [])]));
  else if (first !== null) requests.push(encodeRequest(['AUTH', ...first]));
  if (db !== 0) requests.push(encodeRequest(['SELECT', db]));
  if (first !== login && login !== null) requests.push(encodeRequest(['AUTH', ...login]));
  // With TLS 1.3 a server looks at our certificate after we hold the connection for made: only a reply is proof.
  if (own.tls !== null && requests.length === 0) requests.push(PING);
  return requests;
}

/** Name and password; null for a connection that does not log in. */
function loginOf(
  identity: Identity | null | undefined,
  own: Pick<LinkOptions, 'username' | 'password'>,
): Argument[] | null {
  if (identity === undefined) return null;
  const { username = 'default', password = null } = identity ?? own;
  if (password === null) return null;
  return identity === null
    ? [username, password]
    : [Buffer.from(username, 'latin1'), Buffer.from(password, 'latin1')];
}
