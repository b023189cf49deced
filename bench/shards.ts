// What clients of two healthy shards lose while a third one stands still, and when it is killed; and how long the
// clients of the third one wait. `npm run bench:shards`

import { setTimeout as sleep } from 'node:timers/promises';
import { bulkString, encodeRequest, OK } from '../src/resp3/encode.ts';
import { spawnProxy } from '../test/support/heatsink-process.ts';
import { type Cluster, startCluster } from '../test/support/redis.ts';
import { type PacedGroup, type Sample, type Samples, startPaced } from './paced.ts';
import { progress } from './progress.ts';
import { onStage, runBench } from './stage.ts';
import { spread } from './statistics.ts';
import { short, table, whole } from './table.ts';

/** Clients of each kind at each shard, and milliseconds between two requests of one. */
const CLIENTS = 20;
const PERIOD = 20;
/** Until hot keys are hot and code is compiled, and for late replies, in milliseconds. */
const WARM_UP = 6000;
const LATE = 15_000;
const KINDS = ['hot reads', 'forwarded reads', 'writes'] as const;
type Kind = (typeof KINDS)[number];

/** What happens to the third shard, and how much longer the others' p99 may then be. */
const EVENTS = [
  { name: 'SIGSTOP', signal: 'SIGSTOP', aim: 2 },
  { name: 'kill -9', signal: 'SIGKILL', aim: 3 },
] as const;
type Event = (typeof EVENTS)[number];

interface Window {
  readonly event: Event;
  readonly before: Samples;
  readonly during: Samples;
}

const isHit = (shard: number): boolean => shard === 2;
const groupName = (kind: Kind, shard: number): string =>
  `${kind} of ${isHit(shard) ? 'it' : `other ${shard}`}`;

/** A hash tag of each shard, in the order of the nodes. */
async function tagsOf(cluster: Cluster): Promise<string[]> {
  const tags: string[] = [];
  for (let i = 0; tags.filter(Boolean).length < cluster.nodes.length; i++) {
    const owner = await cluster.slotOwner(`{${i}}`);
    tags[cluster.nodes.indexOf(owner)] ??= `{${i}}`;
  }
  return tags;
}

function groupsOf(port: number, tags: readonly string[]): PacedGroup[] {
  return tags.flatMap((tag, shard) =>
    KINDS.map((kind): PacedGroup => {
      const ask = (client: number) => {
        const key = kind === 'hot reads' ? `${tag}:hot` : `${tag}:${kind}:${client}`;
        const read = { request: encodeRequest(['GET', key]), due: bulkString(held(key)) };
        return kind === 'writes' ? { request: encodeRequest(['SET', key, held(key)]), due: OK } : read;
      };
      return { name: groupName(kind, shard), port, clients: CLIENTS, period: PERIOD, ask };
    }),
  );
}

const held = (key: string): string => `${key}|${'x'.repeat(100)}`;

async function fill(cluster: Cluster, tags: readonly string[]): Promise<void> {
  for (const [shard, tag] of tags.entries()) {
    const reads = Array.from({ length: CLIENTS }, (_, client) => `${tag}:forwarded reads:${client}`);
    const pairs = [`${tag}:hot`, ...reads].flatMap((key) => [key, held(key)]);
    await cluster.nodes[shard].call('MSET', ...pairs);
  }
}

/** One event, with a cluster and a heatsink of its own, as a killed master does not come back. */
function measure(event: Event, seconds: number, workers: number): Promise<Window> {
  return onStage(async (stage) => {
    // Else the cluster itself refuses everything once it misses one of them.
    const cluster = stage.keep(await startCluster({ args: ['--cluster-require-full-coverage', 'no'] }));
    const tags = await tagsOf(cluster);
    await fill(cluster, tags);
    const flags = { workers: String(workers) };
    const proxy = stage.keep(await spawnProxy({ upstream: cluster.url, flags }));
    const paced = stage.keep(await startPaced(groupsOf(proxy.port, tags)));
    await sleep(WARM_UP);
    const before = paced.open();
    await sleep(seconds * 1000);
    const during = paced.open();
    cluster.nodes[2].kill(event.signal);
    await sleep(seconds * 1000);
    paced.open();
    if (event.signal === 'SIGSTOP') cluster.nodes[2].kill('SIGCONT');
    await sleep(PERIOD);
    await paced.finish(LATE);
    return { event, before, during };
  });
}

/** Of each shard that nothing happens to, of all rounds. */
function others(windows: readonly Window[], kind: Kind, when: 'before' | 'during'): Sample[] {
  return windows.flatMap((window) => [0, 1].map((shard) => sampleOf(window, kind, shard, when)));
}

