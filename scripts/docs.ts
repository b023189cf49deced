// Writes the files that are made from the configuration schema; a test fails when they are out of date.

import { writeFileSync } from 'node:fs';
import { exampleFile } from '../src/config/example-file.ts';
import { configurationPage } from '../src/config/options-table.ts';

writeFileSync(new URL('../docs/configuration.md', import.meta.url), configurationPage());
writeFileSync(new URL('../config.example.yaml', import.meta.url), exampleFile());
