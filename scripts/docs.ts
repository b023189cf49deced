// Writes the files that are made from tables in the source; a test fails when they are out of date.

import { writeFileSync } from 'node:fs';
import { metricsPage } from '../src/admin/metrics-table.ts';
import { exampleFile } from '../src/config/example-file.ts';
import { configurationPage } from '../src/config/options-table.ts';
import { differencesPage } from '../test/support/differences.ts';

const write = (path: string, text: string) => writeFileSync(new URL(`../${path}`, import.meta.url), text);

write('docs/configuration.md', configurationPage());
write('docs/metrics.md', metricsPage());
write('docs/differences.md', differencesPage());
write('config.example.yaml', exampleFile());
