// The URL of the Redis behind heatsink, read into what the control plane needs to connect.
// Several hosts in one URL are no WHATWG URL, so the parts are taken apart here.

import { formatHostPort, type HostPort, parseHostPort } from './host-port.ts';

export interface Upstream {
  readonly kind: 'standalone' | 'cluster' | 'sentinel';
  /** One node for a standalone server; else at least one: the seeds of a cluster, or sentinels. */
  readonly nodes: readonly HostPort[];
  /** What the sentinels call the master; absent without sentinels. */
  readonly master?: string;
  /** Whether every connection is by TLS, those to sentinels too. */
  readonly tls: boolean;
  /** Of the nodes, not of the sentinels. Absent with a bare `:password@`, which means the user "default". */
  readonly username?: string;
  /** Empty when the URL names a user and no password. */
  readonly password?: string;
  /** The database that a client starts in; 0 on a cluster. */
  readonly db: number;
}

/** What `parseUpstream` takes, in the words of messages and help. */
export const UPSTREAM_FORMS =
  'redis://[user[:password]@]host[:port][/db], redis+cluster://[user[:password]@]host[:port][,host[:port]...] or ' +
  'redis+sentinel://[user[:password]@]host[:port][,host[:port]...]/master[/db]; rediss in place of redis is TLS';

const PORTS = { standalone: 6379, cluster: 6379, sentinel: 26379 };
const SCHEME = /^redis(s?)(?:\+(cluster|sentinel))?$/;
const PARTS = /^([a-z][a-z0-9+.-]*):\/\/(?:(.*)@)?([^@/?#]*)(?:\/([^?#]*))?([?#].*)?$/is;

/** Reads an upstream URL. Throws an Error whose message says what is wrong with it. */
export function parseUpstream(url: string): Upstream {
  const parts = PARTS.exec(url);
  if (!parts) throw new Error('it is not a URL');
  const [, scheme, userinfo, hosts, path = '', rest] = parts;
  const { kind, tls } = readScheme(scheme.toLowerCase());
  if (rest !== undefined)
    throw new Error(`nothing may follow the host and the database, as "${rest[0]}" does`);

  const nodes = hosts.split(',').map((host) => readNode(host, PORTS[kind]));
  if (kind === 'standalone' && nodes.length > 1) throw new Error('several nodes need redis+cluster://');
  const identity = credentials(userinfo);
  if (kind !== 'sentinel') return { kind, nodes, tls, ...identity, db: readDb(path, kind) };
  const [master, ...db] = path.split('/');
  if (master === '') throw new Error('behind the sentinels the name of the master is missing');
  const name = decode(master, 'the name of the master');
  return { kind, nodes, master: name, tls, ...identity, db: readDb(db.join('/'), kind) };
}

/** The URL with its password replaced by `***`, for messages and logs. */
export function maskPassword(url: string): string {
  return url.replace(/:(?!\/\/).*@/s, ':***@');
}

function readScheme(scheme: string): Pick<Upstream, 'kind' | 'tls'> {
  const parts = SCHEME.exec(scheme);
  if (parts === null) throw new Error(`the scheme ${scheme}:// is unknown`);
  const [, tls, kind = 'standalone'] = parts;
  return { kind: kind as Upstream['kind'], tls: tls !== '' };
}

/** The URL of an upstream, with `***` for its password. */
export function formatUpstream({ kind, nodes, master, tls, username, password, db }: Upstream): string {
  const scheme = `redis${tls ? 's' : ''}${kind === 'standalone' ? '' : `+${kind}`}`;
  const secret = password === undefined ? '' : ':***';
  const user = username === undefined && secret === '' ? '' : `${username ?? ''}${secret}@`;
  const path = [...(master === undefined ? [] : [master]), ...(db === 0 ? [] : [db])].map(
    (part) => `/${part}`,
  );
  return `${scheme}://${user}${nodes.map(formatHostPort).join(',')}${path.join('')}`;
}

function readNode(text: string, defaultPort: number): HostPort {
  const node = parseHostPort(text, defaultPort);
  if (!node || node.port === 0) throw new Error(`"${text}" is no host:port`);
  return node;
}

function readDb(path: string, kind: Upstream['kind']): number {
  const db = Number(path);
  if (!Number.isInteger(db) || db < 0) throw new Error(`"${path}" is no database number`);
  if (kind === 'cluster' && db !== 0) throw new Error('a cluster has database 0 only');
  return db;
}

function credentials(userinfo: string | undefined): Pick<Upstream, 'username' | 'password'> {
  if (!userinfo) return {};
  const colon = userinfo.indexOf(':');
  const part = 'the user or the password';
  const username = decode(colon < 0 ? userinfo : userinfo.slice(0, colon), part);
  const password = colon < 0 ? '' : decode(userinfo.slice(colon + 1), part);
  return username === '' ? { password } : { username, password };
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`a % in ${part} must be written as %25`);
  }
}
