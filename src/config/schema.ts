// Every option of heatsink: its place in the YAML file, flag, type, default, unit and documentation.
// The one source of all of them: loader, help, environment names, docs and example file are made from this table.

import type * as z from 'zod';
import { policyMap, userList } from './access-types.ts';
import {
  address,
  addressOrNone,
  addressOrOff,
  bytes,
  CONSISTENCY,
  choice,
  integer,
  onOff,
  optional,
  optionalAddress,
  pemFile,
  ratio,
  ruleList,
  share,
  upstreamUrl,
  workerCount,
} from './types.ts';

export interface Option {
  /** Heading it stands under in help and docs. */
  readonly group: string;
  /** Flag without its dashes; null where only the YAML file can say it. */
  readonly flag: string | null;
  /** Stands for the value in help. */
  readonly argument: string;
  readonly type: z.ZodType;
  /** As a person would write it in the YAML file; null for none. */
  readonly default: string | number | null | readonly [] | Readonly<Record<string, never>>;
  /** Unit of the value, empty where it has none. */
  readonly unit: string;
  readonly doc: string;
  /** CONFIG SET can change it while heatsink runs; config/live.ts wants to know how. */
  readonly live?: true;
  /** CONFIG GET does not show it. */
  readonly secret?: true;
}

const DAY_MS = 86_400_000;
const GIB = 2 ** 30;

