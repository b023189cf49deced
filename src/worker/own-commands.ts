// What one worker needs to serve the commands that are heatsink's own: what all workers know together.

import { stateOf } from '../admin/hot-keys.ts';
import { mergeHotKeys } from '../admin/merged.ts';
import type { HotKey, ProxySource } from '../admin/snapshot.ts';
import type { Rules } from '../cache/rules.ts';
import { type OwnState, ownFields } from '../commands/heatsink-info.ts';
import type { SubcommandName } from '../commands/own-command.ts';
import { type Counters, G } from '../counters.ts';
import type { Marks } from '../proxy/marks.ts';
import type { Peers } from '../proxy/peers.ts';
import type { SeenByAll } from '../proxy/seen/all-workers.ts';
import { createHotkeys } from '../proxy/seen/hotkeys-command.ts';
import type { Subcommand } from '../proxy/seen/own-command.ts';
import { createSubcommands } from '../proxy/seen/subcommands.ts';
import type { UsageByAll } from '../proxy/seen/usage-by-all.ts';

export interface OwnCommandsOptions {
  readonly seen: SeenByAll;
  readonly usage: UsageByAll;
  readonly source: Pick<ProxySource, 'hotKeys' | 'info'>;
  readonly peers: Peers;
  readonly marks: Marks;
  readonly rules: Rules;
  readonly state: () => OwnState;
  /** The counters of all workers, with gauges that are right now. */
  readonly totals: () => Counters;
  readonly cluster: boolean;
}

export function composeOwnCommands(parts: OwnCommandsOptions): Readonly<Record<SubcommandName, Subcommand>> {
  const { seen, usage, source, peers, marks, rules, state, totals, cluster } = parts;
  const told = {
    rules,
    async hotKeys(count: number | null) {
      const top = count ?? source.info.top;
      const [own, others] = await Promise.all([source.hotKeys(top), peers.ask<HotKey[]>('hot keys', top)]);
      return mergeHotKeys([own, ...others], top).map((hot) => ({ ...hot, state: stateOf(hot) }));
    },
    stats: () => ownFields(state(), totals()),
    tier() {
      const counters = totals();
      const { maxBytes, hotKeys, candidates } = state();
      return [
        ['bytes', counters[G.tierBytes]],
        ['max-bytes', maxBytes],
        ['entries', counters[G.tierEntries]],
        ['negatives', counters[G.negatives]],
        ['hot-keys', hotKeys],
        ['candidates', candidates],
        ['write-hot-keys', counters[G.writeHot]],
        ['pinned', marks.pinned().length],
        ['banned', marks.banned().length],
      ] as const;
    },
    async clearTier() {
      marks.act({ how: 'clear' });
      await peers.ask('act', { how: 'clear' });
    },
  };
  return { ...createSubcommands(seen, told), ...createHotkeys(usage, cluster) };
}
