// One client with a large value, or with a million requests whose replies it never reads: what it costs heatsink in
// memory, and the other clients in latency, beside the same straight to the server. `npm run bench:large`

import { setTimeout as sleep } from 'node:timers/promises';
import { bulkString, encodeRequest, OK } from '../src/resp3/encode.ts';
import { FLOOD_KEY, FLOOD_VALUE, type HeavyWork, startHeavyClient } from './heavy-client.ts';
import { type PacedGroup, type Samples, startPaced } from './paced.ts';
import { memoryMiB, peakMemoryMiB, resetPeakMemory } from './proc.ts';
import { progress } from './progress.ts';
import { startServer, startTargets, type Target } from './servers.ts';
import { onStage, runBench } from './stage.ts';
import { spread } from './statistics.ts';
import { short, table, whole } from './table.ts';

/** Clients of each kind, and milliseconds between two requests of one. */
const CLIENTS = 20;
const PERIOD = 20;
const KINDS = ['hot reads', 'forwarded reads', 'writes'] as const;
type Kind = (typeof KINDS)[number];
/** Until hot keys are hot and code is compiled, and for late replies, in milliseconds. */
const WARM_UP = 2000;
const LATE = 20_000;
/** The most MiB that heatsink may grow by. */
const AIM = 64;
const VALUE = 'x'.repeat(100);
const WORKS: readonly HeavyWork[] = ['SET', 'GET', 'flood'];

interface Piece {
  readonly work: HeavyWork;
  readonly target: Target['name'];
  /** MiB of the target. */
  readonly memory: number;
  readonly peak: number;
  /** Seconds that the work took, or was given. */
  readonly took: number;
  /** MB that the flood could send. */
  readonly sent: number;
  readonly before: Samples;
  readonly during: Samples;
}

interface Plan {
  readonly seconds: number;
  readonly size: number;
  readonly requests: number;
  readonly workers: number;
}

function groupsOf(port: number): PacedGroup[] {
  return KINDS.map((name): PacedGroup => {
    const ask = (client: number) => {
      const key = name === 'hot reads' ? 'hot' : `${name}:${client}`;
      if (name === 'writes') return { request: encodeRequest(['SET', key, VALUE]), due: OK };
      return { request: encodeRequest(['GET', key]), due: bulkString(VALUE) };
    };
    return { name, port, clients: CLIENTS, period: PERIOD, ask };
  });
}

/** Each piece has a server and a target of its own, so that nobody grows into memory that others have left. */
function measure(work: HeavyWork, name: 'heatsink' | 'redis', plan: Plan): Promise<Piece> {
  return onStage(async (stage) => {
    const server = stage.keep(await startServer(0));
    const reads = Array.from({ length: CLIENTS }, (_, i) => `forwarded reads:${i}`);
    await server.call('MSET', ...['hot', ...reads].flatMap((key) => [key, VALUE]));
    await server.call('SET', FLOOD_KEY, 'x'.repeat(FLOOD_VALUE));
    const [target] = await startTargets(server, { workers: String(plan.workers) }, [name]);
    stage.keep(target);
    const paced = stage.keep(await startPaced(groupsOf(target.port)));
    const heavy = stage.keep(await startHeavyClient(target.port));
    if (work === 'GET') {
      const writer = stage.keep(await startHeavyClient(server.port));
      await writer.work('SET', plan.size);
    }
    await sleep(WARM_UP);
    const before = paced.open();
    await sleep(plan.seconds * 1000);
    const memory = memoryMiB(target.pid);
    resetPeakMemory(target.pid);
    const during = paced.open();
    const begun = performance.now();
    if (work === 'flood') {
      // It ends with the client at the latest; one that ends too early says so below.
      heavy.work(work, plan.requests).catch(() => {});
      await sleep(plan.seconds * 1000);
    } else {
      await heavy.work(work, plan.size);
    }
    const took = (performance.now() - begun) / 1000;
    paced.open();
    const peak = peakMemoryMiB(target.pid);
    const sent = work === 'flood' ? (await heavy.sent()) / 1e6 : 0;
    await paced.finish(LATE);
    return { work, target: name, memory, peak, took, sent, before, during };
  });
}

