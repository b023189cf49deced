// `observe: on`: heatsink finds hot keys and says what it would have saved, and passes everything on as it comes.

import type { Config } from './schema.ts';

/** The same configuration without all that would change what is sent upstream, or who answers. */
export function observing(config: Config): Config {
  return {
    ...config,
    rules: config.rules.map(({ match, consistency }) => ({ match, ...(consistency && { consistency }) })),
    fanOut: 'off',
    tier: { ...config.tier, staleOnError: 0, verifyShare: 0 },
  };
}
