// `heatsink simulate` and `heatsink record` as people use them.

import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { Cluster, Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../src/config/load.ts';
import { createDemand, keyOf } from '../src/demo/traffic.ts';
import type { Results } from '../src/simulate/results.ts';
import { settingsOf } from '../src/simulate/settings.ts';
import { simulate as run } from '../src/simulate/simulate.ts';
import type { Format } from '../src/simulate/trace.ts';
import { spawnProxy } from './support/heatsink.ts';
import { startCluster, startRedis } from './support/redis.ts';
import { freePort, waitFor } from './support/wait.ts';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'heatsink-simulate-'));
const open: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function heatsink(args: string[], input?: Buffer): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [CLI, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

const simulate = (...args: string[]) => heatsink(['simulate', ...args]);

type Printed = Results & { trace: Record<string, unknown>; value_bytes: number };

/** The same without a process of its own. */
async function results(file: string, ...args: string[]): Promise<Printed> {
  const given = (flag: string) => args.filter((_, i) => args[i - 1] === flag);
  const lines = await run({
    file,
    format: null,
    settings: settingsOf(given('--set')),
    nodes: null,
    valueBytes: given('--value-bytes').length > 0 ? 2048 : 1024,
    json: true,
  });
  return JSON.parse(lines.join('\n'));
}

function fileOf(name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

const SECONDS = 5;
const RATE = 1000;
/** Of ten requests six read one key, which nobody writes. */
const asked = Array.from({ length: SECONDS * RATE }, (_, i) => ({
  at: i / RATE,
  key: i % 10 < 6 ? 'sale' : `k:${i % 1000}`,
  writes: i % 100 === 99,
}));
const monitor = asked
  .map(({ at, key, writes }) => {
    const time = (1_700_000_000 + at).toFixed(6);
    return `${time} [0 127.0.0.1:5000] ${writes ? `"SET" "${key}" "v"` : `"GET" "${key}"`}\n`;
  })
  .join('');
const twitter = asked
  .map(({ at, key, writes }) => `${Math.floor(at)},${key},${key.length},1000,7,${writes ? 'set' : 'get'},0\n`)
  .join('');
const recording = `heatsink-trace 1 masters=3\n= 1000 get - sale\n${asked
  .map(({ key, writes }, i) => `${i === 0 ? 0 : 1e6 / RATE} 0 ${writes ? 'set' : 'get'} - ${key}\n`)
  .join('')}`;

const SET = ['--set', 'hot.threshold=100', '--set', 'tier.ttl=60000', '--set', 'tier.maxBytes=64MiB'];

describe('a trace', () => {
  it.each([
    ['monitor', monitor],
    ['twitter', twitter],
    ['heatsink', recording],
  ])('of the format %s is told by itself, plain, packed and from standard input', async (format, text) => {
    const plain = await results(fileOf(`plain.${format}`, text), ...SET);
    expect(plain.trace).toMatchObject({ format, malformed: 0, unrelated: 0, late: 0 });
    expect(plain).toMatchObject({ requests: SECONDS * RATE, writes: SECONDS * RATE * 0.01 });
    expect(plain.nodes).toBe(format === 'heatsink' ? 3 : 1);
    expect(plain.value_bytes).toBe(format === 'monitor' ? 1024 : null);
    const [first] = plain.results;
    // The key is hot after 100 of its reads, and then each of them is a hit.
    const sale = asked.filter(({ key, writes }) => key === 'sale' && !writes).length;
    expect(first.hit_ratio * plain.requests).toBeGreaterThan(sale - 300);
    expect(first.hit_ratio * plain.requests).toBeLessThanOrEqual(sale - 100);
    expect(first).toMatchObject({ hot_keys: 1, entries: 1, fills: 1, invalidated: 0, evicted: 0 });
    expect(Math.abs(first.memory_bytes - 1400)).toBeLessThan(150);

    for (const [name, pack] of [
      ['gz', gzipSync],
      ['zst', zstdCompressSync],
    ] as const) {
      const packed = await results(fileOf(`packed.${format}.${name}`, pack(text)), ...SET);
      expect({ ...packed, trace: null }).toEqual({ ...plain, trace: null });
    }
    const args = ['simulate', '-', ...SET, '--json'];
    const piped = JSON.parse((await heatsink(args, Buffer.from(text))).stdout);
    expect({ ...piped, trace: null }).toEqual({ ...plain, trace: null });
  });

  it('with some malformed lines is replayed without them, and says where the first is', async () => {
    const broken = monitor.replace(/^.*"k:16".*$/gm, 'broken line here').replace(/^.*"k:17".*$/gm, '');
    const file = fileOf('broken.monitor', `OK\n${broken}`);
    const { code, stdout } = await simulate(file);
    expect(code).toBe(0);
    const line = broken.split('\n').indexOf('broken line here') + 2;
    expect(stdout).toContain(`  5 lines are malformed and left out, the first at ${file}:${line}\n`);
    expect(stdout).toContain(`  6 lines are not about keys\n`);
  });

  it('with writes of the hot key has fewer hits, and none where each read comes behind a write', async () => {
    const lines = (text: string[]) => text.map((line, i) => `${i === 0 ? 0 : 1000} 0 ${line}\n`).join('');
    const run = async (name: string, each: string[]) => {
      const text = `heatsink-trace 1 masters=1\n${lines(Array.from({ length: 2000 }, () => each).flat())}`;
      const [result] = (await results(fileOf(name, text), '--set', 'hot.threshold=100')).results;
      return result;
    };
    const often = await run('often', [
      'set - a',
      'get - a',
      'get - a',
      'get - a',
      'get - a',
      'get - a',
      'get - a',
    ]);
    expect(often.hit_ratio).toBeGreaterThan(0.6);
    expect(often.invalidated).toBeGreaterThan(1000);
    expect(often.fills - often.invalidated).toBeLessThanOrEqual(1);
    const always = await run('always', ['set - a', 'get - a']);
    expect(always.hit_ratio).toBe(0);
    // Written too often to be worth a fill: it is tried for a moment each second.
    expect(always.fills).toBeLessThan(200);
  });

  it('needs the memory that the setting allows, not more', async () => {
    const text = `heatsink-trace 1 masters=1\n${Array.from({ length: 40_000 }, (_, i) => `25 0 get - k:${i % 200}\n`).join('')}`;
    const set = [
      '--set',
      'hot.threshold=100',
      '--set',
      'tier.ttl=60000',
      '--set',
      'tier.maxBytes=64KiB,1MiB',
    ];
    const both = await results(
      fileOf('many', text),
      ...set,
      '--set',
      'tier.maxEntryBytes=1KiB,4KiB',
      '--value-bytes',
      '2KiB',
    );
    const [small, fits, none] = [both.results[1], both.results[3], both.results[0]];
    expect(small.memory_bytes).toBeLessThanOrEqual(65_536);
    expect(small.memory_bytes).toBeGreaterThan(60_000);
    expect(small.evicted).toBeGreaterThan(0);
    expect(fits).toMatchObject({ evicted: 0, entries: 200 });
    expect(fits.hit_ratio).toBeGreaterThan(small.hit_ratio);
    expect(none).toMatchObject({ hit_ratio: 0, memory_bytes: 0 });
    expect(none.too_large).toBeGreaterThan(0);
    expect(both.recommended?.setting).toEqual(fits.setting);
  });
});

describe('the report', () => {
  it('has a line for each setting and recommends the least of those that do as well as the best', async () => {
    const set = ['--set', 'hot.threshold=100,103,5000', '--set', 'tier.maxBytes=1MiB'];
    const { code, stdout, stderr } = await simulate(fileOf('report', monitor), '--nodes', '3', ...set);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('5,000 requests about keys in 5.0 s');
    expect(stdout).toContain('replies of unknown size are taken for 1 KiB each (--value-bytes)');
    expect(stdout).toContain('In all settings: tier.maxBytes 1MiB, tier.maxEntryBytes 256KiB');
    expect(stdout.match(/^\*? +\d+ +\d+ +\d+\.\d %/gm)).toHaveLength(6);
    expect(stdout).toMatch(/^\* +103 +60000 /m);
    expect(stdout).toMatch(/^ +5000 +1000 +0\.0 %/m);
    expect(stdout).toContain('heatsink --hot-threshold 103 --tier-ttl 60000 --tier-max-bytes 1MiB');
    expect(stdout).toContain(
      'as much as the best of the 6 settings to within a point, with the least memory',
    );
  });

  it('recommends nothing where nothing helps', async () => {
    const { code, stdout } = await simulate(fileOf('cold', monitor), '--set', 'hot.threshold=100000');
    expect(code).toBe(0);
    expect(stdout).toContain('No setting is recommended: none spares the hottest shard');
  });
});

describe('what cannot be simulated', () => {
  const refused = async (words: string, ...args: string[]) => {
    const { code, stdout, stderr } = await simulate(...args);
    expect([stderr, code, stdout]).toEqual([expect.stringContaining(words), 2, '']);
  };

  const unread = async (words: string, file: string, format: Format | null = null) => {
    const options = { file, format, settings: settingsOf([]), nodes: null, valueBytes: 1024, json: false };
    const error = await run(options).catch((caught) => caught);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain(words);
  };

  it('is named with its file and line', async () => {
    const none = join(folder, 'none');
    await refused(`cannot read ${JSON.stringify(none)}: there is no such file`, none);
    await unread(`cannot read ${JSON.stringify(folder)}: `, folder);
    const empty = fileOf('empty', '');
    await unread(`${empty}: it is empty`, empty);
    const prose = fileOf('prose', 'It was a dark and stormy night\n');
    await unread(`${prose}:1: its format is not known; accepted: lines of MONITOR`, prose);
    const newer = fileOf('newer', 'heatsink-trace 9 masters=1\n');
    await unread(`${newer}:1: not accepted; accepted: heatsink-trace 1 masters=N`, newer);
    await unread(`${prose}:1: not a line of the format twitter, as are 1 of 1 lines`, prose, 'twitter');
    const mostly = fileOf('mostly', `${monitor.slice(0, 3000)}${'nonsense, all of it\n'.repeat(5000)}`);
    await unread(
      `${mostly}:${monitor.slice(0, 3000).split('\n').length}: not a line of the format monitor`,
      mostly,
    );
    const torn = fileOf('torn.gz', gzipSync(monitor).subarray(0, 5000));
    await unread(`${torn}:`, torn);
    await unread('what is packed in it cannot be read on from here: unexpected end of file', torn);
  });

  it('is a trace without reads, or without keys', async () => {
    const writes = fileOf('writes', '1.0 [0 c:1] "SET" "a" "b"\n');
    await unread(`${writes}: it has 1 writes and no reads: there is nothing to keep`, writes);
    const pings = fileOf('pings', '1.0 [0 c:1] "PING"\n');
    await unread(`${pings}: it has no requests about keys, in 1 lines`, pings);
  });

  it('is a flag that is not accepted', async () => {
    const file = fileOf('flags', monitor);
    await refused(
      '--set hot.treshold=1: not accepted (did you mean "hot.threshold"?); accepted: NAME=VALUE',
      file,
      '--set',
      'hot.treshold=1',
    );
    await refused(
      '--set hot.threshold: "0" is not accepted; accepted: a whole number',
      file,
      '--set',
      'hot.threshold=5,0',
    );
    await refused('--nodes: "0" is not accepted', file, '--nodes', '0');
    await refused('--value-bytes: "big" is not accepted', file, '--value-bytes', 'big');
    await refused(
      '--format: "csv" is not accepted; accepted: monitor, twitter, heatsink',
      file,
      '--format',
      'csv',
    );
  });
});

describe('record', () => {
  const record = (...args: string[]) => heatsink(['record', ...args]);

  it('says why it cannot', async () => {
    const redis = await startRedis({ args: ['--requirepass', 'secret'] });
    open.push(() => redis.stop());
    const file = join(folder, 'refused');
    const refused = await record('--upstream', redis.url, file);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`Redis at 127.0.0.1:${redis.port}: NOAUTH`),
    ]);
    const nobody = await record('--upstream', `redis://127.0.0.1:${await freePort()}`, file);
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('ECONNREFUSED')]);
    const single = await startRedis();
    const half = await record('--upstream', `redis+sentinel://127.0.0.1:${single.port}/mymaster`, file);
    await single.stop();
    expect([half.code, half.stderr]).toEqual([
      1,
      expect.stringContaining('does not say which masters there are'),
    ]);
    expect((await record(file)).code).toBe(2);
    const nowhere = await record('--upstream', redis.url, join(folder, 'no', 'where'));
    expect([nowhere.code, nowhere.stderr]).toEqual([2, expect.stringContaining('cannot write')]);
  });

  it('ends early with what it has, and has no values in it', async () => {
    const redis = await startRedis({ args: ['--requirepass', 'secret'] });
    const client = new Redis({ port: redis.port, password: 'secret' });
    open.push(
      () => redis.stop(),
      () => client.disconnect(),
    );
    const file = join(folder, 'early');
    const url = `redis://:secret@127.0.0.1:${redis.port}`;
    const child = spawn(process.execPath, [CLI, 'record', '--upstream', url, '--seconds', '60', file]);
    await waitFor(async () => /flags=O/.test(String(await client.client('LIST'))), 15_000);
    await client.set('k v', 'my value');
    await client.get('k v');
    await client.call('AUTH', 'secret');
    await waitFor(async () => {
      await client.get('k v');
      return readFileSync(file, 'latin1').includes('\n= ');
    }, 20_000);
    child.kill('SIGINT');
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(0);
    const text = readFileSync(file, 'latin1');
    expect(text).toMatch(
      /^heatsink-trace 1 masters=1\n0 0 set - k%20v\n(\d+ 0 get - k%20v\n)+= \d+ get - k%20v\n(\d+ 0 get - k%20v\n)*$/,
    );
  });
});

