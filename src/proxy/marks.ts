// What somebody does about keys while heatsink runs: each worker does it for itself.

import type { Rules } from '../cache/rules.ts';
import type { Tier } from '../cache/tier.ts';
import type { Versions } from '../cache/versions.ts';
import type { Detector } from '../hotkeys/detector.ts';
import { hashBytes, viewOf } from '../resp3/hash.ts';

/** What somebody does about keys. It holds for all workers, until it is undone or heatsink ends. */
export type KeyAction =
  /** pin: hot whatever its rate. ban: nothing of it is kept, shared or copied. */
  | { readonly how: 'pin' | 'unpin' | 'ban' | 'unban'; readonly key: Buffer }
  /** All that is kept is dropped. */
  | { readonly how: 'clear' };

/** What was done about keys. */
export interface Marks {
  readonly pinned: () => Buffer[];
  readonly banned: () => Buffer[];
  readonly isBanned: (key: Buffer) => boolean;
  readonly act: (action: KeyAction) => void;
}

export interface MarkedParts {
  readonly detector: Detector;
  readonly rules: Rules;
  readonly tier: Tier;
  readonly versions: Versions;
}

export function createMarks({ detector, rules, tier, versions }: MarkedParts): Marks {
  const pinned = new Map<string, Buffer>();
  const banned = new Map<string, Buffer>();

  function pin(key: Buffer): void {
    unban(key);
    pinned.set(nameOf(key), key);
    detector.pin(key);
  }

  function unpin(key: Buffer): void {
    if (pinned.delete(nameOf(key))) detector.unpin(key);
  }

  function ban(key: Buffer): void {
    unpin(key);
    banned.set(nameOf(key), key);
    rules.ban(key);
    // Ends what is being read for the tier and what has copies, too.
    const keyHash = hashBytes(viewOf(key), 0, key.length);
    versions.invalidate(keyHash);
    tier.dropKey(keyHash);
  }

  function unban(key: Buffer): void {
    if (banned.delete(nameOf(key))) rules.unban(key);
  }

  function clear(): void {
    versions.invalidateAll();
    tier.dropWhere(() => true);
  }

  return {
    pinned: () => [...pinned.values()],
    banned: () => [...banned.values()],
    isBanned: (key) => banned.size > 0 && banned.has(nameOf(key)),
    act(action: KeyAction) {
      if (action.how === 'clear') clear();
      // From another thread it comes as plain bytes.
      else ({ pin, unpin, ban, unban })[action.how](Buffer.from(action.key));
    },
  };
}

function nameOf(key: Buffer): string {
  return key.toString('latin1');
}
