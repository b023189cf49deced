// The one table of what a client can tell from Redis, as data: docs/differences.md is made from it, and the
// differential tests hold every other reply to the bytes of Redis.

import type { Topology } from './corpus/group.ts';
import { RELATIONS, WEAKER } from './relations.ts';

export interface Difference {
  /** In lower case, divided by spaces; a subcommand is `config|get`. */
  readonly commands: string;
  /** Only these of their calls, as the corpus writes them. */
  readonly calls?: RegExp;
  /** Only in front of these. */
  readonly topology?: Topology;
  /** heatsink's reply, CR LF excluded: nothing else is excused. */
  readonly reply: RegExp;
  readonly differs: string;
  readonly why: string;
}

const FACADE = 'heatsink presents itself as the one node that owns every slot, so that clients stay with it';

export const DIFFERENCES: readonly Difference[] = [
  {
    commands: 'client|setinfo',
    reply: /^\+OK$/,
    differs: 'it is taken in front of Redis older than 7.2 as well',
    why: 'clients send it unasked, and the connection that it describes is one to heatsink',
  },
  {
    commands: 'cluster|info cluster|links cluster|myid cluster|nodes cluster|shards cluster|slots',
    topology: 'cluster',
    reply: /^[^-]/,
    differs: 'one master with all 16,384 slots and no replicas, at the address of heatsink',
    why: FACADE,
  },
  {
    commands: 'scan',
    topology: 'cluster',
    reply: /^\*2\r\n\$\d+\r\n\d+\r\n\*/,
    differs: 'other cursors, and the keys spread over other replies',
    why: 'the walk goes over all masters, one after another',
  },
  {
    commands: 'publish',
    topology: 'cluster',
    reply: /^:\d+$/,
    differs: 'the number of receivers',
    why: 'a node counts its own subscribers alone, and those of heatsink hang on all nodes',
  },
  {
    commands: 'client|tracking',
    calls: /REDIRECT/,
    topology: 'cluster',
    reply: /^-ERR heatsink: on a cluster CLIENT TRACKING cannot redirect/,
    differs: 'REDIRECT is refused',
    why: 'the other client would have to be subscribed at every node; in RESP3 tracking needs no other client',
  },
  {
    commands: 'script|debug',
    reply: /^(\+OK|-ERR Use SCRIPT DEBUG YES\/SYNC\/NO)$/,
    differs: 'it does not complain of a pipeline',
    why: 'what a client sends in one go, heatsink need not pass on in one go',
  },
];

export interface Meaningless {
  readonly commands: string;
  readonly why: string;
}

/** Commands with no calls in the corpus: they have no meaning through a proxy, or none that can be compared. */
export const NOT_COMPARED: readonly Meaningless[] = [
  {
    commands: 'psync sync replconf restore-asking',
    why: 'servers send them to each other, over connections of their own',
  },
  {
    commands: 'shutdown replicaof slaveof failover',
    why: 'they are about one server process and its place: send them to that server itself',
  },
  {
    commands:
      'cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|delslots cluster|delslotsrange ' +
      'cluster|failover cluster|flushslots cluster|forget cluster|meet cluster|replicate cluster|reset ' +
      'cluster|saveconfig cluster|set-config-epoch cluster|setslot',
    why: 'in front of a cluster: they change one of its nodes, which heatsink follows',
  },
  { commands: 'pfselftest', why: 'a test of the server, which it holds up for a second' },
];

/** The text of docs/differences.md. */
export function differencesPage(): string {
  return `# Differences from Redis

<!-- Made by \`npm run docs\` from test/support/differences.ts and relations.ts; edit those files. -->

A differential test sends several calls of every command and subcommand in the server's own COMMAND table (right,
wrong number of arguments, wrong type, missing key, unknown subcommand, inside and outside transactions) to a
Redis and to heatsink in front of another one: in RESP2 and RESP3, in front of one server and of a cluster of
three masters, with the tier on and off. The bytes of the replies are the same, except:

${table(
  ['Commands', 'In front of', 'What differs', 'Why'],
  DIFFERENCES.map(({ commands, topology, differs, why }) => [
    shown(commands),
    topology ?? 'any',
    differs,
    why,
  ]),
)}
## Compared, but not byte by byte

No two servers give the same bytes for these. Their errors are the same byte by byte.

${table(
  ['Commands', 'Compared for', 'Why'],
  WEAKER.map(({ relation, commands, why }) => [shown(commands), RELATIONS[relation], why]),
)}
## Not compared

${table(
  ['Commands', 'Why'],
  NOT_COMPARED.map(({ commands, why }) => [shown(commands), why]),
)}`;
}

function shown(commands: string): string {
  return commands
    .split(' ')
    .map((name) => `\`${name.replace('|', ' ').toUpperCase()}\``)
    .join(', ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}
