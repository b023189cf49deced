// heatsink demo as a process: its lines, and that nothing is left of it.

import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startChild } from './support/children.ts';
import { freePort, waitFor } from './support/wait.ts';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

async function demo(...more: string[]) {
  const [port, admin] = [await freePort(), await freePort()];
  const flags = ['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`, '--workers', '2'];
  const child = await startChild(process.execPath, [CLI, 'demo', ...flags, ...more], {
    ready: (output) => /^ +1 s/m.test(output),
    timeoutMs: 30_000,
  });
  return { child, admin };
}

describe('heatsink demo', () => {
  it('takes reads off the hottest shard, and leaves nothing behind after Ctrl-C', async () => {
    const { child, admin } = await demo();
    await waitFor(() => /^ +3 s/m.test(child.output()), 15_000);
    const page = await fetch(`http://127.0.0.1:${admin}/hotkeys?top=1`);
    const hot = (await page.json()) as { keys: unknown[] };
    expect(hot.keys[0]).toMatchObject({ key: 'product:0', state: 'tier' });
    const nodes = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    const ports = [...nodes.matchAll(/heatsink_upstream_connected\{node="127.0.0.1:(\d+)"\} 1/g)].map(
      ([, port]) => port,
    );
    expect(ports).toHaveLength(3);
    expect(await child.stop('SIGINT')).toBe(0);
    expect(child.output()).toMatch(
      /^ +3 s +\| +[\d,]+ +[\d,]+ +[\d.]+ \| +[\d,]+ +[\d,]+ \([ -]+\d+ %\) +[\d.]+$/m,
    );
    for (const port of ports)
      await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed');
  });
});
