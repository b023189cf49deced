// A thousand clients read a hot key that has just expired, and each that finds it missing rebuilds it: how many do,
// with a lease rule and without, and when the one that does dies over it. `npm run bench:lease`

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeRequest } from '../src/resp3/encode.ts';
import { temporaryDir } from '../test/support/children.ts';
import { type ProxyProcess, spawnProxy } from '../test/support/heatsink-process.ts';
import { type RedisProcess, startRedis } from '../test/support/redis.ts';
import { waitFor } from '../test/support/wait.ts';
import { progress } from './progress.ts';
import { runBench, type Stage } from './stage.ts';
import { percentile } from './statistics.ts';
import { table, whole } from './table.ts';

const KEY = 'page:home';
const VALUE = 'x'.repeat(1000);
const GET = encodeRequest(['GET', KEY]);
/** What a rebuild takes, and how far the first one has got when its client is killed, in milliseconds. */
const DATABASE = 100;
const KILLED_AFTER = 50;
/** Of the key, until the clients are told to read it, and of the rebuilt one, in milliseconds. */
const LIFE = 1500;
const NIL = 0x2d;
/** The reply that carries the value: `$1000`, the value, and two line ends. */
const VALUE_REPLY = VALUE.length + 9;

interface Case {
  readonly name: string;
  readonly workers: number;
  readonly lease: boolean;
  readonly kills: boolean;
  /** The most rebuilds that there may be; Infinity where nothing is promised. */
  readonly most: number;
}

interface Round {
  /** Clients that found the key missing and began to rebuild it. */
  readonly rebuilds: number;
  /** Until each client had the value, in milliseconds; not of one that was killed. */
  readonly waits: number[];
}

const CASES: readonly Case[] = [1, 2].flatMap((workers) => [
  { name: 'no rule', workers, lease: false, kills: false, most: Number.POSITIVE_INFINITY },
  { name: 'lease: on', workers, lease: true, kills: false, most: 1 },
  { name: 'lease: on, holder killed', workers, lease: true, kills: true, most: 2 },
]);

function heatsink(stage: Stage, redis: RedisProcess, workers: number, lease: boolean): Promise<ProxyProcess> {
  const file = join(temporaryDir('lease'), 'heatsink.yaml');
  writeFileSync(file, lease ? "rules:\n- { match: 'page:*', lease: on }\n" : '');
  return spawnProxy({ upstream: redis.url, flags: { workers: `${workers}` }, file }).then((proxy) =>
    stage.keep(proxy),
  );
}

async function connectAll(port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect({ port, host: '127.0.0.1', noDelay: true }));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  return sockets;
}

/** The reply to one request, whole; rejects when the connection closes. */
function ask(socket: Socket, request: Buffer, size: (first: Buffer) => number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let input = Buffer.alloc(0);
    const done = () => {
      socket.off('data', take);
      socket.off('close', closed);
    };
    const closed = () => {
      done();
      reject(new Error('the connection was closed'));
    };
    const take = (chunk: Buffer) => {
      input = Buffer.concat([input, chunk]);
      if (input.length < 2 || input.length < size(input)) return;
      done();
      resolve(input);
    };
    socket.on('data', take);
    socket.on('close', closed);
    socket.write(request);
  });
}

const get = (socket: Socket) => ask(socket, GET, (reply) => (reply[1] === NIL ? 5 : VALUE_REPLY));

/** Reads until the key has gone: it is hot then, as are all keys that many read until they expire. */
async function readUntilGone(redis: RedisProcess, sockets: readonly Socket[]): Promise<void> {
  await redis.call('SET', KEY, VALUE, 'PX', LIFE);
  let gone = false;
  const readers = sockets.slice(0, 8).map(async (socket) => {
    while (!gone) {
      await get(socket);
      await sleep(2);
    }
  });
  await waitFor(async () => Number(await redis.call('PTTL', KEY)) < 100);
  gone = true;
  await Promise.all(readers);
  await waitFor(async () => (await redis.call('EXISTS', KEY)) === 0, 5000, 1);
}

async function measure(redis: RedisProcess, port: number, clients: number, kills: boolean): Promise<Round> {
  const sockets = await connectAll(port, clients);
  await readUntilGone(redis, sockets);
  const round = { rebuilds: 0, waits: [] as number[] };
  const rebuilt = encodeRequest(['SET', KEY, VALUE, 'PX', 60_000]);
  const begun = performance.now();
  await Promise.all(
    sockets.map(async (socket) => {
      const reply = await get(socket);
      if (reply[1] === NIL) {
        if (++round.rebuilds === 1 && kills) {
          await sleep(KILLED_AFTER);
          socket.destroy();
          return;
        }
        await sleep(DATABASE);
        await ask(socket, rebuilt, () => 5);
      }
      round.waits.push(performance.now() - begun);
    }),
  );
  for (const socket of sockets) socket.destroy();
  return round;
}

function row({ name, workers }: Case, rounds: readonly Round[]): string[] {
  const waits = rounds.flatMap((round) => round.waits).sort((a, b) => a - b);
  const rebuilds = rounds.map((round) => round.rebuilds);
  const [least, most] = [Math.min(...rebuilds), Math.max(...rebuilds)];
  return [
    name,
    `${workers}`,
    least === most ? whole(most) : `${whole(least)} to ${whole(most)}`,
    ...[0.5, 0.99, 1].map((share) => whole(percentile(waits, share))),
  ];
}

await runBench({
  name: 'lease',
  title: 'Miss leases',
  options: {
    rounds: [5, 'times that the key expires, in each case'],
    clients: [1000, 'clients that read it then'],
  },
  async run({ rounds, clients }, stage) {
    const redis = stage.keep(await startRedis());
    const measured: Round[][] = CASES.map(() => []);
    const proxies = new Map<string, ProxyProcess>();
    for (let round = 0; round < rounds; round++) {
      for (const [i, { name, workers, lease, kills }] of CASES.entries()) {
        const id = `${workers} ${lease}`;
        const proxy = proxies.get(id) ?? (await heatsink(stage, redis, workers, lease));
        proxies.set(id, proxy);
        measured[i].push(await measure(redis, proxy.port, clients, kills));
        progress((round * CASES.length + i + 1) / (rounds * CASES.length), `${name}, ${workers} workers`);
      }
    }
    const broken = CASES.flatMap((one, i) =>
      measured[i].filter(({ rebuilds }) => rebuilds > one.most || rebuilds === 0).map(() => one.name),
    );
    if (broken.length > 0) process.exitCode = 1;
    return [
      `${whole(clients)} clients, a connection each, read a key that was hot until it expired. Who finds it missing ` +
        `rebuilds it: ${DATABASE} ms, then SET. Waits are those from the first read until the client has the value. ` +
        `A killed holder dies ${KILLED_AFTER} ms into its rebuild.`,
      table(
        ['case', 'workers', 'rebuilds', 'p50 ms', 'p99 ms', 'max ms'],
        CASES.map((one, i) => row(one, measured[i])),
      ),
      `One rebuild with a lease, at most two when its holder dies: ${broken.length === 0 ? 'met' : `not met (${broken.join('; ')})`}.`,
    ];
  },
});
