// What the common scenario asks of a client library, whichever it is; see scenario.ts and scenario-*.ts beside it.

export type Arg = string | Buffer;
export type Command = readonly Arg[];

/** A message, and the channel that it came on. */
export type OnMessage = (message: string, channel: string) => void;

export interface ScenarioClient {
  /** The reply as texts in one row, however it is nested; see `texts`. Rejects with the words of an error. */
  call(...args: Command): Promise<(string | null)[]>;
  /** The bytes of a bulk reply. */
  bytes(...args: Command): Promise<Buffer>;
  /** All in the client's own kind of pipeline; an Error where a reply is one. */
  pipeline(commands: readonly Command[]): Promise<(readonly (string | null)[] | Error)[]>;
  /** Watches keys, waits for `before`, then runs the commands by MULTI and EXEC; null when a key was changed. */
  transaction(
    watched: readonly string[],
    before: () => Promise<unknown>,
    commands: readonly Command[],
  ): Promise<(string | null)[] | null>;
  /** Resolves when subscribed; the function that it gives ends that. */
  subscribe(
    kind: 'channel' | 'pattern' | 'shard',
    name: string,
    onMessage: OnMessage,
  ): Promise<() => Promise<unknown>>;
  /** Runs `BUMP` by the client's own help for scripts: EVALSHA, and EVAL when the server does not know it. */
  bump(key: string, by: string): Promise<(string | null)[]>;
  /** Every key that matches, by the client's own iteration. */
  scan(pattern: string): Promise<string[]>;
  /** GET, perhaps from the client's own memory. */
  get(key: string): Promise<string | null>;
  /** Reads answered from the client's own memory; absent where it has none. */
  hits?(): number;
  /** Another client of the same kind. */
  another(): Promise<ScenarioClient>;
  close(): unknown;
}

/** One client library in one setting. */
export interface ScenarioKind {
  readonly name: string;
  open(port: number): Promise<ScenarioClient>;
  /** It asks for the topology of a cluster and follows it. */
  readonly clusterMode?: boolean;
  /** What it cannot do by itself, whoever answers. */
  readonly lacks?: readonly ('watch' | 'shard' | 'select')[];
}

/** A script that adds to a number and tells what it was given. */
export const BUMP = "return {redis.call('INCRBY', KEYS[1], ARGV[1]), ARGV[1]}";

/** A reply of any client as texts in one row: arrays and maps flattened, numbers as text, null for nil. */
export function texts(reply: unknown): (string | null)[] {
  if (reply === null || reply === undefined) return [null];
  if (Array.isArray(reply)) return reply.flatMap(texts);
  if (Buffer.isBuffer(reply)) return [reply.toString()];
  if (reply instanceof Map) return [...reply].flatMap(texts);
  if (reply instanceof Set) return [...reply].flatMap(texts);
  if (reply instanceof Error) throw reply;
  if (typeof reply === 'object') return Object.entries(reply).flatMap(texts);
  return [String(reply)];
}
