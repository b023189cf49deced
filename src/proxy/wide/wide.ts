// Commands that a cluster answers as one server would: SCAN walks over all shards, INFO adds them up, a script that
// one of them knows is known to all. And those in which heatsink itself takes part: INFO, CONFIG and CLUSTER.

import { argumentText } from '../../commands/argument.ts';
import { parseInteger } from '../../commands/client-state.ts';
import type { Command } from '../../commands/command.ts';
import { textOf } from '../../commands/elements.ts';
import { connectedClients, heatsinkSection, type OwnState } from '../../commands/heatsink-info.ts';
import { mergeInfo, withAdded, withField } from '../../commands/info.ts';
import { fits } from '../../commands/keys.ts';
import { mergeSlowlogs } from '../../commands/merge-special.ts';
import { configGet, configSet, type Tunables, withOwn } from '../../commands/tunables.ts';
import { C, type Counters, G } from '../../counters.ts';
import type { HiddenCopies } from '../../fanout/hidden.ts';
import { encodeRequest, mapReply, nullReply, textReply } from '../../resp3/encode.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Topology } from '../../upstream/topology.ts';
import type { Answers } from '../answers.ts';
import { expectReply, settleLater } from '../client-calls.ts';
import { DONE, FORWARD, type Outcome } from '../outcome.ts';
import type { Peers } from '../peers.ts';
import type { Scatter } from '../scatter.ts';
import type { Session } from '../session.ts';
import type { Facade } from './facade.ts';
import { bytesOf, Gather, partTo, unlessFailed } from './gather.ts';
import { ScanWalk } from './scan-walk.ts';
import { ScriptCalls } from './script-calls.ts';
import type { Scripts } from './scripts.ts';

export interface WideOptions {
  readonly topology: Topology;
  readonly scatter: Scatter;
  readonly answers: Answers;
  readonly scripts: Scripts;
  readonly facade: Facade;
  readonly tunables: Tunables;
  /** What INFO tells of heatsink. */
  readonly state: () => OwnState;
  /** How many clients may be connected. */
  readonly maxClients: () => number;
  readonly peers: Peers;
  readonly counters: Counters;
  /** The sums over all workers. */
  readonly totals: () => Counters;
  /** Null where there are none. */
  readonly hidden: HiddenCopies | null;
}

type Serve = (session: Session, frame: RequestFrame, command: Command) => Outcome;

const DBSIZE = encodeRequest(['DBSIZE']);
const RANDOMKEY = encodeRequest(['RANDOMKEY']);
/** Sections of INFO in which all others are. */
const WHOLE = new Set(['default', 'all', 'everything']);
/** SLOWLOG GET without a number. */
const SLOWLOG_COUNT = 10n;
const MINUS = 0x2d;
/** So often each master is asked for a random key where copies are among its keys. */
const DRAWS = 16;

export class Wide {
  readonly #on: WideOptions;
  readonly #gather: Gather;
  /** By command; those that are not in here are about CLUSTER. */
  readonly #served: ReadonlyMap<string, Serve>;

