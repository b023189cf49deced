// A master is killed under load, and its replica takes over without what had not reached it. Redis acknowledges
// before it replicates, so its keys may fall back once, to what a replica was known to have. Nothing else may.

import { setTimeout as sleep } from 'node:timers/promises';
import { isMaster } from '../support/cluster-change.ts';
import type { Cluster } from '../support/redis.ts';
import { waitFor } from '../support/wait.ts';
import { WRITES } from './forms.ts';
import { type History, READ } from './history.ts';
import { Load, loadLibrary } from './load.ts';
import { depthOf, protocolOf, proxyFor, type RunOptions, report, subjectsOf } from './modes.ts';
import { checkOrder } from './ordered.ts';
import type { Task } from './pipelined-client.ts';
import { Random } from './random.ts';
import { judgeShared, type Report, sum, type Verdict } from './report.ts';
import { request, type Subject, taskOf } from './tasks.ts';

/** How long a writer waits for the replica, in milliseconds. */
const REPLICA_TIMEOUT = '20';
/** For how long the replica hears nothing before the master dies, in milliseconds: so much is lost. */
const LOST = 60;
/** Connections for the keys of the two other masters, and for those of the one that is killed. */
const CLIENTS = 8;

export interface FailoverReport extends Report {
  /** Errors to those who asked for keys of the killed master. */
  readonly victimErrors: ReadonlyMap<string, number>;
  /** How many writes were acknowledged that no replica could hear of. */
  readonly lost: number;
}

/** Since when the replica heard nothing, when the master was killed, and since when the replica is the master. */
interface Moments {
  cut: number;
  killed: number;
  over: number;
}

/** `cluster`: three masters with a replica each. The second one dies. */
export async function runFailover(cluster: Cluster, options: RunOptions): Promise<FailoverReport> {
  const { operations, seed, workers } = options;
  const [victim, replica] = [cluster.nodes[1], cluster.nodes[4]];
  const moments: Moments = { cut: Infinity, killed: Infinity, over: Infinity };
  const proxy = await proxyFor(cluster.url, workers, options);
  try {
    await loadLibrary(proxy.port);
    const of = (name: string, count: number) =>
      subjectsOf(
        Array.from(
          { length: count * 3 },
          (_, i) => (['string', 'hash', 'counter'] as const)[Math.floor(i / 3) % 3],
        ),
        name,
      );
    const others = of('other', 6).filter((_, i) => i % 3 !== 1);
    const victims = of('victim', 6).filter(({ kind }, i) => i % 3 === 1 && kind !== 'counter');
    const load = new Load({ random: new Random(seed), subjects: others, operations: operations * 0.7 });
    const safe = new Map<Subject, number>();
    const hurt = new Load({
      random: new Random(seed + 1),
      subjects: victims,
      operations: operations * 0.3,
      async meanwhile() {
        const done = hurt.operations;
        await waitFor(() => hurt.operations > done + operations * 0.1, 60_000);
        replica.kill('SIGSTOP');
        // What the kernel holds for the replica already is not lost.
        await victim.call('CLIENT', 'KILL', 'TYPE', 'replica');
        moments.cut = performance.now();
        await sleep(LOST);
        await waitFor(() => lostOf(victims, { ...moments, killed: performance.now() }) > 0);
        moments.killed = performance.now();
        victim.kill('SIGKILL');
        replica.kill('SIGCONT');
        await waitFor(() => isMaster(replica), 20_000);
        moments.over = performance.now();
        const after = hurt.operations;
        await waitFor(() => hurt.operations > after + operations * 0.1, 60_000);
      },
    });
    for (let i = 0; i < CLIENTS; i++) {
      load.mixed(proxy.port, protocolOf(i), depthOf(i));
      hurt.mixed(proxy.port, protocolOf(i), depthOf(i), 0);
    }
    victims.forEach((subject, i) => {
      hurt.client(
        proxy.port,
        protocolOf(i),
        1,
        1,
        carefulWriter(subject, new Random(seed + i), safe, moments),
      );
    });
    const [ms] = await Promise.all([load.run(), hurt.run()]);
    const verdicts = [judgeShared(others), judgeVictims(victims, moments, safe)];
    const told = await report(options, [load, hurt], ms, proxy, {
      violations: verdicts[0].violations + verdicts[1].violations,
      evidence: verdicts.flatMap(({ evidence }) => evidence),
      stalest: 0,
    });
    return { ...told, errors: load.errors, victimErrors: hurt.errors, lost: lostOf(victims, moments) };
  } finally {
    await proxy.close();
  }
}

/** Writes, and then asks whether a replica has it: a value that one has cannot be lost any more. */
function carefulWriter(subject: Subject, random: Random, safe: Map<Subject, number>, moments: Moments) {
  let acknowledged = 0;
  let asks = false;
  return (): Task => {
    asks = !asks;
    const number = subject.value + 1;
    if (asks) {
      const task = taskOf(subject, random.of(WRITES[subject.kind]));
      const took = task.took;
      task.took = (buf, start, end, responded) => {
        acknowledged = number;
        took.call(task, buf, start, end, responded);
      };
      return task;
    }
    const asked = acknowledged;
    return {
      text: request(['WAIT', '1', REPLICA_TIMEOUT]),
      replies: 1,
      wanted: 0,
      invoked: 0,
      client: '',
      took(buf, start) {
        const some = buf[start] === 0x3a && buf[start + 1] !== 0x30;
        if (some && moments.killed === Infinity) safe.set(subject, asked);
      },
      lost() {},
    };
  };
}

/** Each key is in order before the master dies, and again after its replica has taken over. */
function judgeVictims(
  subjects: readonly Subject[],
  { killed, over }: Moments,
  safe: ReadonlyMap<Subject, number>,
): Verdict {
  return sum(
    subjects.flatMap((subject) => {
      const { history } = subject;
      const before = history.where((_, responded, kind) => kind !== READ || responded < killed);
      const after = history.where((invoked, _, kind) => kind !== READ || invoked > over);
      // What was acknowledged at other times promises nothing for these.
      forget(before, (_, responded) => responded >= killed);
      forget(after, (invoked) => invoked <= over);
      return [
        [subject, checkOrder(before)] as const,
        [subject, checkOrder(after, { floor: safe.get(subject) ?? 0 })] as const,
      ];
    }),
  );
}

function forget(history: History, when: (invoked: number, responded: number) => boolean): void {
  const { kinds, invoked, responded } = history;
  for (let i = 0; i < history.length; i++) {
    if (kinds[i] !== READ && when(invoked[i], responded[i])) responded[i] = Infinity;
  }
}

function lostOf(subjects: readonly Subject[], { cut, killed }: Moments): number {
  const isLost = (invoked: number, responded: number, kind: number) =>
    kind !== READ && invoked > cut && responded < killed;
  return subjects.reduce((lost, { history }) => lost + history.where(isLost).length, 0);
}
