// What all workers have seen together: each asks the others, and the main thread asks all, by the same words.

import type { Peers } from '../peers.ts';
import { type BigKeyList, mergeBigKeys } from './big-keys.ts';
import type { Sizes } from './sizes.ts';
import { mergeSlowCommands, type SlowCommands, type SlowLog } from './slow-log.ts';

/** The answers are a `BigKeyList` and `SlowCommands`. */
export const BIG_KEYS = 'big keys';
export const SLOW_COMMANDS = 'slow commands';
const FORGET_SLOW = 'forget slow commands';

/** None of these ever rejects. */
export interface SeenByAll {
  /** At most so many of them. */
  bigKeys(count: number): Promise<BigKeyList>;
  slowCommands(count: number): Promise<SlowCommands>;
  /** Resolves when no worker remembers any slow command. */
  forgetSlow(): Promise<void>;
}

export function seenByAll(sizes: Sizes, slowLog: SlowLog, peers: Peers): SeenByAll {
  peers.on(BIG_KEYS, () => sizes.list());
  peers.on(SLOW_COMMANDS, () => slowLog.list());
  peers.on(FORGET_SLOW, () => slowLog.clear());
  return {
    async bigKeys(count) {
      const others = await peers.ask<BigKeyList>(BIG_KEYS, null);
      return mergeBigKeys([sizes.list(), ...others], count);
    },
    async slowCommands(count) {
      const others = await peers.ask<SlowCommands>(SLOW_COMMANDS, null);
      return mergeSlowCommands([slowLog.list(), ...others], count);
    },
    async forgetSlow() {
      slowLog.clear();
      await peers.ask(FORGET_SLOW, null);
    },
  };
}
