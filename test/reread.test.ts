// SIGHUP: the configuration file is read again, and what is new in it takes effect as a whole or not at all.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { type ProxyProcess, spawnProxy } from './support/heatsink-process.ts';
import { startRedis, waitFor } from './support/redis.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Scene {
  readonly heatsink: ProxyProcess;
  /** Writes the file, hangs up, and waits until the log has that line once more. */
  reread(yaml: string, line: string): Promise<void>;
  option(name: string): Promise<string>;
  readonly client: Redis;
}

async function start(yaml: string, flags: Record<string, string>): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'heatsink-reread-'));
  open.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'h.yaml');
  writeFileSync(file, yaml);
  const redis = await startRedis();
  open.push(() => redis.stop());
  const heatsink = await spawnProxy({ upstream: redis.url, file, flags: { 'log-level': 'info', ...flags } });
  open.push(() => heatsink.close());
  const client = new Redis(heatsink.port);
  open.push(() => client.disconnect());
  const times = (line: string) => heatsink.output().split(line).length;
  return {
    heatsink,
    client,
    async reread(text, line) {
      const before = times(line);
      writeFileSync(file, text);
      heatsink.kill('SIGHUP');
      await waitFor(() => times(line) > before);
    },
    async option(name) {
      const [, value] = (await client.config('GET', `heatsink.${name}`)) as string[];
      return value;
    },
  };
}

describe.each([1, 2])('SIGHUP with %i workers', (workers) => {
  it('takes what is new in the file, and says what has changed', async () => {
    const flags = { workers: `${workers}`, 'tier-ttl': '700' };
    const { reread, option, heatsink, client } = await start('hot: { threshold: 300 }\n', flags);
    await client.config('SET', 'heatsink.hot.cool', '0.25');
    await waitFor(() => heatsink.output().includes('"hot.cool":"0.5 -> 0.25"'));

    await reread('hot: { threshold: 800 }\ntier: { maxBytes: 8MiB, ttl: 5 }\n', '"options changed"');
    await waitFor(async () => (await option('hot.threshold')) === '800');
    await waitFor(() => heatsink.output().includes('"hot.threshold":"300 -> 800"'));
    expect(await option('tier.maxBytes')).toBe(`${8 * 2 ** 20}`);
    expect(await option('hot.cool')).toBe('0.25');
    expect(await option('tier.ttl')).toBe('700');
    const { body } = await heatsink.admin('/hotkeys');
    expect(body).toMatchObject({ threshold: 800 });
    expect((await heatsink.metrics()).sum('heatsink_tier_max_bytes')).toBe(8 * 2 ** 20);
  });

  it('takes nothing of a file with a mistake in it, and names what only a restart brings', async () => {
    const { reread, option, heatsink } = await start('hot: { threshold: 300 }\n', { workers: `${workers}` });
    await reread('hot: { threshold: 800, top: none }\n', 'the configuration stays as it is');
    expect(heatsink.output()).toContain('is not accepted; accepted: a whole number from 1 to 10000');
    expect(await option('hot.threshold')).toBe('300');
    await reread('hot: { threshold: 300, steps: 5 }\n', 'that need a restart of heatsink');
    expect(heatsink.output()).toContain('"options":["hot.steps"]');
    await reread('hot: { threshold: 300, steps: 5 }\n', 'nothing has changed');
  });
});
