// Logins that the upstream decides: AUTH goes to it over a connection that serves for nothing else, and its word is
// the client's. From then on the client's commands go over connections of that user.
// https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/

import { clock } from '../clock.ts';
import { argumentIs, argumentText } from '../commands/argument.ts';
import type { Command } from '../commands/command.ts';
import { encodeRequest, errorReply } from '../resp3/encode.ts';
import { TYPE } from '../resp3/reply-frame.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { Call } from '../upstream/call.ts';
import type { Lane } from '../upstream/lane.ts';
import { releaseBytes } from '../upstream/outgoing.ts';
import { type Identity, spaceOf } from '../upstream/space.ts';
import type { Topology } from '../upstream/topology.ts';
import type { Identities } from './identities.ts';
import { type Login, type Visitor, WRONG_PASSWORD } from './login.ts';
import { EVERYTHING, NOTHING, type Rights } from './rights.ts';

/** A server closes a connection that is not logged in and sends longer arguments. In bytes. */
const LONGEST = 16_384;
const TOO_MANY = errorReply('ERR heatsink: too many users of the upstream are logged in through it');
const SELECT = encodeRequest(['SELECT', 0]);
const PING = encodeRequest(['PING']);
/** An administrative command that changes nothing: who may send it is taken for an admin. */
const ADMINISTRATIVE = encodeRequest(['CONFIG', 'GET', 'databases']);
/** Commands that need no login, or are one. */
const WITHOUT_LOGIN = new Set(['auth', 'quit', 'reset']);

/** Of the connections over which logins are tried. */
const DOOR: Identity = { username: '', password: null };
/** Of those of clients that have not logged in. */
const NOBODY: Identity = { username: '', password: null };
const UNNAMED: Rights = { ...NOTHING, identity: NOBODY };

/** What the upstream says of one login. */
interface Verdict {
  /** Its error reply, or null. */
  error: Buffer | null;
  admin: boolean;
}

/** What is asked for one client, whose request waits meanwhile. */
interface Question {
  readonly verdicts: Verdict[];
  /** Why the server refuses the command itself. */
  refusal: Buffer | null;
  missing: number;
}

export class UpstreamLogin implements Login {
  readonly #unnamed: Rights;
  readonly #topology: Topology;
  readonly #identities: Identities;
  readonly #questions = new WeakMap<Visitor, Question>();
  /** Those for the request that is being answered. */
  #verdicts: Verdict[] = [];
  /** Who was told by now whether it may do without a login, or waits for it. */
  readonly #nobodies = new WeakMap<Visitor, 'waits' | 'told'>();

  /** `open`: who does not log in is heatsink's own user to the upstream; else nobody. */
  constructor(topology: Topology, identities: Identities, open: boolean) {
    this.#unnamed = open ? EVERYTHING : UNNAMED;
    this.#topology = topology;
    this.#identities = identities;
  }

  enter(local: boolean): Rights {
    return { ...this.#unnamed, admin: local };
  }

  authenticate(visitor: Visitor, name: string | null, password: string): Buffer | null {
    const verdict = this.#verdicts.shift();
    if (verdict === undefined) return WRONG_PASSWORD;
    if (verdict.error !== null) return verdict.error;
    const identity = this.#identities.take(name ?? 'default', password);
    if (identity === null) return TOO_MANY;
    this.leave(visitor);
    visitor.rights = { ...EVERYTHING, name: identity.username, admin: verdict.admin, identity };
    return null;
  }

  /**
   * Once it may, it may for ever, as with a server that gets a password later on. Until then it is asked for each
   * request, so that the server can have its password taken away.
   */
  asksFirst(visitor: Visitor, frame: RequestFrame, command: Command | null): boolean {
    const { authenticated, identity } = visitor.rights;
    const name = command?.name ?? '';
    if (authenticated || identity !== NOBODY || WITHOUT_LOGIN.has(name)) return false;
    if (name === 'hello' && loginsOf(frame).length > 0) return false;
    const state = this.#nobodies.get(visitor);
    if (state === undefined) this.#tryNobody(visitor);
    else if (state === 'told') this.#nobodies.delete(visitor);
    return state !== 'told';
  }

  asks(visitor: Visitor, frame: RequestFrame, command: Command): boolean | Buffer {
    let question = this.#questions.get(visitor);
    if (question === undefined) {
      question = this.#ask(visitor, frame, command);
      // No answer comes within the call.
      if (question.missing > 0) this.#questions.set(visitor, question);
    }
    if (question.missing > 0) return true;
    this.#questions.delete(visitor);
    this.#verdicts = question.verdicts;
    return question.refusal ?? false;
  }

  leave({ rights }: Visitor): void {
    if (rights.identity !== null) this.#identities.give(rights.identity, clock.ms);
  }

  #ask(visitor: Visitor, frame: RequestFrame, command: Command): Question {
    const question: Question = { verdicts: [], refusal: null, missing: 0 };
    const { name } = command;
    if (name === 'auth' && frame.argc <= 3) this.#tryLogin(visitor, question, frame, 1, frame.argc - 1);
    else if (name === 'hello')
      for (const at of loginsOf(frame)) this.#tryLogin(visitor, question, frame, at, 2);
    else if (name === 'select' && visitor.rights.identity !== null) this.#trySelect(visitor, question);
    return question;
  }