describe('against the real thing', () => {
  /** The same requests each time: Zipf, and a sale in the second half; a write now and then. */
  function traffic(seconds: number, rate: number) {
    let seed = 7;
    const random = () => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    };
    const demand = createDemand(random);
    return Array.from({ length: seconds * rate }, (_, i) => {
      const sale = i > (seconds * rate) / 2;
      return { at: (i * 1000) / rate, key: keyOf(demand.next(sale)), writes: random() < 0.01 };
    });
  }

  /** Sends each when it is due; how late one was at the most, in milliseconds. */
  async function drive(client: Redis | Cluster, requests: ReturnType<typeof traffic>): Promise<number> {
    const began = performance.now();
    let late = 0;
    const replies: Promise<unknown>[] = [];
    for (let next = 0; next < requests.length; ) {
      const due = performance.now() - began;
      late = Math.max(late, due - requests[next].at);
      for (; next < requests.length && requests[next].at <= due; next++) {
        const { key, writes } = requests[next];
        replies.push(writes ? client.set(key, 'x'.repeat(500)) : client.get(key));
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Promise.all(replies);
    return late;
  }

  /** What a new heatsink in front of the upstream makes of the requests. */
  async function ratioOf(upstream: string, requests: ReturnType<typeof traffic>) {
    const proxy = await spawnProxy({ upstream, flags: { 'hot-threshold': '50', workers: '1' } });
    const client = new Redis({ port: proxy.port, enableReadyCheck: false });
    try {
      await waitFor(async () => {
        const { nodes } = (await proxy.admin('/state')).body as { nodes: { tracking: string }[] };
        return nodes.length === 3 && nodes.every(({ tracking }) => tracking === 'on');
      }, 15_000);
      const late = await drive(client, requests);
      const metrics = await proxy.metrics();
      const answered = (outcome: string) => metrics.sum('heatsink_requests_total', { outcome });
      return { late, ratio: (answered('tier_hit') + answered('coalesced')) / requests.length };
    } finally {
      client.disconnect();
      await proxy.close();
    }
  }

  it('the hit ratio is that of a heatsink that serves the same requests, to within 5 points', async () => {
    const cluster = await startCluster();
    open.push(() => cluster.stop());
    const [seed] = cluster.nodes;
    const direct = new Cluster([{ host: seed.host, port: seed.port }]);
    open.push(() => direct.disconnect());
    const requests = traffic(4, 1500);
    for (const key of new Set(requests.map((request) => request.key))) await direct.set(key, 'x'.repeat(500));

    const file = join(folder, 'live.gz');
    const recorder = spawn(process.execPath, [
      CLI,
      'record',
      '--upstream',
      cluster.url,
      '--seconds',
      '60',
      file,
    ]);
    open.push(() => recorder.kill('SIGKILL'));
    for (const node of cluster.nodes)
      await waitFor(async () => /flags=O/.test(String(await node.client.client('LIST'))), 15_000);
    await drive(direct, requests);
    // What was asked last is on its way to the recorder.
    await new Promise((resolve) => setTimeout(resolve, 300));
    recorder.kill('SIGINT');
    await new Promise((resolve) => recorder.on('exit', resolve));

    // A machine that is busy with other things holds requests up: that is another load.
    let live = await ratioOf(cluster.url, requests);
    for (let again = 0; again < 2 && live.late > 150; again++) live = await ratioOf(cluster.url, requests);

    const simulated = await results(
      file,
      '--set',
      'hot.threshold=50',
      '--set',
      'tier.ttl=60000',
      '--set',
      'tier.maxBytes=64MiB',
    );
    const [{ hit_ratio: simulatedRatio, hot_keys }] = simulated.results;
    expect(simulated).toMatchObject({ requests: requests.length, nodes: 3 });
    expect(hot_keys).toBeGreaterThan(3);
    console.log(`hit ratio: ${live.ratio.toFixed(3)} live, ${simulatedRatio.toFixed(3)} simulated`);
    expect(live.ratio).toBeGreaterThan(0.2);
    expect(Math.abs(live.ratio - simulatedRatio)).toBeLessThan(0.05);
    // The size of every hot key was asked for.
    expect(simulated.results[0].memory_bytes / simulated.results[0].entries).toBeGreaterThan(900);
  }, 60_000);
});
