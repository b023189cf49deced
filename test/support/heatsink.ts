// heatsink inside this process, for tests; heatsink-process.ts starts it in one of its own.

import { pino } from 'pino';
import { loadConfig } from '../../src/config/load.ts';
import { startHeatsink } from '../../src/heatsink.ts';
import { describeProxy, type ProxyOptions, type RunningProxy } from './heatsink-process.ts';

export {
  type ProxyOptions,
  type ProxyProcess,
  type RunningProxy,
  spawnCli,
  spawnProxy,
} from './heatsink-process.ts';

/** One worker is on the thread of the test, so that it starts at once. */
const DEFAULTS = {
  listen: '127.0.0.1:0',
  admin: '127.0.0.1:0',
  workers: process.env.TEST_WORKERS ?? '1',
};

/** Starts heatsink in this process on free ports. It logs nothing unless `log-level` is among the flags. */
export async function startProxy({ upstream, flags = {}, file }: ProxyOptions): Promise<RunningProxy> {
  const given = { ...DEFAULTS, ...flags, upstream };
  const config = loadConfig({ flags: given, env: {}, file });
  const log = pino({ level: flags['log-level'] ?? 'silent' });
  const heatsink = await startHeatsink(config, { log });
  const [host, port] = hostPort(heatsink.address);
  const [, adminPort] = hostPort(heatsink.adminAddress ?? ':0');
  return { ...describeProxy(host, port, adminPort), close: () => heatsink.close() };
}

function hostPort(address: string): [host: string, port: number] {
  const colon = address.lastIndexOf(':');
  return [address.slice(0, colon), Number(address.slice(colon + 1))];
}