function nameOf(work: HeavyWork, { size, requests }: Plan): string {
  return work === 'flood' ? `${whole(requests)} unread GETs` : `${work} of ${whole(size)} MiB`;
}

function memoryTable(pieces: readonly Piece[], plan: Plan): string {
  const rows = WORKS.map((work) => {
    const own = pieces.filter((piece) => piece.work === work && piece.target === 'heatsink');
    const growth = spread(own.map(({ memory, peak }) => peak - memory)).max;
    const median = (of: (piece: Piece) => number) => short(spread(own.map(of)).median);
    const verdict = growth < AIM ? 'met' : 'not met';
    const sent = work === 'flood' ? median((piece) => piece.sent) : '';
    const took = work === 'flood' ? '' : median((piece) => piece.took);
    return [
      nameOf(work, plan),
      median(({ memory }) => memory),
      short(growth),
      `< ${AIM}`,
      verdict,
      took,
      sent,
    ];
  });
  const header = ['heatsink', 'MiB before', 'MiB more at the peak', 'aim', '', 'seconds', 'MB it could send'];
  return table(header, rows, [0, 4]);
}

function latencyTable(pieces: readonly Piece[], plan: Plan): string {
  const rows = WORKS.flatMap((work) =>
    (['heatsink', 'redis'] as const).flatMap((target) =>
      KINDS.map((kind) => {
        const own = pieces.filter((piece) => piece.work === work && piece.target === target);
        const of = (when: 'before' | 'during', share: number) =>
          own.map((piece) => sampleOf(piece, when, kind).latency(share));
        const p99 = [of('before', 0.99), of('during', 0.99)];
        const ratio = spread(p99[1].map((value, i) => value / p99[0][i])).median;
        const medians = p99.map((values) => short(spread(values).median));
        const longest = short(Math.max(...of('during', 1)));
        const lost = own.reduce((sum, piece) => sum + lostOf(piece, kind), 0);
        return [nameOf(work, plan), target, kind, ...medians, ratio.toFixed(2), longest, whole(lost)];
      }),
    ),
  );
  const header = ['beside', 'through', 'others', 'p99 ms before', 'during', 'ratio', 'longest ms', 'lost'];
  return table(header, rows, [0, 1, 2]);
}

const sampleOf = (piece: Piece, when: 'before' | 'during', kind: Kind) => {
  const sample = piece[when].get(kind);
  if (!sample) throw new Error(`nobody does ${kind}`);
  return sample;
};

function lostOf(piece: Piece, kind: Kind): number {
  const { failed, wrong, unanswered } = sampleOf(piece, 'during', kind);
  return failed + wrong + unanswered;
}

await runBench({
  name: 'large',
  title: 'Large values, and a client that never reads',
  options: {
    rounds: [3, 'rounds, of which medians are shown, and the greatest memory'],
    seconds: [3, 'length of the load before, and beside the client that never reads'],
    size: [200, 'MiB of the value'],
    requests: [1_000_000, 'requests that are never read'],
    workers: [1, 'workers of heatsink'],
  },
  async run({ rounds, ...plan }) {
    const pieces: Piece[] = [];
    const all = WORKS.flatMap((work) => (['heatsink', 'redis'] as const).map((target) => ({ work, target })));
    for (let i = 0; i < rounds * all.length; i++) {
      const { work, target } = all[i % all.length];
      pieces.push(await measure(work, target, plan));
      progress((i + 1) / (rounds * all.length), `${nameOf(work, plan)}, ${target}`);
    }
    const rate = (CLIENTS * 1000) / PERIOD;
    return [
      `${CLIENTS} clients read one hot key, ${CLIENTS} read and ${CLIENTS} write keys of their own, ${rate} requests a ` +
        'second of each kind. Then one more client writes a large value, or reads it, or sends GETs of a value of ' +
        `${whole(FLOOD_VALUE)} bytes and never reads a reply. Memory is what is resident.`,
      memoryTable(pieces, plan),
      latencyTable(pieces, plan),
      'Straight to the server, the ratio tells what the machine and the server lose to the large value themselves.',
    ];
  },
});
