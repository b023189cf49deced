// The options as a Markdown page, made from the schema so that it cannot fall behind it.

import { GROUPS } from '../access/guarded.ts';
import { describeDefault, envName, type Option } from './option.ts';
import { rulesTable } from './rule-types.ts';
import { OPTION_ENTRIES } from './schema.ts';

/** The text of docs/configuration.md. */
export function configurationPage(): string {
  return `# Configuration

<!-- Made by \`npm run docs\` from src/config/schema.ts; edit that file. -->

Every option can be given as a flag, in the environment and in a YAML file (\`--config FILE\` or
\`HEATSINK_CONFIG\`). A flag wins over the environment, the environment over the file, the file over the default.

- In the file, options are nested by their dotted names: \`hot.window\` is \`window\` under \`hot\`. An option
  without a value keeps its default. [config.example.yaml](../config.example.yaml) holds all of them.
- The environment name is \`HEATSINK_\` and the flag in capitals: \`--hot-window\` is \`${envName('hot-window')}\`.
  An empty variable counts as not set.
- A value that is not accepted, an unknown key, flag or \`HEATSINK_\` variable ends heatsink with exit code 2 and
  a line for each problem. \`heatsink check-config FILE\` checks a file without starting anything.
- Clients read the options with \`CONFIG GET heatsink.*\`, and change those that are marked live with
  \`CONFIG SET heatsink.hot.threshold 1000\`, until heatsink is started again. Passwords are not shown.
- In sizes, \`k\`, \`m\` and \`g\` are powers of 1000; \`kb\`, \`mb\`, \`gb\` and \`KiB\`, \`MiB\`, \`GiB\` powers of 1024.

${optionsTable()}
## Users

Where \`users\` are listed, heatsink itself checks who comes in. A connection begins as the user \`default\` if that is
listed with \`nopass: true\`; else it must say AUTH, or HELLO with AUTH, first.

Without \`users\`, AUTH and HELLO go through to the upstream, and its ACL says what a client may do from then on: each
of its users gets connections of its own, and nothing is shared or kept across users. What is kept for a user lives no
longer than \`tier.maxStaleness\`, so that a right that the server takes away is gone as fast. Who does not log in comes
in with the rights of the user in the upstream URL (\`auth: auto\`, the default), or with those that the upstream gives
to a connection without a login (\`auth: upstream\`); the user in the URL is then heatsink's own, for topology, the
table of commands and invalidations.

| Key | Meaning |
|---|---|
| \`name\` | The name; \`AUTH password\` without a name means \`default\` |
| \`password\` | The SHA-256 of a password as \`heatsink hash-password\` prints it, or a list of them |
| \`nopass\` | \`true\`: any password will do |
| \`keys\` | Glob patterns of the keys that the user may touch; all when left out |
| \`readOnly\` | \`true\`: nothing that writes |
| \`admin\` | \`true\`: also what the policy keeps for admins |

A user with \`keys\` may not send what would show or change other keys (KEYS, SCAN, DBSIZE, FLUSHALL, MONITOR ...), nor
scripts and functions, which could reach any key. Channels are open to every user: where the server publishes
keyspace notifications, they tell all users the names of keys.

## Policy

Some commands are not for everybody. \`policy\` says \`allow\`, \`admin\` or \`deny\` for a group, a command, or a
subcommand as \`config|set\`; the narrower rule wins. Admins are the users with \`admin: true\`; where no
users are listed, clients over loopback that have not logged in, and those that have as users whom the server lets read
its CONFIG. What a script does inside the server is not looked at.

${policyTable()}
Everything else is allowed, except that CONFIG GET shows passwords to admins only.

## Consistency

What \`consistency\` and \`rules\` allow heatsink to do with a read of one key, besides forwarding it:

- \`off\`: nothing.
- \`coalesce\`: identical reads that wait to be sent at the same moment share one upstream read. Every answer still
  comes from a read that was sent after its request arrived.
- \`tracked\`: also, replies of hot keys are kept and served while the server promises to report every change of
  the key (CLIENT TRACKING). A server without that promise gets \`coalesce\`.
- \`ttl\`: also, where the server gives no such promise, replies of hot keys are served for
  \`tier.untrackedTtl\` at most, during which they may be outdated.

## Changes while heatsink runs

- Options that are marked live take new values by \`CONFIG SET heatsink.hot.threshold 800\`, which admins may send, and by
  SIGHUP, which reads the configuration file again. All workers have the new values, or none when one of them is wrong.
  The log says what was changed.
- What SIGHUP finds unchanged in the file stays as CONFIG SET has left it; options that need a restart are named in the
  log. Flags and the environment go on winning over the file. With neither a file nor TLS, SIGHUP ends heatsink.
- What CONFIG SET changes is not written to any file.

## Rules

\`rules\` is a list. Each rule has a pattern of keys, \`match\`, as in KEYS, and says as much of them as it likes. Of
each setting the first rule that matches the key and names it decides; what no rule names is as without rules.

${rulesTable()}
### Refresh ahead

With \`refreshAhead: on\` what is kept of a hot key is read again shortly before its time is up (\`tier.ttl\`), by one read
that no client waits for; when exactly is drawn anew each time. What ends with its key's own expiry cannot be read ahead,
as the key would say the same: it is read as soon as the key has expired, and what is there then is kept.

### Negative caching

That a hot key is missing is kept like any other reply. With \`negative: on\` it is kept of keys that are not hot, too, once
they were asked for twice: at most of \`tier.maxNegatives\` keys, the oldest goes first, and never at the cost of what is
kept of hot keys. Whatever creates the key ends it, as with any entry: the server's push, or a write through heatsink. In
a cluster it is kept for \`tier.maxStaleness\` at most. The server tracks these keys for heatsink, up to its own
\`tracking-table-max-keys\`.

### Jitter

\`jitter: 10%\` moves each time to live that SET, SETEX, PSETEX, EXPIRE, PEXPIRE or GETEX gives to a key of the rule, by
up to a tenth, up or down, evenly at random, so that what was written in one second does not expire in one second.
Transactions are included, scripts are not. Points in time (EXAT, PXAT, EXPIREAT, PEXPIREAT) stay as they are. What was
asked in seconds goes to the server in milliseconds, which MONITOR and SLOWLOG show: SETEX as PSETEX, EX as PX; for
clients that are users of the upstream's own (\`auth: upstream\`), whom it may allow the one and not the other, it stays
in seconds. A SET of more than 1 MiB, whose time to live comes behind its value, keeps it exactly.

### Combined increments

With \`combine: on\` INCR, INCRBY, DECR, DECRBY and HINCRBY of one counter that come within one turn of the event loop go
upstream as one INCRBY or HINCRBY, and each client is answered as if they had come one after the other. When the server
refuses the sum (the value is no number, or would leave 64 bits), each is sent singly and gets its own answer. A client's
other commands never overtake its increments, but for reads of a counter that leaves 64 bits at that moment. Increments
of different keys that come in one turn may reach the server in another order. Transactions and scripts count by
themselves. Keyspace events and MONITOR show what the server gets.

### Reads from replicas

With \`reads: replicas\` in a rule, reads of one of its keys (any command that only reads and names one key, TTL and
SCARD as well as GET) go to the replicas of the node that owns the key: of two at random to the one that owes fewer
answers. The primary is asked only where no replica is fit, and whenever one answers with an error or breaks off.

- Such a read may be as old as the replica is late. It may miss what its own client wrote and was told of before, and
  the next one may go to another replica and show an older value again. \`WAIT N MS\` behind a write waits until N
  replicas of each node have it.
- No replica is read from that is not proven to be late by less than \`reads.maxLag\`: while reads come, primary and
  replicas are asked for their offsets (INFO replication) twice a second, more often for a shorter limit. A replica that
  has lost its primary is left out at once, unless heatsink cannot reach the primary either: then it is read until the
  limit has passed, so a limit longer than a failover takes keeps reads going through it. 0 is no limit.
- A replica that is down, loading, owes an answer for more than 100 ms, or refuses is left out; what it owes then is
  asked of the primary, within \`nodes.retryBudget\`, if its connection breaks or it says nothing for
  \`nodes.replyTimeout\`. Nobody waits for a connection to a replica. They are opened when the first such read comes.
- What is sent to the primary as ever: commands with several keys, scripts, transactions, a read behind a write of the
  same client that is not answered yet, and hot keys that the tier may keep (\`consistency: tracked\` or \`ttl\`). While a
  key is hot and fits into the tier its reads are exact. For reads that replicas must answer even then say
  \`consistency: off\` in the rule as well. What replicas answer is neither kept nor shared, so that \`negative: on\`
  has no effect beside this.
- A cluster names its replicas itself, sentinels name those of their master, and a single server those that it lists in
  INFO. That one may list addresses that only it can reach: these cost a try to connect once in a while and are read
  from by nobody.
- While a slot of a cluster moves, keys that have gone to the new node already are missing at the replicas of the old
  one, as for any client that reads from them. From the first ASK or new owner that heatsink meets on, all such reads of
  those nodes go to the primaries, until 5 s after the last one.

### Leases

A hot key that is missing, as it has expired or was deleted, is rebuilt by one client where a rule says \`lease: on\`.
Of all who find it missing, over all workers, one gets the reply that says so: it has the lease. The others wait until
the key is there, whoever writes it, for \`lease.wait\` at the most; then they are told that it is missing, too. When
the client with the lease disconnects, or says nothing for \`lease.hold\`, the lease passes on to one of those who wait.

- Reads of a whole value take part, whose empty reply proves that there is no key: GET, HGETALL, HKEYS, HVALS, SMEMBERS,
  JSON.GET, and LRANGE, ZRANGE and ZREVRANGE from 0 to -1. Those of clients with a transaction, WATCH or CLIENT TRACKING
  of their own do not, nor do keys with consistency \`off\`. That a key is missing is never kept for them, though a rule
  says \`negative: on\`.
- Anything that clients write fills a lease: SET, HSET, RESTORE, transactions, scripts. So does what is written behind
  heatsink's back.
- Give leases for keys that whoever finds them missing does rebuild, in less than \`lease.hold\`. Who reads a hot key that
  nobody writes waits in vain.
- Replies keep their order, so what a client sends behind a read that waits is answered after it. On a connection that
  many callers share, where one of them has the lease, a write of the key overtakes the reads of it that wait, which are
  answered with what it wrote; any other command ends their wait, as the one with the lease may need its answer.

## What PostgreSQL says

With \`invalidator.postgres\`, or beside heatsink as \`heatsink invalidator\`, keys are deleted when their rows change.

- What listens to a channel of \`invalidator.channel\` gets payloads. One that is a JSON object, or a list of them, fills
  \`{field}\` and \`{field.within}\`; an array gives a key for each element, null none; numbers stay as they are written.
  Any payload fills \`{payload}\`. What does not fit is logged, counted and passed over.
  \`deploy/postgres/notify-changes.sql\` makes a table send such payloads.
- PostgreSQL sends a payload of less than 8000 bytes when the transaction commits, and equal ones of one transaction once.
  It must be the primary, and no pooler that shares connections between transactions may stand between.
- Keys are deleted by UNLINK as by a client of heatsink: its versions are bumped, and no entry outlives the delete. Deletes
  that fail are tried again. Inside heatsink they need neither a user nor a certificate; to the upstream they come from
  the user in the upstream URL.
- PostgreSQL forgets what it says while nobody listens. So after each connect \`invalidator.sweep\` runs, a query whose
  rows fill the same templates: \`SELECT store_id FROM products WHERE updated_at > $1\`. \`$1\` is the last time of which it
  is known that all has been deleted, less \`invalidator.margin\`. Rows that are gone no query finds:
  \`invalidator.sweepDelete\` deletes all keys of a pattern instead, or as well. So does, with the query from the
  beginning of time, the payload \`{"heatsink": "sweep"}\`.
- A client that has read a row before its change, and writes the key after the delete, caches what is outdated. Give such
  keys a time to live.

## TLS and Sentinel

- Clients: with \`tls.cert\` and \`tls.key\` the port of \`listen\` speaks TLS and nothing else. With \`tls.listen\` as
  well, that address speaks TLS and \`listen\` stays plain. Clients must show a certificate that comes from \`tls.ca\`,
  unless \`tls.clientAuth\` says otherwise.
- Upstream: \`rediss://\`, \`rediss+cluster://\` and \`rediss+sentinel://\` use TLS for every connection, those to the
  sentinels too. Certificates must name the host that heatsink connects to; a cluster or sentinels that announce IP
  addresses need these in the certificates, or \`nodes.tlsServername\`.
- SIGHUP reads all these files again, for new connections. Files that cannot be used are named in the log, and the
  certificates stay as they are.
- Sentinel: \`redis+sentinel://host:port,host:port/mymaster\`. User and password in the URL are for the nodes; the
  sentinels get \`nodes.sentinelUsername\` and \`nodes.sentinelPassword\`. When no sentinel answers, the master that
  was known last is used.
`;
}

