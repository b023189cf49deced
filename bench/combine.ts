// A counter that everybody writes: many clients increment one key, with increments combined and without.
// `npm run bench:combine`

import { rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { temporaryDir } from '../test/support/children.ts';
import { spawnProxy } from '../test/support/heatsink-process.ts';
import { type RedisProcess, startRedis } from '../test/support/redis.ts';
import { progress } from './progress.ts';
import { runBench, type Stage } from './stage.ts';
import { spread } from './statistics.ts';
import { short, table, whole } from './table.ts';

/** A share of the increments that may go upstream, at the most. */
const AIM = 0.1;

interface Round {
  readonly perSecond: number;
  /** Increments that reached the server, and microseconds of its CPU for each of a client's. */
  readonly upstream: number;
  readonly serverMicros: number;
  /** Values that came not exactly once. */
  readonly wrong: number;
}

const medianOf = (values: readonly number[]) => spread(values).median;

class Incrementer {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #seen: Uint8Array;
  readonly #next: () => boolean;
  #rest = '';

  constructor(socket: Socket, key: string, seen: Uint8Array, next: () => boolean) {
    this.#socket = socket;
    this.#request = Buffer.from(`*2\r\n$4\r\nINCR\r\n$${key.length}\r\n${key}\r\n`);
    this.#seen = seen;
    this.#next = next;
  }

  /** Resolves when there is nothing left to do. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.on('error', reject);
      this.#socket.on('data', (chunk) => {
        const lines = (this.#rest + chunk.toString('latin1')).split('\r\n');
        this.#rest = lines.pop() ?? '';
        for (const line of lines) {
          if (line[0] !== ':') return reject(new Error(line));
          this.#seen[Number(line.slice(1))]++;
          if (!this.#next()) return resolve();
          this.#socket.write(this.#request);
        }
      });
      if (this.#next()) this.#socket.write(this.#request);
      else resolve();
    });
  }
}

async function statsOf(redis: RedisProcess): Promise<{ calls: number; cpu: number }> {
  const [commands, cpu] = await Promise.all(['commandstats', 'cpu'].map((part) => redis.call('INFO', part)));
  const counts = [...`${commands}`.matchAll(/cmdstat_(?:incr|incrby):calls=(\d+)/g)].map(([, n]) =>
    Number(n),
  );
  const times = [...`${cpu}`.matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)].map(([, n]) => Number(n));
  const sum = (values: number[]) => values.reduce((all, value) => all + value, 0);
  return { calls: sum(counts), cpu: sum(times) };
}

async function count(
  redis: RedisProcess,
  port: number,
  key: string,
  clients: number,
  total: number,
): Promise<Round> {
  await redis.call('DEL', key);
  const seen = new Uint8Array(total + 1);
  let left = total;
  const next = () => left-- > 0;
  const sockets = await Promise.all(
    Array.from(
      { length: clients },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
          socket.once('error', reject);
        }),
    ),
  );
  const before = await statsOf(redis);
  const began = performance.now();
  await Promise.all(sockets.map((socket) => new Incrementer(socket, key, seen, next).run()));
  const took = (performance.now() - began) / 1000;
  const after = await statsOf(redis);
  for (const socket of sockets) socket.destroy();
  return {
    perSecond: total / took,
    upstream: after.calls - before.calls,
    serverMicros: ((after.cpu - before.cpu) * 1e6) / total,
    wrong: seen.subarray(1).filter((times) => times !== 1).length,
  };
}

async function start(stage: Stage, workers: number): Promise<{ redis: RedisProcess; port: number }> {
  const folder = temporaryDir('bench');
  const file = join(folder, 'heatsink.yaml');
  writeFileSync(file, 'rules: [{ match: "combined", combine: on }]\n');
  stage.keep({ stop: () => rmSync(folder, { recursive: true }) });
  const redis = stage.keep(await startRedis());
  const proxy = stage.keep(await spawnProxy({ upstream: redis.url, file, flags: { workers: `${workers}` } }));
  return { redis, port: proxy.port };
}

await runBench({
  name: 'combine',
  title: 'Increments of one counter',
  options: {
    clients: [500, 'clients that increment, each waiting for its reply'],
    increments: [200_000, 'increments in all, each round'],
    rounds: [5, 'rounds, of which medians are shown'],
    workers: [1, 'workers of heatsink'],
  },
  async run({ clients, increments, rounds, workers }, stage) {
    const { redis, port } = await start(stage, workers);
    const measured: { singly: Round; combined: Round }[] = [];
    // Code is compiled before anything is compared.
    for (const key of ['singly', 'combined']) await count(redis, port, key, clients, increments / 4);
    for (let round = 0; round < rounds; round++) {
      const singly = await count(redis, port, 'singly', clients, increments);
      const combined = await count(redis, port, 'combined', clients, increments);
      measured.push({ singly, combined });
      progress((round + 1) / rounds, `round ${round + 1} of ${rounds}`);
    }
    const rows = (['singly', 'combined'] as const).map((how) => {
      const of = (pick: (round: Round) => number) => medianOf(measured.map((round) => pick(round[how])));
      return [
        how === 'singly' ? 'without a rule' : 'combine: on',
        whole(of(({ perSecond }) => perSecond)),
        whole(of(({ upstream }) => upstream)),
        short(of(({ serverMicros }) => serverMicros)),
        whole(measured.reduce((sum, round) => sum + round[how].wrong, 0)),
      ];
    });
    const ratio = (pick: (round: Round) => number) =>
      medianOf(measured.map(({ singly, combined }) => pick(combined) / pick(singly)));
    const share = Math.max(...measured.map(({ combined }) => combined.upstream)) / increments;
    return [
      `${whole(clients)} clients increment one key through heatsink, ${whole(increments)} times in all, each as soon as it has ` +
        'its reply. Every value from 1 up must come exactly once.',
      table(['', 'increments/s', 'reach the server', 'server CPU us/increment', 'values not once'], rows),
      table(
        ['combined / singly', 'measured', 'aim', ''],
        [
          ['increments a second', short(ratio(({ perSecond }) => perSecond)), '', ''],
          ['server CPU', short(ratio(({ serverMicros }) => serverMicros)), '', ''],
          ['that reach the server, at most', short(share), `< ${AIM}`, share < AIM ? 'met' : 'not met'],
        ],
      ),
    ];
  },
});
