// Hot keys as JSON. A key is any bytes: one that is not UTF-8 is shown in base64 and says so.

import { isUtf8 } from 'node:buffer';
import type { AdminSource, HotKey } from './snapshot.ts';

/** The answer of /hotkeys. */
export function showHotKeys(keys: readonly HotKey[], info: AdminSource['info']): object {
  return { window_ms: info.windowMs, threshold: info.thresholdPerSecond, keys: keys.map(show) };
}

function show(of: HotKey): object {
  const { key, readsPerSecond, hotSince, hits, bytes, entries, copies, lease } = of;
  return {
    ...(isUtf8(key) ? { key: key.toString() } : { key: key.toString('base64'), encoding: 'base64' }),
    reads_per_second: readsPerSecond,
    state: stateOf(of),
    hot_since: hotSince === null ? null : new Date(hotSince).toISOString(),
    hits,
    entries,
    bytes,
    ...(copies > 0 && { copies }),
    ...(lease && { lease: { held_ms: lease.heldMs, waiters: lease.waiters } }),
  };
}

/**
 * tier: replies of it are served from memory. copies: other masters have it as well. write-hot: it is written too often
 * for that. hot: nothing of it is kept right now. candidate: it is not hot.
 */
function stateOf({ hot, entries, copies, writeHot }: HotKey): string {
  if (!hot) return 'candidate';
  if (entries > 0) return 'tier';
  if (copies > 0) return 'copies';
  return writeHot ? 'write-hot' : 'hot';
}