export const OPTIONS = {
  upstream: {
    group: 'Network',
    flag: 'upstream',
    argument: 'URL',
    type: upstreamUrl,
    default: null,
    unit: '',
    doc: 'Redis behind heatsink; without one, heatsink starts a private redis-server',
  },
  listen: {
    group: 'Network',
    flag: 'listen',
    argument: 'HOST:PORT',
    type: address,
    default: '127.0.0.1:6380',
    unit: '',
    doc: 'Where clients connect; port 0 takes a free one',
  },
  admin: {
    group: 'Network',
    flag: 'admin',
    argument: 'HOST:PORT|off',
    type: addressOrOff,
    default: '127.0.0.1:9380',
    unit: '',
    doc: 'Where metrics, health and hot keys are served over HTTP; port 0 takes a free one',
  },
  workers: {
    group: 'Network',
    flag: 'workers',
    argument: 'N',
    type: workerCount,
    default: 'auto',
    unit: '',
    doc: 'Worker threads that share the port; auto: one for each core',
  },
  shutdownTimeout: {
    group: 'Network',
    flag: 'shutdown-timeout',
    argument: 'MS',
    type: integer(0, 600_000),
    default: 5000,
    unit: 'ms',
    doc: 'Time that requests in flight get to finish on SIGTERM or SIGINT',
    live: true,
  },
  'client.maxPipeline': {
    group: 'Network',
    flag: 'max-pipeline',
    argument: 'N',
    type: integer(1, 1_000_000),
    default: 1024,
    unit: '',
    doc: 'Unanswered requests of one client at which heatsink stops reading from it',
    live: true,
  },
  'tls.cert': {
    group: 'TLS for clients',
    flag: 'tls-cert',
    argument: 'FILE',
    type: pemFile,
    default: null,
    unit: '',
    doc: 'Certificate that heatsink shows its clients; with it --listen speaks TLS',
  },
  'tls.key': {
    group: 'TLS for clients',
    flag: 'tls-key',
    argument: 'FILE',
    type: pemFile,
    default: null,
    unit: '',
    doc: 'Private key of that certificate',
  },
  'tls.ca': {
    group: 'TLS for clients',
    flag: 'tls-ca',
    argument: 'FILE',
    type: pemFile,
    default: null,
    unit: '',
    doc: 'Authorities that certificates of clients must come from',
  },
  'tls.clientAuth': {
    group: 'TLS for clients',
    flag: 'tls-client-auth',
    argument: 'no|optional|yes',
    type: choice('no', 'optional', 'yes'),
    default: 'yes',
    unit: '',
    doc: 'Whether clients must show a certificate: yes, only a valid one if any (optional), or no',
  },
  'tls.listen': {
    group: 'TLS for clients',
    flag: 'tls-listen',
    argument: 'HOST:PORT',
    type: optionalAddress,
    default: null,
    unit: '',
    doc: 'Where TLS is spoken instead, so that --listen stays plain; port 0 takes a free one',
  },
  'nodes.connectTimeout': {
    group: 'Upstream nodes',
    flag: 'connect-timeout',
    argument: 'MS',
    type: integer(10, 600_000),
    default: 2000,
    unit: 'ms',
    doc: 'Longest wait for a connection to an upstream node',
  },
  'nodes.replyTimeout': {
    group: 'Upstream nodes',
    flag: 'reply-timeout',
    argument: 'MS',
    type: integer(0, 600_000),
    default: 5000,
    unit: 'ms',
    doc: 'Silence of a node that owes answers, after which it is asked whether it is alive; if it says nothing on a new connection either, its requests fail. 0: never',
  },
  'nodes.retryBudget': {
    group: 'Upstream nodes',
    flag: 'retry-budget',
    argument: 'N',
    type: integer(0, 1_000_000_000),
    default: 10_000,
    unit: 'reads/s',
    doc: 'Reads that each worker sends again, per node, after their connection broke; beyond it they fail',
  },
  'nodes.topologyInterval': {
    group: 'Upstream nodes',
    flag: 'topology-interval',
    argument: 'MS',
    type: integer(100, 3_600_000),
    default: 10_000,
    unit: 'ms',
    doc: 'Time between reads of the topology, 1 s at the most with sentinels; a redirection causes one at once',
  },
  'nodes.lanes': {
    group: 'Upstream nodes',
    flag: 'lanes',
    argument: 'N',
    type: integer(1, 64),
    default: 1,
    unit: '',
    doc: 'Connections to each upstream node and protocol version that clients share',
  },
  'nodes.tlsCa': {
    group: 'Upstream nodes',
    flag: 'nodes-tls-ca',
    argument: 'FILE',
    type: pemFile,
    default: null,
    unit: '',
    doc: 'Authorities that certificates of the upstream must come from, instead of the well-known ones',
  },
  'nodes.tlsCert': {
    group: 'Upstream nodes',
    flag: 'nodes-tls-cert',
    argument: 'FILE',
    type: pemFile,
    default: null,
    unit: '',
    doc: 'Certificate that heatsink shows the upstream',
  },
  'nodes.tlsKey': {
    group: 'Upstream nodes',
    flag: 'nodes-tls-key',
    argument: 'FILE',
    type: pemFile,
    default: null,
    unit: '',
    doc: 'Private key of that certificate',
  },
  'nodes.tlsServername': {
    group: 'Upstream nodes',
    flag: 'nodes-tls-servername',
    argument: 'NAME',
    type: optional('a host name'),
    default: null,
    unit: '',
    doc: 'Name expected in the certificates of the upstream, instead of the host of each node',
  },
  'nodes.tlsVerify': {
    group: 'Upstream nodes',
    flag: 'nodes-tls-verify',
    argument: 'on|off',
    type: onOff,
    default: 'on',
    unit: '',
    doc: 'Whether an upstream is refused whose certificate does not prove who it is',
  },
  'nodes.sentinelUsername': {
    group: 'Upstream nodes',
    flag: 'sentinel-username',
    argument: 'NAME',
    type: optional('a user name'),
    default: null,
    unit: '',
    doc: 'User that the sentinels know heatsink as',
  },
  'nodes.sentinelPassword': {
    group: 'Upstream nodes',
    flag: 'sentinel-password',
    argument: 'PASSWORD',
    type: optional('a password'),
    default: null,
    unit: '',
    doc: 'Password for the sentinels',
    secret: true,
  },
  'cluster.facade': {
    group: 'Cluster mode',
    flag: 'cluster-facade',
    argument: 'auto|on',
    type: choice('auto', 'on'),
    default: 'auto',
    unit: '',
    doc: 'Whether clients in cluster mode see heatsink as the one node that owns all slots; auto: if the upstream is a cluster',
  },
  'cluster.announce': {
    group: 'Cluster mode',
    flag: 'cluster-announce',
    argument: 'HOST:PORT',
    type: addressOrNone,
    default: null,
    unit: '',
    doc: 'Address that clients in cluster mode are told to connect to; without one, the one that they are connected to',
  },
  auth: {
    group: 'Access',
    flag: 'auth',
    argument: 'auto|upstream',
    type: choice('auto', 'upstream'),
    default: 'auto',
    unit: '',
    doc: 'Who checks passwords: heatsink by its list of users, or the upstream by its ACL. auto: the users, if there are any; else the upstream, and who does not log in comes in as the user of heatsink itself',
  },
  users: {
    group: 'Access',
    flag: null,
    argument: 'LIST',
    type: userList,
    default: [],
    unit: '',
    doc: 'Users of heatsink itself; without any, every client may come in',
  },
  policy: {
    group: 'Access',
    flag: null,
    argument: 'MAP',
    type: policyMap,
    default: {},
    unit: '',
    doc: 'Who may send commands that are not for everybody: all (allow), admins (admin) or nobody (deny)',
  },
  'hot.threshold': {
    group: 'Hot keys',
    flag: 'hot-threshold',
    argument: 'N',
    type: integer(1, 1_000_000_000),
    default: 500,
    unit: 'reads/s',
    doc: 'Rate at which a key becomes hot',
    live: true,
  },
  'hot.window': {
    group: 'Hot keys',
    flag: 'hot-window',
    argument: 'MS',
    type: integer(100, 60_000),
    default: 1000,
    unit: 'ms',
    doc: 'Length of the sliding window in which reads are counted',
  },
  'hot.steps': {
    group: 'Hot keys',
    flag: 'hot-steps',
    argument: 'N',
    type: integer(2, 100),
    default: 10,
    unit: '',
    doc: 'Steps in which the window slides',
  },
  'hot.cool': {
    group: 'Hot keys',
    flag: 'hot-cool',
    argument: 'RATIO',
    type: ratio,
    default: 0.5,
    unit: '',
    doc: 'Share of the threshold below which a hot key has cooled down',
    live: true,
  },
  'hot.candidates': {
    group: 'Hot keys',
    flag: 'hot-candidates',
    argument: 'N',
    type: integer(16, 1_048_576),
    default: 4096,
    unit: '',
    doc: 'Keys that are counted exactly; all others are estimated in fixed memory',
  },
  'hot.top': {
    group: 'Hot keys',
    flag: 'hot-top',
    argument: 'N',
    type: integer(1, 10_000),
    default: 100,
    unit: '',
    doc: 'Keys listed in /hotkeys',
    live: true,
  },
  consistency: {
    group: 'Local tier',
    flag: 'consistency',
    argument: 'MODE',
    type: choice(...CONSISTENCY),
    default: 'tracked',
    unit: '',
    doc: 'What may be done with reads besides forwarding them: off, coalesce, tracked or ttl',
  },
  rules: {
    group: 'Local tier',
    flag: null,
    argument: 'LIST',
    type: ruleList,
    default: [],
    unit: '',
    doc: 'Consistency by glob pattern of the key; the first rule that matches wins over consistency',
  },
  'tier.enabled': {
    group: 'Local tier',
    flag: 'tier',
    argument: 'on|off',
    type: onOff,
    default: 'on',
    unit: '',
    doc: 'Whether replies of hot keys are kept and served locally',
  },
  'tier.maxBytes': {
    group: 'Local tier',
    flag: 'tier-max-bytes',
    argument: 'SIZE',
    type: bytes(2 ** 16, 1024 * GIB),
    default: '64MiB',
    unit: 'bytes',
    doc: 'Memory for the replies that are kept, of all workers together',
    live: true,
  },
  'tier.maxEntryBytes': {
    group: 'Local tier',
    flag: 'tier-max-entry-bytes',
    argument: 'SIZE',
    type: bytes(64, GIB / 2),
    default: '256KiB',
    unit: 'bytes',
    doc: 'Largest reply that is kept',
    live: true,
  },
  'tier.ttl': {
    group: 'Local tier',
    flag: 'tier-ttl',
    argument: 'MS',
    type: integer(1, DAY_MS),
    default: 60_000,
    unit: 'ms',
    doc: 'Longest that a reply is kept without being read again from its shard',
    live: true,
  },
  'tier.maxStaleness': {
    group: 'Local tier',
    flag: 'tier-max-staleness',
    argument: 'MS',
    type: integer(10, 60_000),
    default: 1000,
    unit: 'ms',
    doc: 'Oldest proof of no missed invalidation under which a tracked reply is served',
    live: true,
  },
  'tier.untrackedTtl': {
    group: 'Local tier',
    flag: 'tier-untracked-ttl',
    argument: 'MS',
    type: integer(1, DAY_MS),
    default: 1000,
    unit: 'ms',
    doc: 'Longest that a reply is kept under consistency ttl',
    live: true,
  },
  'tier.verifyShare': {
    group: 'Local tier',
    flag: 'tier-verify-share',
    argument: 'SHARE',
    type: share,
    default: 0.0001,
    unit: '',
    doc: 'Share of the hits that are compared with the server, to watch the promise on stale reads; 0: none',
    live: true,
  },
  'tier.staleOnError': {
    group: 'Local tier',
    flag: 'tier-stale-on-error',
    argument: 'MS',
    type: integer(0, DAY_MS),
    default: 0,
    unit: 'ms',
    doc: 'How long past its proof the last reply that was kept is served while its node is out of reach; 0: such reads fail',
    live: true,
  },
  'log.level': {
    group: 'Logging',
    flag: 'log-level',
    argument: 'LEVEL',
    type: choice('fatal', 'error', 'warn', 'info', 'debug', 'trace'),
    default: 'info',
    unit: '',
    doc: 'Least severe messages that are logged: fatal, error, warn, info, debug or trace',
    live: true,
  },
  'log.pretty': {
    group: 'Logging',
    flag: 'log-pretty',
    argument: 'on|off|auto',
    type: choice('on', 'off', 'auto'),
    default: 'auto',
    unit: '',
    doc: 'Log lines for people instead of JSON; auto: on a terminal',
  },
} as const satisfies Record<string, Option>;