  constructor(options: WideOptions) {
    this.#on = options;
    const { topology, scripts, hidden } = options;
    this.#gather = new Gather(options);
    const own: [string, Serve][] = [
      ['info', (session, frame, command) => this.#info(session, frame, command)],
      ['config|get', (session, frame, command) => this.#configGet(session, frame, command)],
      ['config|set', (session, frame) => this.#configSet(session, frame)],
    ];
    const walk = new ScanWalk(topology, this.#gather, hidden);
    const calls = new ScriptCalls(topology, scripts, this.#gather);
    const sha: Serve = (session, frame, command) => calls.evalSha(session, frame, command);
    const shards: [string, Serve][] = [
      ['scan', (session, frame, command) => walk.serve(session, frame, command)],
      ['randomkey', (session, _, command) => this.#randomKey(session, command)],
      ['slowlog|get', (session, frame, command) => this.#slowlog(session, frame, command)],
      ['eval', (_, frame) => calls.remember(frame, 1)],
      ['eval_ro', (_, frame) => calls.remember(frame, 1)],
      ['evalsha', sha],
      ['evalsha_ro', sha],
      ['script|load', (_, frame) => calls.remember(frame, 2)],
      ['script|flush', () => calls.forgetAll()],
      ['script|exists', (session, frame, command) => calls.exists(session, frame, command)],
    ];
    // One server does all of that itself.
    const asShards = shards.map(([name, serve]) => [name, topology.cluster ? serve : forward] as const);
    this.#served = new Map([...own, ...asShards]);
  }

  /** Serves a command whose route is `wide`. */
  serve(session: Session, frame: RequestFrame, command: Command): Outcome {
    // The server says what is wrong with it.
    if (!fits(command, frame)) return FORWARD;
    const serve = this.#served.get(command.name);
    return serve === undefined ? this.#cluster(session, frame, command) : serve(session, frame, command);
  }

  /** A shard drawn by its number of keys, so that each key of the cluster is as likely as with one server. */
  #randomKey(session: Session, command: Command): Outcome {
    const { topology, hidden } = this.#on;
    const { nodes } = topology;
    const none = nullReply(session.protocol);
    // Some may turn out to be copies of other keys.
    const draws = Array.from({ length: hidden === null ? 1 : DRAWS }, () => RANDOMKEY);
    const parts = nodes.flatMap((node) => [DBSIZE, ...draws].map((request) => partTo(node, request)));
    const merge = unlessFailed((replies) => {
      const shards = nodes.map((_, i) => {
        const [size, ...keys] = replies.slice(i * (draws.length + 1), (i + 1) * (draws.length + 1));
        return { size: Number(textOf(size)), key: keys.find((key) => !hidden?.isCopy(key)) ?? none };
      });
      // What DBSIZE counts may have expired by now.
      const withKeys = shards.filter(({ key }) => key[0] === TYPE.bulk && key[1] !== MINUS);
      return (drawBySize(withKeys) ?? shards[0]).key;
    });
    return this.#gather.send(session, command, parts, merge);
  }

  #slowlog(session: Session, frame: RequestFrame, command: Command): Outcome {
    const count = frame.argc === 2 ? SLOWLOG_COUNT : parseInteger(argumentText(frame, 2));
    if (count === null || count < -1n || frame.argc > 3) return FORWARD;
    const merge = (replies: readonly Buffer[]) => mergeSlowlogs(replies, Number(count));
    return this.#gather.fromAll(session, command, bytesOf(frame), merge);
  }

  /**
   * The upstream's INFO, with heatsink's section behind it. Counts of clients are those of heatsink's clients: the
   * servers see its connections only, and not whom it holds back itself.
   */
  #info(session: Session, frame: RequestFrame, command: Command): Outcome {
    const { topology, facade, totals, state, maxClients } = this.#on;
    const sections = Array.from({ length: frame.argc - 1 }, (_, i) => argumentText(frame, i + 1));
    const theirs = sections.filter((section) => section.toLowerCase() !== 'heatsink');
    const named = theirs.length < sections.length;
    const whole = sections.length === 0 || theirs.some((section) => WHOLE.has(section.toLowerCase()));
    const own = () => (named || whole ? heatsinkSection(state(), totals()) : '');
    if (named && theirs.length === 0) return this.#reply(session, textReply(session.protocol, own()));
    const request = encodeRequest(['INFO', ...theirs.map((section) => Buffer.from(section, 'latin1'))]);
    const nodes = topology.cluster ? topology.nodes : [this.#gather.anyNode(session)];
    const parts = nodes.map((node) => partTo(node, request));
    const merge = unlessFailed((replies) => {
      const texts = replies.map(textOf);
      const merged = texts.length > 1 ? mergeInfo(texts) : texts[0];
      const counters = totals();
      const connected = withField(merged, 'connected_clients', connectedClients(counters));
      const limited = withField(connected, 'maxclients', maxClients());
      const blocked = withAdded(limited, 'blocked_clients', counters[G.held]);
      const counted = withAdded(blocked, 'tracking_clients', -counters[G.tracked]);
      const text = [facade.completeInfo(counted), own()].filter((block) => block !== '').join('\r\n');
      // The kind of string that the server gave.
      return textReply(replies[0][0] === TYPE.bulk ? 2 : 3, text);
    });
    return this.#gather.send(session, command, parts, merge);
  }

  #configGet(session: Session, frame: RequestFrame, command: Command): Outcome {
    const { own, server } = configGet(frame, this.#on.tunables);
    if (!server) return this.#reply(session, withOwn(mapReply(session.protocol, []), own));
    if (own.length === 0) return FORWARD;
    const parts = [partTo(this.#gather.anyNode(session), bytesOf(frame))];
    return this.#gather.send(session, command, parts, ([reply]) => withOwn(reply, own));
  }

  /** All workers have the new values before the client is told so. */
  #configSet(session: Session, frame: RequestFrame): Outcome {
    const { tunables, peers, answers, counters } = this.#on;
    const { reply, changed } = configSet(frame, tunables);
    if (reply === null) return FORWARD;
    if (changed.length === 0 || !peers.any) return this.#reply(session, reply);
    counters[C.local]++;
    const request = expectReply(session, answers);
    peers.ask('configure', changed).then(() => settleLater(session, answers, request, reply));
    return DONE;
  }

  /** CLUSTER, and what clients in cluster mode say to their connections. */
  #cluster(session: Session, frame: RequestFrame, command: Command): Outcome {
    const { facade } = this.#on;
    const reply = facade.answer(session, frame, command);
    if (reply !== null) return this.#reply(session, reply);
    const owner = facade.ownerAsked(frame, command);
    if (owner === null) return FORWARD;
    return this.#gather.send(session, command, [partTo(owner, bytesOf(frame))], ([answer]) => answer);
  }

  #reply(session: Session, bytes: Buffer): typeof DONE {
    this.#on.counters[C.local]++;
    session.reply(bytes);
    return DONE;
  }
}

function forward(): typeof FORWARD {
  return FORWARD;
}

/** One of them, each as likely as its share of all keys; null of none. */
function drawBySize<Shard extends { readonly size: number }>(shards: readonly Shard[]): Shard | null {
  let left = Math.random() * shards.reduce((sum, { size }) => sum + size, 0);
  for (const shard of shards) {
    left -= shard.size;
    if (left < 0) return shard;
  }
  return shards.at(-1) ?? null;
}
