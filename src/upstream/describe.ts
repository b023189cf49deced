// What the upstream says of itself: its commands, version, mode and databases.

import type { Control } from './control.ts';

/** What the upstream says of itself. */
export interface ServerFacts {
  readonly version: string;
  readonly mode: 'standalone' | 'cluster';
  /** Its `databases` setting; 1 in a cluster. */
  readonly databases: number;
}

/** Redis's default, for servers that do not let CONFIG be read. */
const DATABASES = 16;

/** Asks INFO and CONFIG; rejects when no server answers. */
export async function readFacts(control: Control, cluster: boolean): Promise<ServerFacts> {
  const info = String(await control.call('INFO', 'server'));
  const version = /redis_version:(\S+)/.exec(info)?.[1] ?? '0.0.0';
  if (cluster) return { version, mode: 'cluster', databases: 1 };
  const setting = await control.call('CONFIG', 'GET', 'databases').catch(() => null);
  const databases = Array.isArray(setting) ? Number(setting[1]) : DATABASES;
  return { version, mode: 'standalone', databases: databases || DATABASES };
}

/**
 * The arguments of a request that are keys, by COMMAND GETKEYS; none when the server finds no keys in it, null when
 * it does not know the command or cannot be reached. https://redis.io/docs/latest/commands/command-getkeys/
 */
export async function readKeys(control: Control, args: Buffer[]): Promise<number[] | null> {
  let keys: unknown;
  try {
    keys = await control.callBuffer('COMMAND', 'GETKEYS', ...args);
  } catch (error) {
    return (error as Error).message.startsWith('ERR The command has no key') ? [] : null;
  }
  if (!Array.isArray(keys)) return null;
  const positions: number[] = [];
  for (const key of keys as Buffer[]) {
    const position = args.findIndex((arg, i) => i > 0 && !positions.includes(i) && arg.equals(key));
    if (position > 0) positions.push(position);
  }
  return positions;
}
