// Mixed traffic for minutes, while everything goes wrong that can: heatsink must neither grow nor answer anything
// wrong. `npm run bench:soak`

import { setTimeout as sleep } from 'node:timers/promises';
import { type ProxyProcess, spawnProxy } from '../test/support/heatsink-process.ts';
import { startCluster } from '../test/support/redis.ts';
import { memoryMiB } from './proc.ts';
import { progress } from './progress.ts';
import { CLUSTER_ARGS, FAULTS, type Scene } from './soak-faults.ts';
import { startTraffic, type Tally, type Traffic } from './soak-traffic.ts';
import { runBench } from './stage.ts';
import { spread } from './statistics.ts';
import { short, table, whole } from './table.ts';

/** The memory at the end over that after the first minute may be as much above 1. */
const AIM = 1.1;
/** Between two looks at the memory, in milliseconds. */
const LOOK = 500;
const MINUTE = 60;
/** Reads a second of a hot key: little, as the clients are few. */
const HOT = 50;
/** Until heatsink has noticed that its clients have gone, in milliseconds. */
const SETTLE = 1000;

interface Look {
  /** Seconds since the start. */
  readonly at: number;
  /** MiB of heatsink. */
  readonly memory: number;
}

/** What had happened by the end of a minute. */
interface Mark {
  readonly requests: number;
  readonly clients: number;
  readonly errors: number;
  readonly hits: number;
  readonly wrong: number;
}

/** What clients met from one fault to the next. */
interface Struck {
  readonly name: string;
  readonly errors: number;
  /** Share of their requests that the tier answered. */
  readonly hits: number;
}

const sum = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((a, b) => a + b, 0);

async function mark(proxy: ProxyProcess, tally: Tally): Promise<Mark> {
  const hits = (await proxy.metrics()).sum('heatsink_requests_total', { outcome: 'tier_hit' });
  const { requests, clients, errors, wrongs } = tally;
  return { requests, clients, errors: sum(errors), hits, wrong: wrongs };
}

/** Clients that heatsink still has: itself asks over none. */
async function clientsLeft(proxy: ProxyProcess): Promise<number> {
  const metrics = await proxy.metrics();
  return metrics.sum('heatsink_client_connections_total') - metrics.sum('heatsink_client_disconnects_total');
}

interface Run {
  readonly looks: readonly Look[];
  readonly marks: readonly Mark[];
  readonly struck: readonly Struck[];
}

/** Lets it all happen for that many seconds, with a fault every so many. */
async function live(
  proxy: ProxyProcess,
  scene: Omit<Scene, 'turn'>,
  seconds: number,
  every: number,
): Promise<Run> {
  const { tally } = scene.traffic;
  const started = performance.now();
  const until = (second: number) => sleep(Math.max(0, started + second * 1000 - performance.now()));
  const looks: Look[] = [];
  const looking = setInterval(() => {
    looks.push({ at: (performance.now() - started) / 1000, memory: memoryMiB(proxy.pid) });
  }, LOOK);

  async function markMinutes(): Promise<Mark[]> {
    const marks = [await mark(proxy, tally)];
    for (let at = 0; at < seconds; ) {
      at = Math.min(at + MINUTE, seconds);
      await until(at);
      marks.push(await mark(proxy, tally));
    }
    return marks;
  }

  async function strike(): Promise<Struck[]> {
    const struck: Struck[] = [];
    // Behind the last one there is time to recover.
    for (let turn = 0, at = every; at + every / 2 < seconds; turn++, at += every) {
      await until(at);
      const fault = FAULTS[turn % FAULTS.length];
      progress(at / seconds, `${Math.round(memoryMiB(proxy.pid))} MiB; ${fault.name}`);
      const before = await mark(proxy, tally);
      // In whole turns of the list, so that another master is hit the next time.
      await fault.strike({ ...scene, turn: Math.floor(turn / FAULTS.length) });
      await until(Math.min(at + every, seconds));
      const after = await mark(proxy, tally);
      struck.push({ name: fault.name, errors: after.errors - before.errors, hits: hitShare(before, after) });
    }
    return struck;
  }

  try {
    const [marks, struck] = await Promise.all([markMinutes(), strike()]);
    return { looks, marks, struck };
  } finally {
    clearInterval(looking);
  }
}

/** Of the requests between the two, the share that the tier answered. */
const hitShare = (from: Mark, to: Mark): number => (to.hits - from.hits) / (to.requests - from.requests);
const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