/** Dotted place of an option in the YAML file. */
export type OptionPath = keyof typeof OPTIONS;
/** The checked value of an option. */
export type OptionValue<Path extends OptionPath> = z.output<(typeof OPTIONS)[Path]['type']>;
type Head<Path extends string> = Path extends `${infer First}.${string}` ? First : Path;
type Tail<Path extends string, First extends string> = Path extends `${First}.${infer Rest}` ? Rest : never;

/** The checked configuration, nested as in the YAML file: `config.hot.threshold`. */
export type Config = {
  readonly [First in Head<OptionPath>]: First extends OptionPath
    ? OptionValue<First>
    : { readonly [Rest in Tail<OptionPath, First>]: OptionValue<`${First}.${Rest}` & OptionPath> };
};

/** All options with their paths, in the order of the table. */
export const OPTION_ENTRIES = Object.entries(OPTIONS) as readonly (readonly [OptionPath, Option])[];

/** The environment variable of a flag: HEATSINK_HOT_THRESHOLD for hot-threshold. */
export function envName(flag: string): string {
  return `HEATSINK_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** The option's default in words, with its unit. */
export function describeDefault(option: Option): string {
  if (typeof option.default === 'object') return 'none';
  // A size carries its unit in its suffix.
  return option.unit === '' || option.unit === 'bytes'
    ? `${option.default}`
    : `${option.default} ${option.unit}`;
}
