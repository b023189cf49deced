// Heatsink's own users, as the configuration lists them.

import { KeyPatterns } from './key-patterns.ts';
import { hashPassword, isPassword } from './password.ts';
import { EVERYTHING, NOTHING, type Rights } from './rights.ts';

export interface UserOptions {
  readonly name: string;
  /** Each as `#<sha256 in hex>`. */
  readonly passwords: readonly string[];
  /** Whether any password will do, and for `default` none at all. */
  readonly nopass: boolean;
  /** Globs; null for all keys. */
  readonly keys: readonly string[] | null;
  readonly readOnly: boolean;
  readonly admin: boolean;
}

interface User {
  readonly rights: Rights;
  readonly passwords: readonly string[];
  readonly nopass: boolean;
}

/** Compared with when the name is unknown, so that the time does not tell. */
const NOBODYS = [hashPassword(Buffer.from('nobody'))];

export class Users {
  readonly #users: ReadonlyMap<string, User>;

  constructor(options: readonly UserOptions[]) {
    this.#users = new Map(
      options.map(({ name, passwords, nopass, keys, readOnly, admin }) => {
        const patterns = keys === null ? null : new KeyPatterns(keys);
        return [
          name,
          { rights: { ...EVERYTHING, name, own: true, keys: patterns, readOnly, admin }, passwords, nopass },
        ];
      }),
    );
  }

  /** Whether nobody is listed, so that everybody may come in. */
  get none(): boolean {
    return this.#users.size === 0;
  }

  /** Whether a connection needs no password to be that of the user `default`. */
  get defaultIsOpen(): boolean {
    return this.none || this.#users.get('default')?.nopass === true;
  }

  /** The rights of a connection that has not said who it is. `local`: it came over loopback. */
  unnamed(local: boolean): Rights {
    if (this.none) return { ...EVERYTHING, admin: local };
    return this.defaultIsOpen ? (this.#users.get('default') as User).rights : NOTHING;
  }

  /** The rights of a user, or null when the name or the password is wrong. */
  find(name: string, password: Uint8Array, local: boolean): Rights | null {
    if (this.none) return name === 'default' ? this.unnamed(local) : null;
    const user = this.#users.get(name);
    const right = isPassword(password, user?.passwords ?? NOBODYS);
    return user !== undefined && (right || user.nopass) ? user.rights : null;
  }
}
