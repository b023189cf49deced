// The commands about the client's own connection, which heatsink answers itself with Redis's own words: behind
// it lie other connections, and none of them is the client's.

import {
  arrayReply,
  bulkString,
  errorReply,
  integerReply,
  mapReply,
  OK,
  simpleString,
} from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import type { ServerFacts } from '../upstream/describe.ts';
import { argumentIs, argumentText } from './argument.ts';
import { clientGetName, clientId, clientSetInfo, clientSetName } from './client-commands.ts';
import { type ClientState, parseInteger, setName } from './client-state.ts';
import type { Command } from './command.ts';

export type { ServerFacts } from '../upstream/describe.ts';
export type { ClientState } from './client-state.ts';

type Answer = (frame: RequestFrame, client: ClientState, facts: ServerFacts) => Buffer | null;

const NOAUTH = errorReply(
  'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option ' +
    'can be used to authenticate the client and select the RESP protocol version at the same time',
);

const ANSWERS: ReadonlyMap<string, { readonly arity: number; readonly answer: Answer }> = new Map([
  ['hello', { arity: -1, answer: hello }],
  ['auth', { arity: -2, answer: auth }],
  ['select', { arity: 2, answer: select }],
  ['reset', { arity: 1, answer: reset }],
  ['quit', { arity: -1, answer: quit }],
  ['client|id', { arity: 2, answer: clientId }],
  ['client|getname', { arity: 2, answer: clientGetName }],
  ['client|setname', { arity: 3, answer: clientSetName }],
  ['client|setinfo', { arity: 4, answer: clientSetInfo }],
  ['acl|whoami', { arity: 2, answer: aclWhoAmI }],
]);

/** Words of an HTTP request, which a web page can make a browser send: whoever says them is hung up on, as by Redis. */
const OF_HTTP = ['post', 'host:'];

/** The commands answered here, in lower case, and the number of arguments of each, as COMMAND gives it. */
export const LOCAL_ARITY: ReadonlyMap<string, number> = new Map([
  ...Array.from(ANSWERS, ([name, { arity }]) => [name, arity] as const),
  ...OF_HTTP.map((word) => [word, -1] as const),
]);

export function isAnsweredLocally(name: string): boolean {
  return LOCAL_ARITY.has(name);
}

/** Whether that is a word of another protocol, after which nothing more is read of the connection. */
export function speaksHttp(name: string): boolean {
  return OF_HTTP.includes(name);
}

/**
 * The reply to a request about the client's own connection, after changing `client` accordingly. Null when the
 * upstream has the better answer: above all to a wrong number of arguments, which no server takes, so nothing there
 * changes.
 */
export function answerLocally(
  command: Command,
  frame: RequestFrame,
  client: ClientState,
  facts: ServerFacts,
): Buffer | null {
  const local = ANSWERS.get(command.name);
  if (local === undefined) return null;
  const { arity, answer } = local;
  if (arity >= 0 ? frame.argc !== arity : frame.argc < -arity) return null;
  return answer(frame, client, facts);
}

/**
 * HELLO [2|3 [AUTH user password] [SETNAME name]]. As in Redis, options take effect one by one, and those
 * before a wrong one stay.
 * @see https://redis.io/docs/latest/commands/hello/
 */
function hello(frame: RequestFrame, client: ClientState, facts: ServerFacts): Buffer {
  let protocol = client.protocol;
  if (frame.argc > 1) {
    const version = parseInteger(argumentText(frame, 1));
    if (version === null) return errorReply('ERR Protocol version is not an integer or out of range');
    if (version !== 2n && version !== 3n) return errorReply('NOPROTO unsupported protocol version');
    protocol = version === 3n ? 3 : 2;
  }
  for (let i = 2; i < frame.argc; i++) {
    const more = frame.argc - 1 - i;
    if (more >= 2 && argumentIs(frame, i, 'auth')) {
      const refused = client.authenticate(argumentText(frame, i + 1), argumentText(frame, i + 2));
      if (refused !== null) return refused;
      i += 2;
    } else if (more >= 1 && argumentIs(frame, i, 'setname')) {
      const refused = setName(client, argumentText(frame, ++i));
      if (refused !== null) return refused;
    } else {
      // Redis prints the option as a C string, which ends at a zero byte.
      return errorReply(`ERR Syntax error in HELLO option '${argumentText(frame, i).split('\0')[0]}'`);
    }
  }
  if (!client.authenticated) return NOAUTH;
  client.protocol = protocol;
  return mapReply(protocol, [
    ['server', bulkString('redis')],
    ['version', bulkString(facts.version)],
    ['proto', integerReply(protocol)],
    ['id', integerReply(client.id)],
    ['mode', bulkString(facts.mode)],
    ['role', bulkString('master')],
    ['modules', arrayReply([])],
  ]);
}

/**
 * AUTH [user] password.
 * @see https://redis.io/docs/latest/commands/auth/
 */
function auth(frame: RequestFrame, client: ClientState): Buffer {
  if (frame.argc > 3) return errorReply('ERR syntax error');
  const name = frame.argc === 2 ? null : argumentText(frame, 1);
  return client.authenticate(name, argumentText(frame, frame.argc - 1)) ?? OK;
}

/** ACL WHOAMI: of a user that the server does not know; of all others it knows best. */
function aclWhoAmI(_frame: RequestFrame, client: ClientState): Buffer | null {
  return client.ownUser ? bulkString(client.user) : null;
}

/** SELECT index. */
function select(frame: RequestFrame, client: ClientState, facts: ServerFacts): Buffer {
  const index = parseInteger(argumentText(frame, 1));
  if (index === null) return errorReply('ERR value is not an integer or out of range');
  if (BigInt.asIntN(32, index) !== index) {
    return errorReply('ERR value is out of range, value must between -2147483648 and 2147483647');
  }
  if (facts.mode === 'cluster' && index !== 0n) {
    return errorReply('ERR SELECT is not allowed in cluster mode');
  }
  if (index < 0n || index >= facts.databases) return errorReply('ERR DB index is out of range');
  client.db = Number(index);
  return OK;
}

/** RESET: back to what a new connection has. The library's name stays, as it still is that library. */
function reset(_frame: RequestFrame, client: ClientState): Buffer {
  client.forget();
  client.name = '';
  client.protocol = 2;
  client.db = 0;
  return simpleString('RESET');
}

function quit(_frame: RequestFrame, client: ClientState): Buffer {
  client.closing = true;
  return OK;
}
