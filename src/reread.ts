// Reads again what heatsink was started with: certificates, and the configuration where it comes from a file.

import type { Logger } from 'pino';
import { changesBetween } from './config/changes.ts';
import { ConfigError } from './config/load.ts';
import type { Config } from './config/schema.ts';
import type { Heatsink } from './heatsink.ts';

/**
 * What to do at a SIGHUP. `load` reads the configuration again, checked as a whole; null where there is no file. What
 * is different from the last time takes effect, in all workers or, when anything is wrong, in none. What CONFIG SET
 * has changed since stays where the file still says what it said.
 */
export function rereader(
  heatsink: Pick<Heatsink, 'renewCertificates' | 'configure'>,
  config: Config,
  log: Logger,
  load: (() => Config) | null,
): () => void {
  let last = config;

  function takeOptions(next: Config): void {
    const { live, fixed, said } = changesBetween(last, next);
    last = next;
    if (live.length > 0) {
      heatsink.configure(live);
      log.info(said, 'options changed');
    } else if (fixed.length === 0) {
      log.info('the configuration was read again: nothing has changed');
    }
    if (fixed.length > 0)
      log.warn({ options: fixed }, 'options changed in the file that need a restart of heatsink');
  }

  return () => {
    heatsink.renewCertificates();
    if (load === null) return;
    try {
      takeOptions(load());
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      log.error({ problems: error.lines }, 'the configuration stays as it is: the file is of no use');
    }
  };
}
