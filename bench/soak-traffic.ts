// The traffic of the soak: clients of all kinds that come, work for a while and go, on keys whose heat moves. Every
// value carries its key, so that a reply that belongs to another request is noticed whoever reads it.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Argument } from '../src/resp3/encode.ts';
import { Wire } from '../test/support/wire.ts';

const KEYS = 10_000;
/** Of the Zipf distribution: the hottest key gets about a tenth of all reads. */
const EXPONENT = 1.05;
/** Until other keys are hot, in milliseconds. */
const MOVES_EVERY = 5000;
/** Keys that the hot set moves on by: a prime, so that it comes back late. */
const MOVES_BY = 7919;
const LARGE_KEYS = 20;
const LARGE = { least: 100_000, most: 2_000_000 } as const;
const CHANNELS = 10;
/** A client stays for that long, and rests between two rounds, in milliseconds. */
const STAY = { least: 500, most: 20_000 } as const;
const REST = { least: 10, most: 30 } as const;
/** The longest that a client waits for a reply, in milliseconds. */
const PATIENCE = 30_000;
/** Time to finish what was begun, in milliseconds. */
const LEAVE = 2000;
const WRONG_KEPT = 20;

export interface Tally {
  requests: number;
  clients: number;
  /** Error replies and lost connections, by their words. */
  readonly errors: Map<string, number>;
  /** Replies that belong to no such request; the first few. */
  readonly wrong: string[];
  wrongs: number;
}

export interface Traffic {
  readonly tally: Tally;
  /** That many more clients, which read once and leave. */
  storm(clients: number): Promise<void>;
  /** Resolves when all clients have gone. */
  stop(): Promise<void>;
}

/** One client's view of the traffic. */
interface Visitor {
  readonly wire: Wire;
  /** Sends a pipeline; replies without their last line end, and null for those that are errors. */
  ask(commands: readonly (readonly Argument[])[]): Promise<(string | null)[]>;
  expect(right: boolean, asked: string, reply: string): void;
}

type Round = (visitor: Visitor) => Promise<void>;

const between = ({ least, most }: { least: number; most: number }): number =>
  least + Math.random() * (most - least);
const anyOf = (count: number): number => Math.floor(Math.random() * count);

const shares = new Float64Array(KEYS);
for (let rank = 0, sum = 0; rank < KEYS; rank++) {
  sum += 1 / (rank + 1) ** EXPONENT;
  shares[rank] = sum;
}

/** A key by its heat now. */
function anyItem(): string {
  const share = Math.random() * shares[KEYS - 1];
  let [low, high] = [0, KEYS - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shares[middle] < share) low = middle + 1;
    else high = middle;
  }
  const moved = Math.floor(performance.now() / MOVES_EVERY) * MOVES_BY;
  return String((low + moved) % KEYS);
}

const valueFor = (key: string, length = 20 + anyOf(500)): string => `${key}|${length}|${'x'.repeat(length)}`;

/** Whether it is no value, or one that was written for that key, whole. */
function belongs(reply: string, key: string): boolean {
  if (reply === '$-1') return true;
  const [, written, length, filling] = /^\$\d+\r\n([^|]*)\|(\d+)\|(x*)$/.exec(reply) ?? [];
  return written === key && filling.length === Number(length);
}

async function read(visitor: Visitor): Promise<void> {
  const keys = Array.from({ length: 16 }, () => `item:${anyItem()}`);
  const replies = await visitor.ask(keys.map((key) => ['GET', key]));
  replies.forEach((reply, i) => {
    if (reply !== null) visitor.expect(belongs(reply, keys[i]), `GET ${keys[i]}`, reply);
  });
}

async function write(visitor: Visitor): Promise<void> {
  const key = `item:${anyItem()}`;
  const lifetime = Math.random() < 0.3 ? ['PX', 100 + anyOf(5000)] : [];
  const [set, got] = await visitor.ask([
    ['SET', key, valueFor(key), ...lifetime],
    ['GET', key],
  ]);
  if (set !== null) visitor.expect(set === '+OK', `SET ${key}`, set);
  if (got !== null) visitor.expect(belongs(got, key), `GET ${key}`, got);
}

async function readMany(visitor: Visitor): Promise<void> {
  const keys = Array.from({ length: 8 }, () => `item:${anyItem()}`);
  const [reply] = await visitor.ask([['MGET', ...keys]]);
  if (reply === null) return;
  const values = reply.split(/\r\n(?=\$)/).slice(1);
  const right = values.length === keys.length && values.every((value, i) => belongs(value, keys[i]));
  visitor.expect(right, `MGET ${keys.join(' ')}`, reply);
}

async function transact(visitor: Visitor): Promise<void> {
  const tag = `{${anyItem()}}`;
  const value = valueFor(`${tag}bought`);
  const replies = await visitor.ask([
    ['MULTI'],
    ['SET', `${tag}bought`, value],
    ['GET', `${tag}bought`],
    ['INCR', `${tag}sold`],
    ['EXEC'],
  ]);
  const exec = replies[4];
  if (exec === null || replies.includes(null)) return;
  const due = `*3\r\n+OK\r\n$${value.length}\r\n${value}\r\n:`;
  visitor.expect(exec.startsWith(due), `EXEC of ${tag}`, exec);
}

