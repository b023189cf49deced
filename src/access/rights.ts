// What one client may do, by who it is.

import type { Identity } from '../upstream/space.ts';
import type { KeyPatterns } from './key-patterns.ts';

export interface Rights {
  /** The user's name. */
  readonly name: string;
  /** Whether it is one of heatsink's own users, which the upstream does not know. */
  readonly own: boolean;
  /** Whether it has shown who it is, or need not. */
  readonly authenticated: boolean;
  /** The keys that it may touch; null for all. */
  readonly keys: KeyPatterns | null;
  readonly readOnly: boolean;
  /** Whether it may send what the policy keeps for admins. */
  readonly admin: boolean;
  /** Who the upstream takes it for: null for heatsink's own user. */
  readonly identity: Identity | null;
}

export const EVERYTHING: Rights = {
  name: 'default',
  own: false,
  authenticated: true,
  keys: null,
  readOnly: false,
  admin: true,
  identity: null,
};

/** Those of a client that must first show who it is. */
export const NOTHING: Rights = { ...EVERYTHING, authenticated: false, admin: false };

/** Whether each request must be looked at, besides what the policy guards. */
export function limited({ authenticated, keys, readOnly }: Rights): boolean {
  return !authenticated || keys !== null || readOnly;
}

/** Whether a reply that is kept may be given to it unseen. */
export function readsAll({ authenticated, keys }: Rights): boolean {
  return authenticated && keys === null;
}