const memoryOf = (looks: readonly Look[], from: number, to: number) =>
  spread(looks.filter(({ at }) => at >= from && at < to).map(({ memory }) => memory));

function minuteTable({ looks, marks }: Run, seconds: number): string {
  const rows = marks.slice(1).map((now, i) => {
    const before = marks[i];
    const end = Math.min((i + 1) * MINUTE, seconds);
    const { median, max } = memoryOf(looks, i * MINUTE, end);
    const counts = [now.requests - before.requests, now.clients - before.clients, now.errors - before.errors];
    const memory = [median, max].map(whole);
    return [
      short(end / MINUTE),
      ...memory,
      ...counts.map(whole),
      percent(hitShare(before, now)),
      whole(now.wrong - before.wrong),
    ];
  });
  const header = ['minute', 'MiB, median', 'most', 'requests', 'clients', 'errors', 'from the tier', 'wrong'];
  return table(header, rows);
}

function verdictTable({ looks }: Run, seconds: number, tally: Tally, left: number): string {
  // The half minute before the end of the first minute, and of the run; less of each in a short one.
  const first = Math.min(MINUTE, seconds / 4);
  const early = memoryOf(looks, first / 2, first).median;
  const late = memoryOf(looks, seconds - first / 2, seconds + 1).median;
  const row = (what: string, value: string, aim: string, met: boolean) => [
    what,
    value,
    aim,
    met ? 'met' : 'not met',
  ];
  return table(
    ['', 'measured', 'aim', ''],
    [
      row(
        `memory, ${whole(late)} MiB at the end / ${whole(early)} MiB after ${whole(first)} s`,
        (late / early).toFixed(2),
        `<= ${AIM}`,
        late / early <= AIM,
      ),
      row('wrong replies', whole(tally.wrongs), '0', tally.wrongs === 0),
      row('clients that heatsink still has when all have gone', whole(left), '0', left === 0),
    ],
    [0, 3],
  );
}

function faultTable({ struck }: Run): string {
  const rows = FAULTS.map(({ name }) => {
    const own = struck.filter((one) => one.name === name);
    if (own.length === 0) return [name, '0', '', ''];
    const [errors, hits] = [spread(own.map((one) => one.errors)), spread(own.map((one) => one.hits))];
    return [name, whole(own.length), whole(errors.max), percent(hits.median)];
  });
  return table(['until the next fault after', 'times', 'most errors', 'from the tier'], rows);
}

function errorList(errors: ReadonlyMap<string, number>): string {
  if (errors.size === 0) return 'Clients met no errors.';
  const rows = [...errors]
    .sort((a, b) => b[1] - a[1])
    .map(([words, count]) => [`\`${words}\``, whole(count)]);
  return table(['what clients met', 'times'], rows);
}

await runBench({
  name: 'soak',
  title: 'Soak',
  options: {
    minutes: [10, 'length of the run'],
    every: [20, 'seconds between two faults'],
    clients: [60, 'clients at a time'],
    workers: [2, 'workers of heatsink'],
  },
  async run({ minutes, every, clients, workers }, stage) {
    const seconds = minutes * MINUTE;
    const cluster = stage.keep(await startCluster({ args: CLUSTER_ARGS }));
    const flags = { workers: String(workers), 'hot-threshold': String(HOT) };
    const proxy = stage.keep(await spawnProxy({ upstream: cluster.url, flags }));
    const traffic: Traffic = startTraffic(proxy.port, clients);
    const { tally } = traffic;
    const run = await live(proxy, { cluster, traffic }, seconds, every);
    await traffic.stop();
    await sleep(SETTLE);
    const left = await clientsLeft(proxy);
    if (tally.wrongs > 0) process.exitCode = 1;
    return [
      `${whole(clients)} clients at a time come, read, write, run transactions, publish, listen, wait in BLPOP, move ` +
        'values of up to 2 MB, and go, through one heatsink in front of three masters. Which keys are hot changes ' +
        `every 5 s, and every ${every} s something goes wrong. Keys are hot from ${HOT} reads a second. Every value ` +
        'carries its key, by which a reply to another request is noticed.',
      verdictTable(run, seconds, tally, left),
      minuteTable(run, seconds),
      faultTable(run),
      errorList(tally.errors),
      ...(tally.wrong.length === 0
        ? []
        : [`Wrong:\n\n${tally.wrong.map((text) => `    ${text}`).join('\n')}`]),
    ];
  },
});
