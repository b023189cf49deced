// The commands that are not for everybody, in groups that a policy can name.

import { TELLING } from '../commands/own-command.ts';

export type Level = 'allow' | 'admin' | 'deny';

export interface Group {
  readonly level: Level;
  readonly doc: string;
  /** Lower-case names; that of a container means all its subcommands that no group names. */
  readonly names: readonly string[];
}

const list = (...rows: readonly string[]): string[] => rows.join(' ').split(' ');

export const GROUPS: Readonly<Record<string, Group>> = {
  keyspace: {
    level: 'allow',
    doc: 'go through all keys, or change them all',
    names: list('keys flushall flushdb swapdb'),
  },
  admin: {
    level: 'admin',
    doc: 'administer the server, show what other clients do or take all data out; also whatever else the server itself calls an administrative command',
    names: list(
      'config|set config|rewrite config|resetstat monitor debug save bgsave bgrewriteaof',
      'acl|setuser acl|deluser acl|getuser acl|list acl|users acl|load acl|save acl|log acl|dryrun',
      'module|load module|loadex module|unload slowlog|reset latency|reset memory|purge',
      'script|kill script|debug function|kill pfdebug pfselftest',
      'client|kill client|pause client|unpause client|unblock',
      'replicaof slaveof sync psync replconf migrate restore-asking',
      ...TELLING,
    ),
  },
  topology: {
    level: 'deny',
    doc: 'change a cluster behind the back of those who run it, or end the server process',
    names: list(
      'shutdown failover',
      'cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|delslots cluster|delslotsrange',
      'cluster|failover cluster|flushslots cluster|forget cluster|meet cluster|replicate cluster|reset',
      'cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|migration',
      'debug|segfault debug|panic debug|restart debug|crash-and-recover debug|assert debug|oom',
    ),
  },
};

/** Administrative by the server's word, but they only read, and clients and frameworks send them: for everybody. */
export const HARMLESS: ReadonlySet<string> = new Set(
  list(
    'client|list client|no-evict config|get slowlog|get slowlog|len module|list',
    'latency|doctor latency|graph latency|histogram latency|history latency|latest',
    'cluster|replicas cluster|slaves cluster|count-failure-reports cluster|links',
  ),
);

/** Parameters whose values CONFIG GET shows to admins alone. */
export const SECRETS: readonly string[] = list(
  'requirepass masterauth masteruser primaryauth primaryuser tls-key-file-pass tls-client-key-file-pass',
);
