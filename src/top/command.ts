// The command line of `heatsink top`.

import { Command } from 'commander';
import { ConfigError } from '../config/load.ts';
import { printOnce, showTop } from './top.ts';

const ADMIN = 'http://127.0.0.1:9380';

interface TopFlags {
  readonly once?: boolean;
  readonly json?: boolean;
  readonly token?: string;
}

export function topCommand(): Command {
  return new Command('top')
    .description('show hot keys, outcomes and shard load of a running heatsink in the terminal, each second')
    .argument('[URL]', `of its admin server (default: ${ADMIN})`)
    .option('--once', 'print it once and end; so it is where there is no terminal')
    .option('--json', 'with --once: all of it as JSON')
    .option('--token <TOKEN>', 'its adminToken, to pin and ban keys (environment: HEATSINK_ADMIN_TOKEN)')
    .action(async (url: string = ADMIN, { once = false, json = false, token }: TopFlags) => {
      const admin = URL.parse(/^https?:\/\//.test(url) ? url : `http://${url}`);
      if (admin === null)
        throw new ConfigError([`${JSON.stringify(url)} is not accepted; accepted: a URL such as ${ADMIN}`]);
      if (json && !once) throw new ConfigError(['--json: it needs --once as well']);
      const options = { admin, token: token ?? process.env.HEATSINK_ADMIN_TOKEN ?? null };
      if (once || !process.stdin.isTTY || !process.stdout.isTTY) {
        await printOnce(options, json, process.stdout);
        return;
      }
      const end = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end.abort());
      await showTop(options, process.stdin, process.stdout, end.signal);
      process.exit(0);
    });
}
