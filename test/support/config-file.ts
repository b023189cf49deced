// A configuration file for a test, gone with it.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDir } from './children.ts';

export interface ConfigFile {
  readonly path: string;
  remove(): void;
}

export function configFile(yaml: string): ConfigFile {
  const folder = temporaryDir('config');
  const path = join(folder, 'heatsink.yaml');
  writeFileSync(path, yaml);
  return { path, remove: () => rmSync(folder, { recursive: true }) };
}
