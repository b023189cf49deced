// What each client of the load on a changing cluster does, over and over. Every request carries a value of its own,
// so that a reply to another request is noticed.

/** One request, and the keys that it is about. */
export interface Ask {
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** One client of the load; see topology-load.ts. */
export interface Player {
  readonly id: number;
  /** Whether the servers may lose what they have acknowledged. */
  readonly mayLose: boolean;
  /** Sends requests in one pipeline; the replies without their last line ends, errors with their `-`. */
  exchange(asked: readonly Ask[]): Promise<string[]>;
  /** Compares a reply, unless it is an error, with the one that is due. */
  expect(reply: string, due: string, asked: string): void;
  /** Takes down additions to counters: the new numbers, or errors. */
  counted(additions: readonly { name: string; reply: string }[]): Promise<void>;
  /** A hash tag. */
  anyName(): string;
}

export type Round = (player: Player, mark: string) => Promise<void>;

const SCRIPT = "return {redis.call('INCR', KEYS[1]), ARGV[1]}";

export const ask = (keys: readonly string[], ...args: string[]): Ask => ({ keys, args });
export const bulk = (text: string): string => `$${text.length}\r\n${text}`;
export const array = (...items: string[]): string => [`*${items.length}`, ...items].join('\r\n');

/** Counters of all clients. */
async function count(player: Player, mark: string): Promise<void> {
  const names = Array.from({ length: 5 }, () => `n:${player.anyName()}`);
  const asked = names.map((name) => ask([name], 'INCR', name));
  const replies = await player.exchange([...asked, ask([], 'ECHO', mark)]);
  player.expect(replies[5], bulk(mark), 'ECHO');
  await player.counted(names.map((name, i) => ({ name, reply: replies[i] })));
}

/** Keys that nobody else writes: what this client has written it reads, through the tier too. */
async function own(player: Player, mark: string): Promise<void> {
  const name = `own:${player.id}:${player.anyName()}`;
  const replies = await player.exchange([
    ask([], 'ECHO', mark),
    ask([name], 'SET', name, mark),
    ask([name], 'GET', name),
    ask([name], 'STRLEN', name),
    ask([name], 'GET', name),
  ]);
  player.expect(replies[0], bulk(mark), 'ECHO');
  player.expect(replies[1], '+OK', 'SET');
  // Behind a write that was not done, or that the servers may have lost, anything may be there.
  if (replies[1] !== '+OK' || player.mayLose) return;
  [bulk(mark), `:${mark.length}`, bulk(mark)].forEach((due, i) => {
    player.expect(replies[i + 2], due, `GET or STRLEN ${name}`);
  });
}

/** Several slots in one command. */
async function many(player: Player, mark: string): Promise<void> {
  const names = Array.from({ length: 4 }, (_, i) => `many:${player.id}:${i}:${player.anyName()}`);
  const [set, got] = await player.exchange([
    ask(names, 'MSET', ...names.flatMap((name, i) => [name, `${mark}${i}`])),
    ask(names, 'MGET', ...names),
  ]);
  player.expect(set, '+OK', 'MSET');
  const due = array(...names.map((_, i) => bulk(`${mark}${i}`)));
  if (set === '+OK' && !player.mayLose) player.expect(got, due, 'MGET');
}

/** Two counters that only ever go up together. */
async function pair(player: Player, mark: string): Promise<void> {
  const tag = player.anyName();
  const [one, other] = [`pair:${tag}`, `${tag}pair`];
  const replies = await player.exchange([
    ask([], 'MULTI'),
    ask([one], 'INCR', one),
    ask([other], 'INCR', other),
    ask([one], 'ECHO', mark),
    ask([one], 'EXEC'),
  ]);
  const exec = replies[4];
  const number = /^\*3\r\n(:\d+)\r\n/.exec(exec)?.[1] ?? exec;
  player.expect(exec, array(number, number, bulk(mark)), 'EXEC');
  await player.counted([one, other].map((name) => ({ name, reply: number })));
}

/** A counter that is read, and written if nobody has done so in between. */
async function optimist(player: Player, mark: string): Promise<void> {
  const name = `watched:${player.anyName()}`;
  const [watch, read, echo] = await player.exchange([
    ask([name], 'WATCH', name),
    ask([name], 'GET', name),
    ask([], 'ECHO', mark),
  ]);
  player.expect(echo, bulk(mark), 'ECHO');
  if (watch !== '+OK' || read.startsWith('-')) {
    await player.exchange([ask([name], 'UNWATCH')]);
    return;
  }
  const next = read === '$-1' ? 1 : Number(/^\$\d+\r\n(\d+)$/.exec(read)?.[1]) + 1;
  const [, , exec] = await player.exchange([
    ask([name], 'MULTI'),
    ask([name], 'SET', name, `${next}`),
    ask([name], 'EXEC'),
  ]);
  if (exec === '*-1') return;
  player.expect(exec, array('+OK'), 'EXEC after WATCH');
  await player.counted([{ name, reply: exec.startsWith('-') ? exec : `:${next}` }]);
}

async function script(player: Player, mark: string): Promise<void> {
  const name = `n:${player.anyName()}`;
  const [reply] = await player.exchange([ask([name], 'EVAL', SCRIPT, '1', name, mark)]);
  const number = /^\*2\r\n(:\d+)\r\n/.exec(reply)?.[1] ?? reply;
  player.expect(reply, array(number, bulk(mark)), 'EVAL');
  await player.counted([{ name, reply: number }]);
}

export const ROUNDS: readonly Round[] = [count, own, many, pair, optimist, script];
