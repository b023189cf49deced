// The URL of the Redis behind heatsink, read into what the control plane needs to connect.
// Several hosts in one URL are no WHATWG URL, so the parts are taken apart here.

import { type HostPort, parseHostPort } from './host-port.ts';

export interface Upstream {
  readonly kind: 'standalone' | 'cluster';
  /** One node for a standalone server; the seeds, at least one, for a cluster. */
  readonly nodes: readonly HostPort[];
  /** Whether every connection is by TLS. */
  readonly tls: boolean;
  /** Absent with a bare `:password@`, which means the user "default". */
  readonly username?: string;
  /** Empty when the URL names a user and no password. */
  readonly password?: string;
  /** The database that a client starts in; 0 on a cluster. */
  readonly db: number;
}

/** What `parseUpstream` takes, in the words of messages and help. */
export const UPSTREAM_FORMS =
  'redis://[user[:password]@]host[:port][/db] or redis+cluster://[user[:password]@]host[:port][,host[:port]...]; ' +
  'rediss in place of redis is TLS';

const DEFAULT_PORT = 6379;
const SCHEME = /^redis(s?)(?:\+(cluster))?$/;
const PARTS = /^([a-z][a-z0-9+.-]*):\/\/(?:(.*)@)?([^@/?#]*)(?:\/([^?#]*))?([?#].*)?$/is;

/** Reads an upstream URL. Throws an Error whose message says what is wrong with it. */
export function parseUpstream(url: string): Upstream {
  const parts = PARTS.exec(url);
  if (!parts) throw new Error('it is not a URL');
  const [, scheme, userinfo, hosts, path = '', rest] = parts;
  const { kind, tls } = readScheme(scheme.toLowerCase());
  if (rest !== undefined)
    throw new Error(`nothing may follow the host and the database, as "${rest[0]}" does`);

  const nodes = hosts.split(',').map(readNode);
  if (kind === 'standalone' && nodes.length > 1) throw new Error('several nodes need redis+cluster://');
  return { kind, nodes, tls, ...credentials(userinfo), db: readDb(path, kind) };
}

/** The URL with its password replaced by `***`, for messages and logs. */
export function maskPassword(url: string): string {
  return url.replace(/:(?!\/\/).*@/s, ':***@');
}

function readScheme(scheme: string): Pick<Upstream, 'kind' | 'tls'> {
  const parts = SCHEME.exec(scheme);
  if (scheme.endsWith('+sentinel')) throw new Error(`${scheme}:// comes with a later version`);
  if (parts === null) throw new Error(`the scheme ${scheme}:// is unknown`);
  const [, tls, kind = 'standalone'] = parts;
  return { kind: kind as Upstream['kind'], tls: tls !== '' };
}

function readNode(text: string): HostPort {
  const node = parseHostPort(text, DEFAULT_PORT);
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
  const username = decode(colon < 0 ? userinfo : userinfo.slice(0, colon));
  const password = colon < 0 ? '' : decode(userinfo.slice(colon + 1));
  return username === '' ? { password } : { username, password };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('a % in the user or the password must be written as %25');
  }
}
