// Keys that are written with the same time to live within a second: when do they expire, with a jitter and without?
// `npm run bench:jitter`

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { temporaryDir } from '../test/support/children.ts';
import { spawnProxy } from '../test/support/heatsink-process.ts';
import { type RedisProcess, startRedis } from '../test/support/redis.ts';
import { runBench, type Stage } from './stage.ts';
import { table, whole } from './table.ts';

/** Writes that are under way at once, and the longest bar in characters. */
const BATCH = 500;
const BAR = 40;

interface Written {
  /** How long the writes took, and when each key expires after the first of them, in seconds. */
  readonly took: number;
  readonly expire: readonly number[];
}

async function start(stage: Stage, percent: number): Promise<{ redis: RedisProcess; client: Redis }> {
  const folder = temporaryDir('bench');
  const file = join(folder, 'heatsink.yaml');
  writeFileSync(file, `rules: [{ match: "spread:*", jitter: ${percent}% }]\n`);
  stage.keep({ stop: () => rmSync(folder, { recursive: true }) });
  const redis = stage.keep(await startRedis());
  const proxy = stage.keep(await spawnProxy({ upstream: redis.url, file }));
  const client = new Redis(proxy.port);
  stage.keep({ stop: () => client.disconnect() });
  return { redis, client };
}

async function write(
  redis: RedisProcess,
  client: Redis,
  prefix: string,
  keys: number,
  ttl: number,
): Promise<Written> {
  const began = Date.now();
  for (let first = 0; first < keys; first += BATCH) {
    const names = Array.from({ length: Math.min(BATCH, keys - first) }, (_, i) => `${prefix}:${first + i}`);
    await Promise.all(names.map((name) => client.set(name, 'v', 'EX', ttl)));
  }
  const took = (Date.now() - began) / 1000;
  const asked = Array.from({ length: keys }, (_, i) => redis.call('PEXPIRETIME', `${prefix}:${i}`));
  return { took, expire: (await Promise.all(asked)).map((at) => (Number(at) - began) / 1000) };
}

function histogram(plain: Written, jittered: Written): { rows: string[][]; most: readonly [number, number] } {
  const seconds = [...plain.expire, ...jittered.expire].map(Math.floor);
  const [first, last] = [Math.min(...seconds), Math.max(...seconds)];
  const counts = ({ expire }: Written) =>
    Array.from(
      { length: last - first + 1 },
      (_, i) => expire.filter((at) => Math.floor(at) === first + i).length,
    );
  const [before, after] = [counts(plain), counts(jittered)];
  const most = [Math.max(...before), Math.max(...after)] as const;
  const rows = after.map((count, i) => [
    `${first + i}`,
    whole(before[i]),
    whole(count),
    '#'.repeat(Math.round((count / most[1]) * BAR)),
  ]);
  return { rows, most };
}

await runBench({
  name: 'jitter',
  title: 'Jitter of times to live',
  options: {
    keys: [10_000, 'keys that are written'],
    ttl: [60, 'seconds that each gets'],
    percent: [10, 'jitter of the rule'],
  },
  async run({ keys, ttl, percent }, stage) {
    const { redis, client } = await start(stage, percent);
    const plain = await write(redis, client, 'plain', keys, ttl);
    const jittered = await write(redis, client, 'spread', keys, ttl);
    const { rows, most } = histogram(plain, jittered);
    const [earliest, latest] = [Math.min(...jittered.expire), Math.max(...jittered.expire)];
    return [
      `${whole(keys)} keys are written with \`SET ... EX ${ttl}\`, without a rule within ${plain.took.toFixed(2)} s and with ` +
        `\`jitter: ${percent}%\` within ${jittered.took.toFixed(2)} s. How many of them expire in which second after the ` +
        'first write, as the server says:',
      table(['second', 'without a rule', `jitter: ${percent}%`, ''], rows, [0, 3]),
      `Most in one second: ${whole(most[0])} without a rule, ${whole(most[1])} with it. The first to expire does so after ` +
        `${earliest.toFixed(2)} s, the last after ${latest.toFixed(2)} s.`,
    ];
  },
});
