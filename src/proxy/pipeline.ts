// The way of a request through heatsink, as one function. A step that answers ends the way.
//
//   frame      resp3/request-frame   its bytes are found                            (session.ts)
//   tier       cache/tier            asked a moment ago and still valid?            -> reply
//   classify   commands/table        which command; about the connection itself?    -> reply, or a clear refusal
//              admission.ts          may this client send it?                       -> refusal
//              clients/client-pause  does a CLIENT PAUSE hold it?                   -> waits
//              pinned/own-connection does it need a connection of its own upstream? -> pinned
//              seen/own-command      is it HEATSINK?                                  -> reply
//              wide/wide             does it need several nodes, or a reply that is completed? -> scattered
//   shed       loop-lag.ts           is this thread too late already?                -> refusal
//   keys       commands/keys         which keys
//   detect     hotkeys/detector      reads are counted
//              reads/lease-waits     may it have to wait for whoever rebuilds its key?
//   coalesce   reads/shared-reads    is the same read waiting to be sent?           -> joins it
//   spread     reads/copy-reads      has its key copies on other nodes?             -> one of them is asked
//   route      upstream/topology     which node; several get a part each            (many-keys.ts, scatter.ts)
//              reads/replica-reads   one of its replicas, where a rule says so       -> replica
//   lane       upstream/lane         the node's shared connection; the tracked one for a fill (reads/fills.ts)
//   reply      answers.ts            in the order in which the client asked         (session.ts)
//
// `serve` returns false when the request must wait; the session then offers it again.

import type { Login } from '../access/login.ts';
import { flightHash } from '../cache/flights.ts';
import type { Rules } from '../cache/rules.ts';
import type { Entry, Tier } from '../cache/tier.ts';
import { clock } from '../clock.ts';
import { argument } from '../commands/argument.ts';
import type { PauseMode } from '../commands/client-pause.ts';
import type { Command } from '../commands/command.ts';
import { findKeys, KeyPositions } from '../commands/keys.ts';
import { answerLocally, type ServerFacts, speaksHttp } from '../commands/local.ts';
import { refused } from '../commands/refused.ts';
import type { CommandTable } from '../commands/table.ts';
import { NO_COMMAND, UNKNOWN } from '../commands/unknown.ts';
import { C, type Counters } from '../counters.ts';
import { COPY_PREFIX, type CopyNameGuard } from '../fanout/copy-names.ts';
import type { Detector } from '../hotkeys/detector.ts';
import { errorReply } from '../resp3/encode.ts';
import { hashBytes } from '../resp3/hash.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { UpstreamNode } from '../upstream/node.ts';
import { holdBytes } from '../upstream/outgoing.ts';
import type { PinBudget } from '../upstream/pin-budget.ts';
import type { Topology } from '../upstream/topology.ts';
import type { Admission } from './admission.ts';
import { type Answers, SLOT_UNSERVED } from './answers.ts';
import type { ClientLimits } from './clients/client-limits.ts';
import type { ClientPause } from './clients/client-pause.ts';
import type { Combining } from './combining.ts';
import { awaitRoom, type Dispatch } from './dispatch.ts';
import type { Jitter } from './jitter.ts';
import type { Downloads } from './large/downloads.ts';
import type { Upload } from './large/upload.ts';
import type { Uploads } from './large/uploads.ts';
import type { ManyKeys } from './many-keys.ts';
import { DONE, FORWARD, HOLD, type Outcome } from './outcome.ts';
import type { OwnConnection } from './pinned/own-connection.ts';
import type { CopyReads } from './reads/copy-reads.ts';
import type { LeaseOrder } from './reads/lease-order.ts';
import type { LeaseWaits } from './reads/lease-waits.ts';
import type { ObservedReads } from './reads/observed-reads.ts';
import type { ReplicaReads } from './reads/replica-reads.ts';
import { SHARED_MAX, type SharedReads } from './reads/shared-reads.ts';
import type { Verifier } from './reads/verify.ts';
import { NO_WRITE, type Request, takeRequest, WRITES_KEY } from './request.ts';
import type { KeyUsage } from './seen/key-usage.ts';
import type { OwnCommand } from './seen/own-command.ts';
import type { Servant, Session } from './session.ts';
import type { Wide } from './wide/wide.ts';

/** Reads of one client that may wait for others' answers: all of them come at once, however large. */
const SHARED_AT_ONCE = 128;
const COPY_NAMED = errorReply(`ERR heatsink: ${COPY_PREFIX} begins the names of its own copies of hot keys`);