  /** Asks whether its user may change databases: connections are in theirs before that user logs in. */
  #trySelect(visitor: Visitor, question: Question): void {
    const lane = this.#laneOf(visitor, visitor.rights.identity as Identity);
    question.missing++;
    this.#call(lane, SELECT, (error) => {
      question.refusal = error;
      if (--question.missing === 0) visitor.release();
    });
  }

  /** Asks for the login by `count` arguments from `at`: a password, or a name and a password. */
  #tryLogin(visitor: Visitor, question: Question, frame: RequestFrame, at: number, count: number): void {
    const verdict: Verdict = { error: null, admin: false };
    question.verdicts.push(verdict);
    const args = Array.from({ length: count }, (_, i) => Buffer.from(argumentText(frame, at + i), 'latin1'));
    if (args.some(({ length }) => length > LONGEST)) {
      verdict.error = WRONG_PASSWORD;
      return;
    }
    const lane = this.#laneOf(visitor, DOOR);
    question.missing += 2;
    const done = (): void => {
      if (--question.missing === 0) visitor.release();
    };
    this.#call(lane, encodeRequest(['AUTH', ...args]), (error) => {
      verdict.error = error;
      done();
    });
    // Right behind it on the same connection: it is answered as that user, if it is that user now.
    this.#call(lane, ADMINISTRATIVE, (error) => {
      verdict.admin = error === null;
      done();
    });
  }

  /** Asks whether clients may do without a login. */
  #tryNobody(visitor: Visitor): void {
    this.#nobodies.set(visitor, 'waits');
    const { rights } = visitor;
    this.#call(this.#laneOf(visitor, NOBODY), PING, (error, replied) => {
      this.#nobodies.set(visitor, 'told');
      const authenticated = error === null || !error.toString('latin1').startsWith('-NOAUTH');
      // Without an upstream nothing but its absence can be told; that makes nobody an admin.
      visitor.rights = { ...rights, authenticated, admin: rights.admin && replied };
      visitor.release();
    });
  }

  #laneOf(visitor: Visitor, identity: Identity): Lane {
    const { nodes } = this.#topology;
    return nodes[visitor.id % nodes.length].lane(spaceOf(2, 0, identity), visitor.id);
  }

  /** `answered` gets the error reply or null, and whether it is the server's. */
  #call(lane: Lane, request: Buffer, answered: (error: Buffer | null, replied: boolean) => void): void {
    const call = new Call({
      replied(_, buf, start, end) {
        releaseBytes(call);
        answered(buf[start] === TYPE.error ? Buffer.from(buf.subarray(start, end)) : null, true);
      },
      failed(_, reason) {
        releaseBytes(call);
        answered(errorReply(`ERR heatsink: cannot log in at ${reason}`), false);
      },
    });
    lane.send(call, request, 0, request.length);
    lane.seal();
  }
}

/** Where the names stand in HELLO's AUTH options, up to what is no option. */
function loginsOf(frame: RequestFrame): number[] {
  const found: number[] = [];
  for (let i = 2; i < frame.argc; i++) {
    const more = frame.argc - 1 - i;
    if (more >= 2 && argumentIs(frame, i, 'auth')) {
      found.push(i + 1);
      i += 2;
    } else if (more >= 1 && argumentIs(frame, i, 'setname')) i++;
    else break;
  }
  return found;
}
