// Big keys and slow commands as JSON. What is not UTF-8 is shown in base64 and says so.

import { isUtf8 } from 'node:buffer';
import type { BigKeyList } from '../proxy/seen/big-keys.ts';
import type { SlowCommands } from '../proxy/seen/slow-log.ts';
import { showKey } from './show-key.ts';

/** The answer of /bigkeys. */
export function showBigKeys({ bytes, elements, keys }: BigKeyList) {
  const shown = keys.map((seen) => ({
    ...showKey(Buffer.from(seen.key)),
    db: seen.db,
    bytes: seen.bytes,
    elements: seen.elements,
    command: seen.command,
    direction: seen.of,
    first_seen: new Date(seen.firstSeen).toISOString(),
    last_seen: new Date(seen.lastSeen).toISOString(),
    times: seen.times,
  }));
  return { bytes_threshold: bytes, elements_threshold: elements, keys: shown };
}

/** The answer of /slowlog. */
export function showSlowLog({ slowerThan, entries }: SlowCommands) {
  const shown = entries.map(({ id, at, micros, args, client, name, node }) => ({
    id,
    time: new Date(at * 1000).toISOString(),
    duration_us: micros,
    arguments: args.map(showArgument),
    client,
    client_name: name,
    node,
  }));
  return { slower_than_ms: slowerThan, entries: shown };
}

function showArgument(bytes: Uint8Array): string | object {
  const argument = Buffer.from(bytes);
  return isUtf8(argument) ? argument.toString() : { base64: argument.toString('base64') };
}