export interface PipelineParts {
  readonly tier: Tier;
  readonly tierOn: boolean;
  readonly rules: Rules;
  readonly detector: Detector;
  readonly topology: Topology;
  readonly reads: SharedReads | ObservedReads;
  /** Null when no rule asks for them. */
  readonly replicaReads: ReplicaReads | null;
  /** Both null where no key can have copies. */
  readonly copies: CopyReads | null;
  readonly copyNames: CopyNameGuard | null;
  /** Null where no rule gives leases. */
  readonly leases: { readonly waits: LeaseWaits; readonly order: LeaseOrder } | null;
  readonly downloads: Downloads;
  readonly uploads: Uploads;
  readonly answers: Answers;
  readonly dispatch: Dispatch;
  readonly manyKeys: ManyKeys;
  readonly own: OwnConnection;
  readonly wide: Wide;
  readonly ownCommand: OwnCommand;
  readonly admission: Admission;
  readonly login: Login;
  readonly pause: ClientPause;
  /** Null when no rule asks for it, as the next. */
  readonly combining: Combining | null;
  readonly jitter: Jitter | null;
  readonly verifier: Verifier;
  readonly counters: Counters;
  /** Somebody at that address speaks HTTP. */
  readonly attacked: (address: string) => void;
  readonly facts: ServerFacts;
  /** The upstream's commands; another object after they were read again. */
  readonly table: () => CommandTable;
  /**
   * Asks the upstream which arguments of a request are keys; null when it does not know the command. Never rejects.
   * `known`: the command is in the table.
   */
  readonly askKeys: (args: Buffer[], known: boolean) => Promise<number[] | null>;
  readonly maxPipeline: number;
  readonly limits: ClientLimits;
  readonly pinned: PinBudget;
  readonly firstDb: number;
}

export class Pipeline implements Servant {
  readonly counters: Counters;
  readonly answers: Answers;
  /** May change at any time. */
  maxPipeline: number;
  readonly limits: ClientLimits;
  readonly pinned: PinBudget;
  /** What keys take is measured by it; null while nobody asks. */
  usage: KeyUsage | null = null;
  /** The reply to what would be sent on, while nothing is; see loop-lag.ts. */
  shed: Buffer | null = null;
  readonly firstDb: number;
  readonly login: Login;
  readonly #on: PipelineParts;
  readonly #replicas: ReplicaReads | null;
  readonly #keys = new KeyPositions();
  #touched: Session[] = [];
  #untilVerified: number;

  constructor(parts: PipelineParts) {
    this.#on = parts;
    this.#replicas = parts.replicaReads;
    this.counters = parts.counters;
    this.answers = parts.answers;
    this.maxPipeline = parts.maxPipeline;
    this.limits = parts.limits;
    this.pinned = parts.pinned;
    this.firstDb = parts.firstDb;
    this.login = parts.login;
    this.#untilVerified = parts.verifier.draw();
  }

  get paused(): PauseMode {
    return this.#on.pause.mode;
  }

