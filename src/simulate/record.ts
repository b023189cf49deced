// `heatsink record`: writes down for some seconds what is asked of each master, for `heatsink simulate`.

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { HostPort } from '../config/host-port.ts';
import { ConfigError } from '../config/load.ts';
import type { Upstream } from '../config/upstream-url.ts';
import type { ServerTls } from '../resp3/socket.ts';
import { REQUEST } from './access.ts';
import { knownCommands } from './known-commands.ts';
import { LineSplitter } from './lines.ts';
import { MonitorReader } from './monitor.ts';
import { describeRequest, recordingHead } from './recording.ts';
import { sampleSizes } from './sizes.ts';
import { controlOf, type WatchedMaster, watchMaster } from './watch-master.ts';

/** What may wait to be written, in bytes. */
const UNWRITTEN_MAX = 64 * 2 ** 20;

export interface RecordOptions {
  readonly upstream: Upstream;
  readonly tls: ServerTls | null;
  /** Where sentinels are asked: theirs. */
  readonly sentinelLogin: { readonly username: string | null; readonly password: string | null };
  readonly file: string;
  readonly seconds: number;
  /** Ends it early, with what it has. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** Records; returns how many requests. Rejects when a master cannot be watched, or not any longer. */
export async function record(options: RecordOptions): Promise<number> {
  const { upstream, tls, file, seconds, signal, say } = options;
  const masters = await mastersOf(options);
  const output = await openOutput(file);
  const many = masters.length === 1 ? '1 master' : `${masters.length} masters`;
  say(`recording ${many} for ${seconds} s; MONITOR can take half of a busy master's throughput meanwhile`);
  output.write(recordingHead(masters.length));
  const writer = createWriter(output);
  const ended = Promise.withResolvers<void>();
  // It may fail before anybody waits for it, and after.
  ended.promise.catch(() => {});
  const sizes = sampleSizes((line) => output.write(line));
  const watched: WatchedMaster[] = [];
  let timer: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', () => ended.resolve());
  output.on('error', ended.reject);
  try {
    for (const at of masters) {
      const reader = new MonitorReader(table);
      const splitter = new LineSplitter((line, start, end, cut) => {
        if (reader.read(line, start, end, cut) !== REQUEST) return;
        const described = writer.request(reader);
        if (output.writableLength > UNWRITTEN_MAX)
          ended.reject(new Error(`${file}: it cannot be written fast enough`));
        const { access } = reader;
        const key = () => Buffer.from(access.buf.subarray(access.keys[0], access.keys[1]));
        const name = described.slice(0, described.indexOf(' '));
        if (access.db === 0 && master !== null) sizes.saw(master.control, name, described, key);
      });
      let master: WatchedMaster | null = null;
      master = await watchMaster({
        at,
        tls,
        login: upstream,
        monitored: (chunk) => splitter.push(chunk),
        failed: ended.reject,
      });
      watched.push(master);
    }
    timer = setTimeout(ended.resolve, seconds * 1000);
    await ended.promise;
  } finally {
    clearTimeout(timer);
    sizes.stop();
    for (const master of watched) master.close();
    output.end();
    await finished(output).catch(() => {});
  }
  return writer.requests();
}

const table = knownCommands();

/** Writes requests with the time since the one before, as they come: the clocks of masters differ. */
function createWriter(output: Writable) {
  let requests = 0;
  let last = 0;
  return {
    request({ access, frame }: MonitorReader): string {
      const now = Math.round(performance.now() * 1000);
      const command = table.find(frame);
      // The reader found it a moment ago.
      const described = command === null ? '' : describeRequest(access, command, frame);
      output.write(`${requests === 0 ? 0 : now - last} ${access.db} ${described}\n`);
      requests++;
      last = now;
      return described;
    },
    requests: () => requests,
  };
}

/** Opens the file, packed if its name ends in .gz. */
async function openOutput(file: string): Promise<Writable> {
  const written = createWriteStream(file, { mode: 0o600 });
  try {
    await once(written, 'open');
  } catch (error) {
    throw new ConfigError([`cannot write ${JSON.stringify(file)}: ${(error as Error).message}`]);
  }
  if (!file.endsWith('.gz')) return written;
  const packed = createGzip();
  packed.pipe(written);
  written.on('error', (error) => packed.destroy(error));
  return packed;
}

/** The masters that there are now. */
async function mastersOf({ upstream, tls, sentinelLogin }: RecordOptions): Promise<HostPort[]> {
  if (upstream.kind === 'standalone') return [...upstream.nodes];
  const problems: string[] = [];
  for (const at of upstream.nodes) {
    const login =
      upstream.kind === 'cluster'
        ? upstream
        : { username: sentinelLogin.username ?? undefined, password: sentinelLogin.password ?? undefined };
    const control = controlOf({ at, tls, login });
    control.on('error', (error) => problems.push(`${at.host}:${at.port}: ${error.message}`));
    try {
      if (upstream.kind === 'sentinel') {
        const master = await control.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', upstream.master ?? '');
        if (!Array.isArray(master)) throw new Error(`it knows no master ${upstream.master}`);
        return [{ host: String(master[0]), port: Number(master[1]) }];
      }
      const slots = (await control.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
      const named = slots.map(([, , [host, port]]) => ({ host: host || at.host, port }));
      if (named.length === 0) throw new Error('CLUSTER SLOTS names no slot: is the cluster formed?');
      return [...new Map(named.map((node) => [`${node.host}:${node.port}`, node])).values()];
    } catch (error) {
      problems.push(`${at.host}:${at.port}: ${(error as Error).message}`);
    } finally {
      control.disconnect();
    }
  }
  throw new Error(`the upstream does not say which masters there are: ${problems.join('; ')}`);
}