function policyTable(): string {
  const rows = Object.entries(GROUPS).map(([group, { level, doc, names }]) => {
    const commands = names.map((name) => name.replace('|', ' ').toUpperCase()).join(', ');
    return `| \`${group}\` | ${level} | ${doc} | ${commands} |`;
  });
  return `| Group | Default | Commands that | |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

/** A heading and a table of options for each group of the schema. */
export function optionsTable(): string {
  const groups = new Set(OPTION_ENTRIES.map(([, option]) => option.group));
  return [...groups].map((group) => section(group)).join('\n');
}

function section(group: string): string {
  const rows = OPTION_ENTRIES.filter(([, option]) => option.group === group).map(row);
  return `## ${group}

| In the file | Flag | Default | Accepted | Live | Meaning |
|---|---|---|---|---|---|
${rows.join('\n')}
`;
}

function row([path, option]: readonly [string, Option]): string {
  const flag = option.flag === null ? '' : `\`--${option.flag}\``;
  const cells = [
    `\`${path}\``,
    flag,
    describeDefault(option),
    accepted(option),
    option.live ? 'yes' : '',
    option.doc,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** What the option accepts, in its unit. */
function accepted({ type, unit }: Option): string {
  // The description of a size speaks of bytes already.
  return unit === '' || unit === 'bytes' ? `${type.description}` : `${type.description}, ${unit}`;
}
