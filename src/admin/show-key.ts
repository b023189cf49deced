// A key in JSON. It is any bytes: one that is not UTF-8 is shown in base64 and says so.

import { isUtf8 } from 'node:buffer';

export interface ShownKey {
  readonly key: string;
  readonly encoding?: 'base64';
}

export function showKey(key: Buffer): ShownKey {
  return isUtf8(key) ? { key: key.toString() } : { key: key.toString('base64'), encoding: 'base64' };
}
