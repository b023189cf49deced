// Every command that the server has, to a Redis and to heatsink in front of another one: the same bytes must come
// back, or the table of differences says why not.

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CORPUS, DATA_CORPUS } from './support/command-corpus.ts';
import { TAGS, type Topology } from './support/corpus/group.ts';
import { DIFFERENCES, differencesPage, NOT_COMPARED } from './support/differences.ts';
import { callsOnOtherTypes, type TableRow, tableRows, wrongCalls } from './support/generated-calls.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { startCluster, startRedis } from './support/redis.ts';
import { WEAKER } from './support/relations.ts';
import {
  type End,
  fitsPipeline,
  type Outcome,
  runGroup,
  runPipeline,
  type Setting,
} from './support/side-by-side.ts';

// A server looks at its timeouts 10 times a second unless told otherwise.
const ARGS = ['--enable-debug-command', 'yes', '--hz', '100'];
const open: (() => unknown)[] = [];
const ends = new Map<string, End>();
const proxies: RunningProxy[] = [];
let rows: TableRow[];
const succeeded: Outcome['succeeded'] = new Set();
const excused: Outcome['excused'] = new Set();
/** Mismatches that an earlier run has listed. */
const listed = new Set<string>();

/** None can succeed in a test: they need a file, a module, a policy or a script that is not there. */
const NEVER_SUCCEED = [
  'acl|load acl|save config|rewrite function|kill latency|graph module|load module|loadex module|unload',
  'script|kill bgrewriteaof',
].flatMap((names) => names.split(' '));

beforeAll(async () => {
  const [direct, behind] = await Promise.all([startRedis({ args: ARGS }), startRedis({ args: ARGS })]);
  open.push(() => Promise.all([direct.stop(), behind.stop()]));
  const [directCluster, cluster] = await Promise.all([
    startCluster({ args: ARGS }),
    startCluster({ args: ARGS }),
  ]);
  open.push(() => Promise.all([directCluster.stop(), cluster.stop()]));
  const owner = await directCluster.slotOwner(TAGS['@']);
  expect(await directCluster.slotOwner(TAGS['^'])).toBe(owner);
  ends.set('standalone', { port: direct.port, servers: [direct] });
  ends.set('cluster', { port: owner.port, servers: directCluster.nodes });
  for (const tier of ['off', 'on']) {
    for (const [topology, { url, servers }] of Object.entries({
      standalone: { url: behind.url, servers: [behind] },
      cluster: { url: cluster.url, servers: cluster.nodes },
    })) {
      const flags = { tier, 'hot-threshold': '1', 'tier-max-entry-bytes': '2MiB', 'auth-delay': '0' };
      const proxy = await startProxy({ upstream: url, flags });
      open.push(() => proxy.close());
      proxies.push(proxy);
      ends.set(`${topology} tier ${tier}`, { port: proxy.port, servers });
    }
  }
  rows = tableRows(await direct.call('COMMAND'));
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
});

function end(name: string): End {
  const found = ends.get(name);
  if (!found) throw new Error(`no end is called ${name}`);
  return found;
}

const SETTINGS = (['standalone', 'cluster'] as const).flatMap((topology) =>
  ([2, 3] as const).flatMap((protocol) =>
    (['off', 'on'] as const).map((tier) => ({ topology, protocol, tier })),
  ),
);

describe.each(SETTINGS)('in front of $topology, in RESP$protocol, the tier $tier', (where) => {
  it('answers every command as Redis does', { timeout: 60_000 }, async () => {
    const outcome: Outcome = { mismatches: [], succeeded, excused };
    await runAll(settingOf(where), outcome);
    const fresh = outcome.mismatches.filter((text) => !listed.has(text));
    for (const text of fresh) listed.add(text);
    const known = outcome.mismatches.length - fresh.length;
    const more = known > 0 ? `\n\nand ${known} more that an earlier run has listed` : '';
    expect.soft(outcome.mismatches.length, `${fresh.join('\n')}${more}\n\nmismatches`).toBe(0);
  });
});

function settingOf(where: { topology: Topology; protocol: 2 | 3; tier: string }): Setting {
  return {
    ...where,
    redis: end(where.topology),
    heatsink: end(`${where.topology} tier ${where.tier}`),
    reads: where.tier === 'on' ? 3 : 1,
    rows: new Map(rows.map((row) => [row.name, row])),
  };
}

async function runAll(setting: Setting, outcome: Outcome): Promise<void> {
  const runs = ({ topology = setting.topology, protocol = setting.protocol }) =>
    topology === setting.topology && protocol === setting.protocol;
  for (const group of CORPUS.filter(runs)) {
    const before = outcome.mismatches.length;
    await runGroup(group, setting, outcome);
    // Where a call alone goes wrong, a pipeline would only say it again.
    if (outcome.mismatches.length > before || !fitsPipeline(group)) continue;
    await runPipeline(`${group.title}, pipelined`, group.calls, setting, outcome);
  }
  await runPipeline('wrong calls', wrongCalls(rows), setting, outcome);
  const others = callsOnOtherTypes(DATA_CORPUS.filter(runs));
  await runPipeline('keys of other types', others, setting, outcome);
}

describe('the corpus', () => {
  const notCompared = NOT_COMPARED.flatMap(({ commands }) => commands.split(' '));

  it('has a call that succeeds of every command and subcommand of the server', () => {
    const excepted = [...notCompared, ...NEVER_SUCCEED];
    const missing = rows.filter(
      ({ name, isContainer }) =>
        !succeeded.has(name) && !excepted.includes(name) && (!isContainer || name === 'command'),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  it('needs every row of the table of differences, and every exception', () => {
    expect(DIFFERENCES.filter((row) => !excused.has(row)).map(({ commands }) => commands)).toEqual([]);
    const called = [...notCompared, ...NEVER_SUCCEED].filter((name) => succeeded.has(name));
    expect(called).toEqual([]);
  });

  it('names only commands that there are, where it says how they are compared', () => {
    const named = [...WEAKER, ...NOT_COMPARED].flatMap(({ commands }) => commands.split(' '));
    expect(named.filter((name) => !rows.some((row) => row.name === name))).toEqual([]);
    expect(new Set(named).size).toBe(named.length);
  });

  it('has been answered from the tier many times', async () => {
    const hits = await Promise.all(
      proxies.map(async (proxy) =>
        (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' }),
      ),
    );
    expect(hits.filter((count) => count > 500)).toHaveLength(2);
  });
});

it('docs/differences.md is up to date (npm run docs)', () => {
  const page = readFileSync(new URL('../docs/differences.md', import.meta.url), 'utf8');
  expect(page).toBe(differencesPage());
});
