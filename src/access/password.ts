// Passwords are known by their SHA-256 only, written `#<hex>` as in Redis's ACL files.

import { createHash, timingSafeEqual } from 'node:crypto';

const HASH = /^#[0-9a-f]{64}$/;

/** `#` and the SHA-256 in lower-case hex. */
export function hashPassword(password: Uint8Array): string {
  return `#${createHash('sha256').update(password).digest('hex')}`;
}

export function isPasswordHash(text: string): boolean {
  return HASH.test(text);
}

/** Whether the password has one of these hashes; takes the same time wherever they differ. */
export function isPassword(password: Uint8Array, hashes: readonly string[]): boolean {
  const given = Buffer.from(hashPassword(password));
  let found = false;
  for (const hash of hashes) found = timingSafeEqual(given, Buffer.from(hash)) || found;
  return found;
}
