// For each guard of heatsink a load that would notice its absence at once. Where a guard closes a gap of microseconds,
// a relay in front of the server makes it one of milliseconds.

import type { RedisProcess } from '../support/redis.ts';
import { form, LIFE, READS, WRITES } from './forms.ts';
import { Load } from './load.ts';
import { protocolOf, proxyFor, report, subjectsOf } from './modes.ts';
import type { PlantedInOne } from './planted.ts';
import { Random } from './random.ts';
import { judgeShared, type Report } from './report.ts';
import { type Delay, startSlowRelay } from './slow-relay.ts';
import { type Subject, taskOf } from './tasks.ts';

interface Scene {
  readonly workers?: number;
  readonly flags?: Readonly<Record<string, string>>;
  readonly delayOf?: (said: string) => Delay;
  /** Adds the clients. */
  readonly play: (load: Load, port: number, subjects: readonly Subject[], random: Random) => void;
}

/** Of a scene, in milliseconds: each bug shows itself several times in it. */
const DURATION = 1500;

const AT_ONCE: Delay = { there: 0, back: 0 };
const [set] = WRITES.string;
const [get] = READS.string;

/** Replies and pushes of the tracked connections come late: what others hear of at once is old there. */
const trackingLate = (said: string): Delay => (said.includes('TRACKING') ? { there: 0, back: 6 } : AT_ONCE);

/** Readers of both protocols, each in a loop, and a writer of each key that rests between two writes. */
function readersAndWriters(pause: number) {
  return (load: Load, port: number, subjects: readonly Subject[], random: Random): void => {
    for (let i = 0; i < 8; i++)
      load.client(port, protocolOf(i), 1 + (i % 3), 1, () => taskOf(random.of(subjects), get));
    subjects.forEach((subject, i) => {
      load.client(port, protocolOf(i), 1, pause, () => taskOf(subject, set));
    });
  };
}

const passing = form('passing', (key, value) => [['SET', key, value, 'PX', `${LIFE}`]]);

export const SCENES: Readonly<Record<PlantedInOne, Scene>> = {
  // The worker that a write comes through drops its own entries; those of the other one are told by the version.
  'version check on hit': {
    workers: 2,
    delayOf: trackingLate,
    play: readersAndWriters(25),
  },
  'poison of a fill in flight': { delayOf: trackingLate, play: readersAndWriters(4) },
  'join rule': { delayOf: trackingLate, play: readersAndWriters(1) },
  // A tracked fill is not even begun while a write is under way; one that only time ends is. The write takes long to
  // reach the server; the fill that is sent after it reads the old value, and its reply comes after the write's.
  'second bump': {
    flags: { consistency: 'ttl', 'tier-untracked-ttl': '1000' },
    delayOf: (said) => (said.includes('HELLO') ? { there: 0, back: 12 } : { there: 6, back: 0 }),
    play(load, port, subjects, random) {
      for (let i = 0; i < 8; i++) load.client(port, 3, 1, 1, () => taskOf(random.of(subjects), get));
      for (const subject of subjects) load.client(port, 2, 1, 20, () => taskOf(subject, set));
    },
  },
  // Nobody else asks for the key, so that the server does not find out that it has expired.
  'PTTL bound': {
    play(load, port, subjects, random) {
      for (let i = 0; i < 4; i++) load.client(port, 3, 1, 1, () => taskOf(random.of(subjects), get));
      for (const subject of subjects) load.client(port, 3, 1, 60, () => taskOf(subject, passing));
    },
  },
};

/** Plays the scene of a bug, with it or without. The server must not look for expired keys by itself. */
export async function runScene(
  redis: RedisProcess,
  name: PlantedInOne,
  options: { planted: boolean; seed: number },
): Promise<Report> {
  const { planted, seed } = options;
  const { workers = 1, flags = {}, delayOf = () => AT_ONCE, play } = SCENES[name];
  const relay = await startSlowRelay(redis.port, delayOf);
  const proxy = await proxyFor(relay.url, workers, { flags, ...(planted && { bug: name }) });
  try {
    const subjects = subjectsOf(['string', 'string'], 'planted');
    const random = new Random(seed);
    const load = new Load({ random, subjects, operations: Infinity });
    play(load, proxy.port, subjects, random);
    setTimeout(() => load.stop(), DURATION);
    const ms = await load.run();
    const run = {
      name: `${planted ? 'without' : 'with'} the ${name}`,
      workers,
      operations: load.operations,
      seed,
    };
    return await report(run, [load], ms, proxy, judgeShared(subjects));
  } finally {
    await proxy.close();
    await relay.close();
  }
}