  /** Serves one request, or returns false if it must wait. */
  serve(session: Session, asked: RequestFrame): boolean {
    const { topology, jitter } = this.#on;
    if (session.leaseWaits === 0 && this.#hit(session, asked, session.tierSpace)) return true;
    let frame = asked;
    let command = this.#on.table().find(frame);
    if (session.leaseWaits > 0 && this.#on.leases?.order.admits(session, frame, command) === false)
      return false;
    if (jitter !== null && command !== null && command.expiry !== null) {
      frame = jitter.apply(asked, command, session.space);
      if (frame !== asked) command = this.#on.table().find(frame);
    }
    if (session.gathered.length > 0 && command?.increment == null) sendGathered(session);
    const last = session.lastCommand;
    session.lastCommand = command;
    if (session.restricted || command === null || !command.plain) {
      const outcome = this.#special(session, frame, command);
      // What waits behind a command that blocks does not count yet.
      if (outcome === HOLD && !session.postponed) session.lastCommand = last;
      if (outcome !== FORWARD) return outcome === DONE;
      if (command === null) return this.#askKeys(session, frame, null);
    } else if (this.#on.copyNames?.names(frame, command)) {
      return this.#on.dispatch.fail(session, COPY_NAMED);
    }
    if (this.shed !== null && session.pins === null) return this.#shed(session, this.shed);
    // Commands that were sent by an older map must be answered before the next one may overtake them elsewhere.
    if (session.generation !== topology.generation) {
      if (session.pending > 0) return false;
      session.generation = topology.generation;
    }
    // It would reach the server before a read of this client that travels with another client's.
    if (session.shared > 0 && (!command.isRead || session.shared >= SHARED_AT_ONCE)) return false;
    const fixed = command.fixedKey;
    if (fixed !== 0 && frame.argc > fixed) return this.#oneKey(session, frame, command, fixed);
    const count = findKeys(command, frame, this.#keys);
    if (count < 0) return this.#askKeys(session, frame, command);
    if (count === 0) return this.#on.manyKeys.keyless(session, frame, command);
    if (count === 1) return this.#oneKey(session, frame, command, this.#keys.at[0]);
    return this.#on.manyKeys.serve(session, frame, command, this.#keys);
  }

  upload(session: Session, frame: RequestFrame): Upload | typeof HOLD | typeof FORWARD {
    if (session.leaseWaits > 0) this.#on.leases?.order.beforeUpload(session);
    // With a subcommand or a key: what they say must be there.
    const command = frame.found < 2 ? null : this.#on.table().find(frame);
    if (command !== null && this.#on.copyNames?.names(frame, command, frame.found)) return FORWARD;
    return command === null ? FORWARD : this.#on.uploads.begin(session, frame, command);
  }

  /** To be called before the requests of a chunk. */
  chunkBegun(): void {
    this.#on.detector.advance(clock.ms);
  }

  /** The session has something to write, or may go on. */
  touched(session: Session): void {
    session.dirty = true;
    this.#touched.push(session);
  }

  left(session: Session): void {
    this.#on.own.left(session);
  }

  lapsed(session: Session): void {
    const waits = this.#on.leases?.waits;
    if (session.closed) waits?.forget(session);
    else waits?.leaves(session);
  }

  /** All replies of an upstream chunk were given out. */
  chunkDone(): void {
    const touched = this.#touched;
    if (touched.length === 0) return;
    this.#touched = [];
    for (let i = 0; i < touched.length; i++) {
      touched[i].dirty = false;
      touched[i].settle();
    }
  }

  /** Whether the request was answered from the tier, where it was asked before in that space. */
  #hit(session: Session, { view, start, end }: RequestFrame, space: number): boolean {
    const { tier } = this.#on;
    if (tier.entries === 0 || end - start > SHARED_MAX) return false;
    const entry = tier.find(hashBytes(view, start, end), space, view, start, end);
    if (entry === null || !tier.valid(entry, clock.ms)) return false;
    entry.used = true;
    entry.heat.hit();
    entry.load.spared++;
    if (this.usage !== null) this.usage.hit(entry);
    if (--this.#untilVerified <= 0) this.#verify(entry);
    this.counters[C.hit]++;
    session.reply(entry.reply);
    return true;
  }

  #verify(entry: Entry): void {
    const { verifier } = this.#on;
    this.#untilVerified = verifier.draw();
    verifier.verify(entry);
  }

  #oneKey(session: Session, frame: RequestFrame, command: Command, keyArgument: number): boolean {
    const { topology, detector, dispatch, downloads, rules, tierOn, leases, copies } = this.#on;
    const { buf, view, start, end, args } = frame;
    const keyStart = start + args[keyArgument * 2];
    const keyEnd = start + args[keyArgument * 2 + 1];
    const node = topology.ownerOf(buf, keyStart, keyEnd);
    if (node === null) return dispatch.fail(session, SLOT_UNSERVED);
    if (this.#replicas !== null && command.isRead) {
      if (this.#replicas.serve(session, frame, command, keyArgument, node)) return true;
    }
    const lane = session.laneTo(node);
    if (lane.congested) return awaitRoom(session, lane);
    const request = takeRequest(this.answers);
    request.space = session.space;
    request.keyHash = hashBytes(view, keyStart, keyEnd);
    if (command.isRead) {
      request.asks = command.asks;
      const heat = detector.count(request.keyHash, view, keyStart, keyEnd);
      if (leases !== null && command.cacheable && session.pins === null && end - start <= SHARED_MAX)
        leases.waits.enlist(frame, command, request, keyStart, keyEnd);
      if (downloads.knownUntil > clock.ms && downloads.expects(session, frame)) {
        this.#aside(session, frame, request, node);
        return true;
      }
      // Behind its own write a client's read goes the same way, so that it cannot overtake it.
      if (command.cacheable && session.writing === 0 && session.pins === null && end - start <= SHARED_MAX) {
        const settings = rules.of(buf, keyStart, keyEnd);
        if (settings.consistency !== 'off') {
          request.hash = flightHash(request.keyHash, view, start, end);
          request.keyStart = keyStart - start;
          request.keyEnd = keyEnd - start;
          request.mayFill = tierOn && settings.consistency === 'tracked';
          if (copies !== null) request.fanOut = copies.modeOf(settings);
          this.#on.reads.serve(session, frame, request, node, lane, heat, settings);
          return true;
        }
      }
      if (
        copies !== null &&
        command.draws &&
        heat !== null &&
        session.writing === 0 &&
        session.pins === null
      ) {
        request.keyStart = keyStart - start;
        request.keyEnd = keyEnd - start;
        request.fanOut = copies.modeOf(rules.of(buf, keyStart, keyEnd));
        if (copies.serve(session, frame, request, heat)) return true;
      }
    }
    if (command.increment !== null && this.#on.combining !== null) {
      if (this.#on.combining.join(session, frame, command, request, lane, keyStart, keyEnd)) return true;
      sendGathered(session);
    }
    dispatch.send(session, frame, command, request, lane, command.isWrite ? WRITES_KEY : NO_WRITE);
    return true;
  }

  /** A read whose reply is known to be large: nobody waits behind it, and nobody shares it. */
  #aside(session: Session, { buf, start, end }: RequestFrame, request: Request, node: UpstreamNode): void {
    this.counters[C.forwarded]++;
    this.counters[C.sentRead]++;
    session.enqueue(request);
    request.repeatable = true;
    holdBytes(request, buf, start, end);
    session.sendAside(request, node);
  }

  /** All that is not simply sent on: by whom it is asked, or what. `command` is null for an unknown one. */
  #special(session: Session, frame: RequestFrame, command: Command | null): Outcome {
    if (command !== null && speaksHttp(command.name)) {
      this.#on.attacked(session.address);
      this.counters[C.http]++;
      session.kill();
      return DONE;
    }
    const refused = this.#on.admission.serve(session, frame, command);
    if (refused !== FORWARD) return refused;
    if (command !== null && this.#on.copyNames?.names(frame, command)) {
      if (session.pins?.transaction?.open) session.pins.transaction.aborted = true;
      this.#on.dispatch.fail(session, COPY_NAMED);
      return DONE;
    }
    if (session.restricted) {
      const outcome = this.#on.own.guard(session, frame, command);
      if (outcome !== FORWARD) return outcome;
      // Who may see some keys only may be served from the tier now that the keys are known to be among them.
      if (session.pins === null && session.tierSpace !== session.space && session.leaseWaits === 0) {
        if (this.#hit(session, frame, session.space)) return DONE;
      }
    }
    if (command?.state === 'script' && !session.detourNext()) return HOLD;
    switch (command?.route) {
      case 'local':
        return this.#local(session, frame, command);
      case 'state':
        return this.#on.own.serve(session, frame, command);
      case 'wide':
        return this.#on.wide.serve(session, frame, command);
      case 'own':
        return this.#on.ownCommand.serve(session, frame, command);
      case 'refuse':
        return this.#refuse(session, command);
      default:
        return FORWARD;
    }
  }

  /** A command that changes the connection is served when it is the only one, so that it changes no other. */
  #local(session: Session, frame: RequestFrame, command: Command): Outcome {
    if (session.pending > 0) return HOLD;
    const asks = this.#on.login.asks(session, frame, command);
    if (asks === true) return HOLD;
    if (asks !== false) {
      this.#on.dispatch.fail(session, asks);
      return DONE;
    }
    const reply = answerLocally(command, frame, session, this.#on.facts);
    if (reply === null) return FORWARD;
    this.counters[C.local]++;
    session.reply(reply);
    return DONE;
  }

  #refuse(session: Session, { name, refusal }: Command): Outcome {
    this.counters[C.refused]++;
    session.reply(errorReply(refused(name, refusal)));
    return DONE;
  }

  #shed(session: Session, reply: Buffer): true {
    this.counters[C.shed]++;
    session.reply(reply);
    return true;
  }

  /**
   * A command that the table does not know, or cannot tell the keys of: COMMAND GETKEYS says where it belongs. What
   * the server does not know either goes to any node, for the server's own words.
   */
  #askKeys(session: Session, frame: RequestFrame, command: Command | null): boolean {
    if (session.shared > 0 || session.asking) return false;
    const asked = session.askedKeys;
    if (asked === null) {
      session.asking = true;
      const args = Array.from({ length: frame.argc }, (_, i) => Buffer.from(argument(frame, i)));
      this.#on.askKeys(args, command !== null).then((positions) => {
        session.asking = false;
        session.askedKeys = positions ?? NOWHERE;
        session.release();
      });
      return false;
    }
    session.askedKeys = null;
    const known = asked === NOWHERE ? NO_COMMAND : (command ?? UNKNOWN);
    this.#keys.count = 0;
    for (const position of asked) this.#keys.push(position);
    if (asked.length === 0) return this.#on.manyKeys.keyless(session, frame, known);
    return this.#on.manyKeys.serve(session, frame, known, this.#keys);
  }
}

const NOWHERE: readonly number[] = [];

/** What the session has said before goes first. */
function sendGathered(session: Session): void {
  for (const gathered of session.gathered) gathered.send();
  session.gathered.length = 0;
}