async function moveLarge(visitor: Visitor): Promise<void> {
  const key = `large:${anyOf(LARGE_KEYS)}`;
  const [set] = await visitor.ask([['SET', key, valueFor(key, Math.floor(between(LARGE)))]]);
  if (set !== null) visitor.expect(set === '+OK', `SET ${key}`, set);
  const other = `large:${anyOf(LARGE_KEYS)}`;
  const [got] = await visitor.ask([['GET', other]]);
  if (got !== null) visitor.expect(belongs(got, other), `GET ${other}`, got);
  // It takes as much time as many small ones.
  await sleep(1000);
}

async function publish(visitor: Visitor): Promise<void> {
  const channels = Array.from({ length: 4 }, () => `channel:${anyOf(CHANNELS)}`);
  await visitor.ask(channels.map((channel) => ['PUBLISH', channel, valueFor(channel)]));
}

async function listen(visitor: Visitor): Promise<void> {
  const own = `channel:${anyOf(CHANNELS)}`;
  await visitor.ask([['SUBSCRIBE', own]]);
  for (let i = 0; i < 50; i++) {
    const reply = (await visitor.wire.replies(1))[0].toString('latin1').slice(0, -2);
    const [, value = reply] = reply.split(`*3\r\n$7\r\nmessage\r\n$${own.length}\r\n${own}\r\n`);
    visitor.expect(belongs(value, own), `SUBSCRIBE ${own}`, reply);
  }
  // Messages may come before the reply, so nobody can go on to ask for anything else.
  visitor.wire.close();
}

async function waitForWork(visitor: Visitor): Promise<void> {
  const queue = `queue:${anyItem()}`;
  const [, reply] = await visitor.ask([
    ['LPUSH', queue, valueFor(queue)],
    ['BLPOP', queue, '0.1'],
  ]);
  if (reply === null || reply === '*-1') return;
  const [, value = ''] = reply.split(`*2\r\n$${queue.length}\r\n${queue}\r\n`);
  visitor.expect(belongs(value, queue), `BLPOP ${queue}`, reply);
}

/** What clients do, and how many of a hundred do it. */
const ROLES: readonly (readonly [Round, number])[] = [
  [read, 40],
  [write, 20],
  [readMany, 8],
  [transact, 12],
  [moveLarge, 3],
  [publish, 5],
  [listen, 6],
  [waitForWork, 6],
];

const HATS = ROLES.flatMap(([round, share]) => Array<Round>(share).fill(round));

/** Starts that many clients; whoever leaves is replaced. */
export function startTraffic(port: number, clients: number): Traffic {
  const tally: Tally = { requests: 0, clients: 0, errors: new Map(), wrong: [], wrongs: 0 };
  const present = new Set<Wire>();
  let stopped = false;

  const fail = (words: string) => tally.errors.set(words, (tally.errors.get(words) ?? 0) + 1);

  function enter(): Visitor {
    tally.clients++;
    const wire = new Wire(port, PATIENCE);
    present.add(wire);
    return {
      wire,
      async ask(commands) {
        wire.sendAll(commands);
        const replies = await wire.replies(commands.length);
        tally.requests += commands.length;
        return replies.map((bytes) => {
          const reply = bytes.toString('latin1', 0, bytes.length - 2);
          if (reply[0] !== '-') return reply;
          fail(reply.slice(1).replaceAll(/\d+/g, 'N'));
          return null;
        });
      },
      expect(right, asked, reply) {
        if (right) return;
        tally.wrongs++;
        if (tally.wrong.length < WRONG_KEPT)
          tally.wrong.push(`${asked}: ${JSON.stringify(reply.slice(0, 200))}`);
      },
    };
  }

  async function visit(round: Round, stay: number): Promise<void> {
    const visitor = enter();
    try {
      const end = performance.now() + stay;
      while (!stopped && !visitor.wire.closed && performance.now() <= end) {
        await round(visitor);
        await sleep(between(REST));
      }
    } catch (error) {
      const [words] = (error as Error).message.split(': ');
      if (!stopped) fail(`(${round.name}: ${words.replaceAll(/\d+/g, 'N')})`);
    } finally {
      visitor.wire.close();
      present.delete(visitor.wire);
    }
  }

  const seats = Array.from({ length: clients }, async () => {
    while (!stopped) await visit(HATS[anyOf(HATS.length)], between(STAY));
  });
  return {
    tally,
    async storm(many) {
      await Promise.all(Array.from({ length: many }, () => visit(read, 1)));
    },
    async stop() {
      stopped = true;
      await sleep(LEAVE);
      // Who listens has nothing more to hear.
      for (const wire of present) wire.close();
      await Promise.all(seats);
    },
  };
}