const sampleOf = (window: Window, kind: Kind, shard: number, when: 'before' | 'during'): Sample =>
  window[when].get(groupName(kind, shard)) as Sample;

const total = (samples: readonly Sample[], count: (sample: Sample) => number): number =>
  samples.reduce((sum, sample) => sum + count(sample), 0);

const lost = (sample: Sample): number => sample.failed + sample.wrong + sample.unanswered;

function othersTable(windows: readonly Window[]): string {
  const rows = KINDS.flatMap((kind) =>
    (['before', 'during'] as const).map((when) => {
      const samples = others(windows, kind, when);
      const [p50, p99] = [0.5, 0.99].map(
        (share) => spread(samples.map((sample) => sample.latency(share))).median,
      );
      const longest = Math.max(...samples.map((sample) => sample.latency(1)));
      const sent = total(samples, (sample) => sample.sent);
      return [kind, when, whole(sent), whole(total(samples, lost)), ...[p50, p99, longest].map(short)];
    }),
  );
  return table(['the other two', '', 'requests', 'lost', 'p50 ms', 'p99 ms', 'longest ms'], rows, [0, 1]);
}

/** During over before, within one round and shard each. */
function ratioTable(windows: readonly Window[], { name, aim }: Event): string {
  const rows = KINDS.map((kind) => {
    const before = others(windows, kind, 'before').map((sample) => sample.latency(0.99));
    const during = others(windows, kind, 'during').map((sample) => sample.latency(0.99));
    const { median, min, max } = spread(during.map((p99, i) => p99 / before[i]));
    const range = `${min.toFixed(2)}..${max.toFixed(2)}`;
    return [kind, median.toFixed(2), range, `<= ${aim}`, median <= aim ? 'met' : 'not met'];
  });
  const gone = total(
    KINDS.flatMap((kind) => others(windows, kind, 'during')),
    lost,
  );
  rows.push(['requests lost', whole(gone), '', '0', gone === 0 ? 'met' : 'not met']);
  return table([`${name}, p99 during / before`, 'median', 'min..max', 'aim', ''], rows, [0, 4]);
}

function hitTable(windows: readonly Window[]): string {
  const rows = KINDS.map((kind) => {
    const samples = windows.map((window) => sampleOf(window, kind, 2, 'during'));
    const count = (of: (sample: Sample) => number) => whole(total(samples, of));
    const longest = (of: (sample: Sample) => number) => whole(Math.max(...samples.map(of)));
    return [
      kind,
      count(({ latencies }) => latencies.length),
      longest((sample) => sample.latency(1)),
      count(({ failed }) => failed),
      longest(({ slowestError }) => slowestError),
      count(({ unanswered, wrong }) => unanswered + wrong),
    ];
  });
  const header = ['the shard itself', 'answered', 'longest ms', 'errors', 'longest ms', 'unanswered'];
  return table(header, rows);
}

function errorsOf(windows: readonly Window[]): string {
  const counts = new Map<string, number>();
  for (const { during } of windows) {
    for (const { errors } of during.values()) {
      for (const [words, count] of errors) counts.set(words, (counts.get(words) ?? 0) + count);
    }
  }
  if (counts.size === 0) return 'There were no errors.';
  return [...counts].map(([words, count]) => `- ${whole(count)} x \`${words}\``).join('\n');
}

await runBench({
  name: 'shards',
  title: 'A shard that stands still, and one that dies',
  options: {
    rounds: [3, 'rounds of each event, of which medians are shown'],
    seconds: [5, 'length of each event, and of what it is compared with'],
    workers: [1, 'workers of heatsink'],
  },
  async run({ rounds, seconds, workers }) {
    const measured: Window[] = [];
    for (let i = 0; i < rounds * EVENTS.length; i++) {
      const event = EVENTS[i % EVENTS.length];
      measured.push(await measure(event, seconds, workers));
      progress((i + 1) / (rounds * EVENTS.length), event.name);
    }
    const rate = (CLIENTS * 1000) / PERIOD;
    const sections = EVENTS.flatMap((event) => {
      const windows = measured.filter((window) => window.event === event);
      const title = `## ${event.name} for ${seconds} s`;
      return [title, othersTable(windows), ratioTable(windows, event), hitTable(windows), errorsOf(windows)];
    });
    return [
      `Three masters behind one heatsink. For each of them ${CLIENTS} clients read one hot key, ${CLIENTS} read and ` +
        `${CLIENTS} write keys of their own: ${rate} requests a second of each kind at each master, whatever becomes ` +
        'of the replies. A request belongs to the time when it was sent. Then one of the three gets the signal.',
      ...sections,
    ];
  },
});
