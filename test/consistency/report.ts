// What a run of the checker came to, in one line and in all detail.

import { type Findings, type History, READ } from './history.ts';
import { checkOrder } from './ordered.ts';
import { checkRegister } from './register.ts';
import { SEVERAL, type Subject } from './tasks.ts';

/** Ways of asking for the same: the value. */
const VALUES: ReadonlySet<string> = new Set(['GET key', 'get key', 'MGET key', SEVERAL]);

export interface Report {
  readonly name: string;
  readonly seed: number;
  readonly operations: number;
  /** How many requests the clients sent of which the tier answered what share. */
  readonly requests: number;
  readonly tierShare: number;
  /** How many reads were sent to copies, in the same terms. */
  readonly copyShare: number;
  readonly seconds: number;
  readonly violations: number;
  /** The first ones of each key, with the operations around them. */
  readonly evidence: readonly string[];
  readonly errors: ReadonlyMap<string, number>;
  /** Where others write: the longest that a write went unseen, in milliseconds. */
  readonly stalest: number;
}

export interface Verdict {
  readonly violations: number;
  readonly evidence: string[];
  readonly stalest: number;
}

/** What is wrong with the histories of subjects that many clients write through one heatsink. */
export function judgeShared(subjects: readonly Subject[]): Verdict {
  return sum(
    subjects.map((subject) => {
      if (subject.kind !== 'counter') return [subject, checkRegister(subject.history)];
      const findings = checkOrder(subject.history);
      const greatest = subject.history.values.reduce((most, value) => Math.max(most, value), 0);
      const most = subject.value;
      // Each addition was sent once.
      if (greatest > most) findings.add(() => `counted to ${greatest} by ${most} additions`);
      return [subject, findings];
    }),
  );
}

/**
 * The same for subjects with one writer each, elsewhere. What one command has shown of a key says nothing to heatsink
 * of what another one would show, so only reads that ask the same are held against each other; the bound is for all.
 */
export function judgeOrdered(subjects: readonly Subject[], bound: number): Verdict {
  let stalest = 0;
  const verdict = sum(
    subjects.flatMap((subject) =>
      questionsOf(subject.history).map((history) => {
        const findings = checkOrder(history, { bound });
        stalest = Math.max(stalest, findings.stalest);
        return [subject, findings] as const;
      }),
    ),
  );
  return { ...verdict, stalest };
}

/** For each thing that is asked of the key: all writes, and the reads that ask it. */
function questionsOf(history: History): History[] {
  const { kinds, clients, commands, length } = history;
  const questionOf = (i: number) =>
    VALUES.has(commands[i]) ? 'value' : `${clients[i].slice(-1)} ${commands[i]}`;
  const questions = new Set<string>();
  for (let i = 0; i < length; i++) if (kinds[i] === READ) questions.add(questionOf(i));
  return [...questions].map((question) =>
    history.where((_, __, kind, i) => kind !== READ || questionOf(i) === question),
  );
}

export function sum(all: readonly (readonly [Subject, Findings])[]): Verdict {
  const evidence = all.flatMap(([{ key, kind }, { count, examples }]) =>
    count === 0
      ? []
      : [`${key} (${kind}): ${count} violations`, ...examples.map((text) => `${key}: ${text}`)],
  );
  return { violations: all.reduce((sum, [, { count }]) => sum + count, 0), evidence, stalest: 0 };
}

export function describeReport(report: Report): string {
  const { name, operations, requests, tierShare, copyShare, seconds, violations, stalest, errors } = report;
  const parts = [
    `${operations} operations`,
    `${requests} requests`,
    `${(100 * tierShare).toFixed(0)} % from the tier`,
    ...(copyShare > 0 ? [`${(100 * copyShare).toFixed(0)} % of copies`] : []),
    `${violations} violations`,
    ...(stalest > 0 ? [`stale for ${stalest.toFixed(1)} ms at the most`] : []),
    ...(errors.size > 0 ? [`${[...errors.values()].reduce((sum, count) => sum + count, 0)} errors`] : []),
    `${seconds.toFixed(1)} s`,
  ];
  return `${name}: ${parts.join(', ')}`;
}
