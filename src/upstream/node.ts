// One upstream server: its lanes, made when they are first needed, and its tracked connections.

import type { Counters } from '../counters.ts';
import { encodeRequest } from '../resp3/encode.ts';
import type { ServerTls } from '../resp3/socket.ts';
import { Lane, type LaneOptions } from './lane.ts';
import { PinPool } from './pin.ts';
import { databaseOf, protocolOf, spaceOf } from './space.ts';
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
  readonly counters: Counters;
  readonly chunkDone: () => void;
}

export class UpstreamNode {
  readonly host: string;
  readonly port: number;
  readonly address: string;
  tracker: Tracker | null = null;
  /** Connections that belong to one client for a while. */
  readonly pins: PinPool;
  readonly #link: LinkOptions;
  /** By space: see `spaceOf`. */
  readonly #lanes: (Lane[] | undefined)[] = [];
  /** By space: lanes for those who need not wait behind a call that takes long. */
  readonly #detours: (Lane[] | undefined)[] = [];

  constructor(host: string, port: number, link: LinkOptions) {
    this.host = host;
    this.port = port;
    this.address = `${host}:${port}`;
    this.#link = link;
    this.pins = new PinPool(this, (space) => this.#laneOptions(space));
  }

  /** The lane of a client for its protocol and database; a client always gets the same one. */
  lane(space: number, clientId: number): Lane {
    const lanes = this.#lanes[space] ?? this.#makeLanes(space);
    return lanes.length === 1 ? lanes[0] : lanes[clientId % lanes.length];
  }

  /**
   * The number of a lane that is not stalled, for `detour`; opened when there is none. When all are, there is
   * nothing to gain from more: the last one is as good as any.
   */
  findDetour(space: number): number {
    this.#detours[space] ??= [];
    const lanes = this.#detours[space];
    const free = lanes.findIndex((lane) => !lane.stalled);
    if (free >= 0) return free;
    if (lanes.length < DETOURS_MAX) lanes.push(new Lane(this.#laneOptions(space)));
    return lanes.length - 1;
  }

  /** A lane beside the usual ones, for a client whose own is stalled. */
  detour(space: number, number: number): Lane {
    return this.#detours[space]?.[number] ?? this.lane(space, 0);
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
        new Lane({ ...this.#laneOptions(space, handshake), ...extra, repeatReads: false }),
    });
  }

  /** Gives the tracked connections up, and with them all that was filled over them. */
  untrack(): void {
    this.tracker?.close();
    this.tracker = null;
  }

  /** Ends the connections on which calls wait. */
  abandon(reason: string): void {
    for (const lane of this.#allLanes()) if (lane.pending > 0) lane.breakUp(reason);
  }

  close(reason?: string): void {
    this.tracker?.close();
    for (const lane of this.#allLanes()) lane.close(reason);
  }

  #allLanes(): Lane[] {
    const shared = [...this.#lanes, ...this.#detours].flatMap((lanes) => lanes ?? []);
    return [...shared, ...this.pins.lanes];
  }

  #makeLanes(space: number): Lane[] {
    const options = this.#laneOptions(space);
    const lanes = Array.from({ length: this.#link.lanes }, () => new Lane(options));
    this.#lanes[space] = lanes;
    // The first detour is opened ahead: a server that runs a long script lets nobody new into a database.
    const spare = new Lane(options);
    spare.connect();
    this.#detours[space] = [spare];
    return lanes;
  }

  #laneOptions(space: number, more: readonly Buffer[] = []): LaneOptions {
    const { username = 'default', password, tls, connectTimeout, counters, chunkDone } = this.#link;
    const db = databaseOf(space);
    const handshake: Buffer[] = [];
    if (protocolOf(space) === 3) {
      handshake.push(
        encodeRequest(password === undefined ? ['HELLO', 3] : ['HELLO', 3, 'AUTH', username, password]),
      );
    } else if (password !== undefined) {
      handshake.push(
        encodeRequest(username === 'default' ? ['AUTH', password] : ['AUTH', username, password]),
      );
    }
    if (db !== 0) handshake.push(encodeRequest(['SELECT', db]));
    // With TLS 1.3 a server looks at our certificate after we hold the connection for made: only a reply is proof.
    if (tls !== null && handshake.length === 0) handshake.push(PING);
    const { host, port } = this;
    return {
      host,
      port,
      tls,
      connectTimeout,
      counters,
      chunkDone,
      introduction: NAME,
      handshake: [...handshake, ...more],
      repeatReads: true,
    };
  }
}
