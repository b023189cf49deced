// What one worker needs to see large values and slow commands go by.

import type { CommandTable } from '../commands/table.ts';
import type { Config } from '../config/schema.ts';
import type { Counters } from '../counters.ts';
import { type SharedMemory, slowCommandIds } from '../memory.ts';
import type { Peers } from '../proxy/peers.ts';
import { seenByAll } from '../proxy/seen/all-workers.ts';
import { Sizes } from '../proxy/seen/sizes.ts';
import { SlowLog } from '../proxy/seen/slow-log.ts';

export interface SeenOptions {
  readonly config: Config;
  readonly memory: SharedMemory;
  readonly peers: Peers;
  readonly counters: Counters;
  /** Null before the upstream has answered. */
  readonly commands: () => CommandTable | null;
}

export function composeSeen({ config, memory, peers, counters, commands }: SeenOptions) {
  const sizes = new Sizes(config.bigKeys, commands, counters);
  const slowLog = new SlowLog(config.slowLog, commands, slowCommandIds(memory), counters);
  return { sizes, slowLog, seen: seenByAll(sizes, slowLog, peers) };
}
