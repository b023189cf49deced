// Hot keys as JSON.

import { showKey } from './show-key.ts';
import type { AdminSource, HotKey } from './snapshot.ts';

/** The answer of /hotkeys. */
export function showHotKeys(keys: readonly HotKey[], info: AdminSource['info']): object {
  return { window_ms: info.windowMs, threshold: info.thresholdPerSecond, keys: keys.map(show) };
}

function show(of: HotKey): object {
  const { key, readsPerSecond, hotSince, hits, bytes, entries, copies, lease, pinned } = of;
  return {
    ...showKey(key),
    reads_per_second: readsPerSecond,
    state: stateOf(of),
    hot_since: hotSince === null ? null : new Date(hotSince).toISOString(),
    hits,
    entries,
    bytes,
    ...(pinned && { pinned }),
    ...(copies > 0 && { copies }),
    ...(lease && { lease: { held_ms: lease.heldMs, waiters: lease.waiters } }),
  };
}

/**
 * banned: nothing may be done about it. tier: replies of it are served from memory. copies: other masters have it as
 * well. write-hot: it is written too often for that. hot: nothing of it is kept right now. candidate: it is not hot.
 */
export function stateOf({ hot, entries, copies, writeHot, banned }: HotKey): string {
  if (banned) return 'banned';
  if (!hot) return 'candidate';
  if (entries > 0) return 'tier';
  if (copies > 0) return 'copies';
  return writeHot ? 'write-hot' : 'hot';
}
