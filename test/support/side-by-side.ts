// The same calls to a Redis and to heatsink in front of another one, call by call or all in one pipeline, and a
// list of the replies that differ.

import type { Argument } from '../../src/resp3/encode.ts';
import { type Call, type CorpusGroup, LAST, type Topology } from './corpus/group.ts';
import { DIFFERENCES, type Difference } from './differences.ts';
import type { TableRow } from './generated-calls.ts';
import type { RedisProcess } from './redis.ts';
import { sameReply } from './relations.ts';
import { waitFor } from './wait.ts';
import { Wire } from './wire.ts';

/** How long one end may be silent before its reply counts as missing, in milliseconds. */
const PATIENCE = 1500;
const ERROR = 0x2d;

export interface End {
  readonly port: number;
  /** All the servers that are behind that port. */
  readonly servers: readonly RedisProcess[];
}

export interface Setting {
  readonly topology: Topology;
  readonly protocol: 2 | 3;
  readonly redis: End;
  readonly heatsink: End;
  /** How often a read is sent, so that the tier gets to answer it. */
  readonly reads: number;
  readonly rows: ReadonlyMap<string, TableRow>;
}

export interface Outcome {
  /** What differs and is in no table, as text: the call, the reply of Redis and that of heatsink. */
  readonly mismatches: string[];
  /** Commands that Redis has answered with something else than an error. */
  readonly succeeded: Set<string>;
  /** Rows of the table of differences that were needed. */
  readonly excused: Set<Difference>;
}

/** Runs the calls one by one, on empty servers and new connections. A reply that never comes ends the group. */
export async function runGroup(group: CorpusGroup, setting: Setting, outcome: Outcome): Promise<void> {
  await emptied(setting);
  const sides = [new Side(setting.redis, setting.protocol), new Side(setting.heatsink, setting.protocol)];
  try {
    const calls = [...group.calls, ...sides[0].farewells(group)];
    for (const [at, call] of calls.entries()) {
      for (let i = 0; i < timesOf(call, setting, calls[at - 1]); i++) {
        const [redis, heatsink] = await Promise.all(sides.map((side) => side.exchange(call)));
        compare(group.title, call, redis.replies, heatsink.replies, setting, outcome);
        const broken = redis.failure || heatsink.failure;
        if (!broken) continue;
        const who = redis.failure ? 'Redis' : 'heatsink';
        outcome.mismatches.push(`${group.title}: ${call.text}\n  ${who} ${broken}; the rest was not run`);
        return;
      }
    }
  } finally {
    for (const side of sides) side.close();
  }
}

/** Whether the calls can be sent in one pipeline: one connection, and none waits for another reply. */
export function fitsPipeline({ calls }: CorpusGroup): boolean {
  return calls.every(({ connection, args }) => connection === 'a' && args.length > 0 && !args.includes(LAST));
}

/** Runs the calls in one pipeline, on empty servers and a new connection. Calls that end it are left out. */
export async function runPipeline(
  title: string,
  calls: readonly Call[],
  setting: Setting,
  outcome: Outcome,
): Promise<void> {
  await emptied(setting);
  const repeated = calls
    .filter(({ ends }) => !ends)
    .flatMap((call, i, all) => Array<Call>(timesOf(call, setting, all[i - 1])).fill(call));
  const count = repeated.reduce((sum, { replies }) => sum + replies, 0);
  const [redis, heatsink] = await Promise.all(
    [setting.redis, setting.heatsink].map(async ({ port }) => {
      const wire = await Wire.open(port, setting.protocol, PATIENCE);
      wire.sendAll(repeated.map(({ args }) => args));
      const replies: Buffer[] = [];
      try {
        while (replies.length < count) replies.push(...(await wire.replies(1)));
      } catch (error) {
        outcome.mismatches.push(
          `${title}: the pipeline\n  ${replies.length} of ${count} replies, then ${error}`,
        );
      }
      wire.close();
      return replies;
    }),
  );
  let at = 0;
  for (const call of repeated) {
    const end = at + call.replies;
    if (end > Math.min(redis.length, heatsink.length)) return;
    compare(title, call, redis.slice(at, end), heatsink.slice(at, end), setting, outcome);
    at = end;
  }
}

/** A read whose reply comes at once is repeated, but where what came before it is about one command. */
function timesOf(call: Call, setting: Setting, before: Call | undefined): number {
  const isRead = call.replies === 1 && setting.rows.get(commandOf(call, setting))?.isRead;
  const once = before !== undefined && wordsOf(before).join(' ') === 'client caching';
  return isRead && !once ? setting.reads : 1;
}

/** `config|get` for a call of it; empty for a call that sends nothing. */
function commandOf(call: Call, { rows }: Setting): string {
  const words = wordsOf(call);
  return rows.has(words.join('|')) ? words.join('|') : (words[0] ?? '');
}

const wordsOf = ({ args }: Call): string[] =>
  args.slice(0, 2).map((arg) => Buffer.from(`${arg}`).toString('latin1').toLowerCase());

