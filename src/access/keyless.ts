// The commands without keys that a user restricted to some keys may send: those that name no key, tell nothing of
// other clients and change nothing for them. Whatever is not here is refused to such a user.

export const KEYLESS: ReadonlySet<string> = new Set(
  [
    'auth hello quit reset ping echo select time lolwut info role lastsave command asking readonly readwrite',
    'multi exec discard unwatch wait waitaof',
    'subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe publish spublish',
    'pubsub|channels pubsub|numsub pubsub|numpat pubsub|shardchannels pubsub|shardnumsub',
    'client|id client|getname client|setname client|setinfo client|info client|reply',
    'client|no-evict client|no-touch client|tracking client|trackinginfo client|caching client|getredir',
    'cluster|slots cluster|shards cluster|nodes cluster|info cluster|keyslot cluster|myid cluster|links',
    'acl|whoami acl|cat acl|genpass',
    'command|count command|info command|docs command|list command|getkeys command|getkeysandflags',
    'config|get post host:',
  ]
    .join(' ')
    .split(' '),
);

/** They reach keys that nobody named, and only the server could see which. */
export const SCRIPTS: ReadonlySet<string> = new Set([
  'eval',
  'evalsha',
  'eval_ro',
  'evalsha_ro',
  'fcall',
  'fcall_ro',
]);
