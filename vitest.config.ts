// How the tests run: real servers on a machine that may have no more than two cores.

import { defineConfig } from 'vitest/config';
import { PlainReporter } from './test/plain-reporter.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 4,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['default', new PlainReporter()],
  },
});