function compare(
  title: string,
  call: Call,
  redis: readonly Buffer[],
  heatsink: readonly Buffer[],
  setting: Setting,
  outcome: Outcome,
): void {
  const command = commandOf(call, setting);
  if (redis.length > 0 && redis[0][0] !== ERROR) outcome.succeeded.add(command);
  if (redis.length === heatsink.length && redis.every((reply, i) => sameReply(command, reply, heatsink[i]))) {
    return;
  }
  // A command that Redis does not know has its row all the same.
  const words = wordsOf(call).join('|');
  const row = DIFFERENCES.find(
    ({ commands, calls, topology, reply }) =>
      commands.split(' ').some((name) => name === command || name === words) &&
      (calls?.test(call.text) ?? true) &&
      (topology ?? setting.topology) === setting.topology &&
      reply.test(Buffer.concat(heatsink).toString('latin1').slice(0, -2)),
  );
  if (row) outcome.excused.add(row);
  else {
    outcome.mismatches.push(
      `${title}: ${call.text.slice(0, 200)}\n  Redis    ${shown(redis)}\n  heatsink ${shown(heatsink)}`,
    );
  }
}

function shown(replies: readonly Buffer[]): string {
  return (
    replies.map((reply) => JSON.stringify(reply.toString('latin1', 0, 200))).join(', then ') || 'nothing'
  );
}

/** Empty servers on both sides, with nothing left of what an earlier group has set or begun. */
async function emptied({ redis, heatsink }: Setting): Promise<void> {
  await Promise.all([...redis.servers, ...heatsink.servers].map(emptyServer));
}

async function emptyServer({ client }: RedisProcess): Promise<void> {
  await client
    .pipeline([
      ['client', 'unpause'],
      ['flushall'],
      ['script', 'flush'],
      ['function', 'flush'],
      ['slowlog', 'reset'],
      ['latency', 'reset'],
      ['config', 'resetstat'],
      ['config', 'set', 'maxmemory-samples', '5'],
      ['acl', 'deluser', 'worker'],
    ])
    .exec();
  await waitFor(async () =>
    /rdb_bgsave_in_progress:0[\s\S]*aof_rewrite_in_progress:0/.test(await client.info()),
  );
}

interface Came {
  readonly replies: Buffer[];
  /** Why no more came, though it should have; empty when all is well. */
  readonly failure: string;
}

/** One end with the connections that a group has opened to it. */
class Side {
  readonly #end: End;
  readonly #protocol: 2 | 3;
  readonly #wires = new Map<string, Wire>();
  #last: Argument = '';

  constructor(end: End, protocol: 2 | 3) {
    this.#end = end;
    this.#protocol = protocol;
  }

  /** Sends the call and gathers what comes. */
  async exchange(call: Call): Promise<Came> {
    const replies: Buffer[] = [];
    try {
      if (call.blocked > 0) await waitFor(() => this.#areBlocked(call.blocked), PATIENCE);
      const wire = await this.#wire(call.connection);
      if (call.args.length > 0) wire.sendAll([call.args.map((arg) => (arg === LAST ? this.#last : arg))]);
      while (replies.length < call.replies) {
        replies.push(...(await wire.replies(1)));
        // Where several were to come, an error comes alone.
        if (replies[0][0] === ERROR) break;
      }
      if (call.ends) replies.push(await wire.rest());
    } catch (error) {
      return { replies, failure: `${error instanceof Error ? error.message : error}` };
    }
    if (call.args.length > 0 && replies.length === 1) this.#remember(replies[0]);
    return { replies, failure: '' };
  }

  /** A last word on each connection, which shows replies that should not have come. */
  farewells({ calls }: CorpusGroup): Call[] {
    const ended = new Set(calls.filter(({ ends }) => ends).map(({ connection }) => connection));
    const open = new Set(calls.map(({ connection }) => connection).filter((name) => !ended.has(name)));
    const args = ['ECHO', 'in step'];
    return [...open].map((connection) => ({
      ...{ text: `${connection}> ECHO "in step"`, connection, args, keys: [] },
      ...{ replies: 1, ends: false, blocked: 0 },
    }));
  }

  close(): void {
    for (const wire of this.#wires.values()) wire.close();
  }

  async #wire(name: string): Promise<Wire> {
    const wire = this.#wires.get(name) ?? (await Wire.open(this.#end.port, this.#protocol, PATIENCE));
    this.#wires.set(name, wire);
    return wire;
  }

  #remember(reply: Buffer): void {
    const lineEnd = reply.indexOf('\r\n');
    const type = String.fromCharCode(reply[0]);
    if (type === ':') this.#last = reply.subarray(1, lineEnd);
    if (type === '$' && reply.length > lineEnd + 2) this.#last = reply.subarray(lineEnd + 2, -2);
  }

  async #areBlocked(count: number): Promise<boolean> {
    const infos = await Promise.all(this.#end.servers.map(({ client }) => client.info('clients')));
    const blocked = infos.map((info) => Number(/blocked_clients:(\d+)/.exec(info)?.[1]));
    return blocked.reduce((sum, some) => sum + some, 0) >= count;
  }
}
