// A drain that is killed with SIGKILL at random moments, while increments go on: is everything counted, once?
// `npm run bench:drain`

import {
  type CounterDatabase,
  type CrashRun,
  crashRun,
  makeCrashTable,
} from '../test/support/drain-crashes.ts';
import { startMariadb } from '../test/support/mariadb.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { startRedis } from '../test/support/redis.ts';
import { progress } from './progress.ts';
import { runBench } from './stage.ts';
import { table, whole } from './table.ts';

await runBench({
  name: 'drain',
  title: 'Counters under kill -9',
  options: {
    runs: [50, 'runs with each database'],
    kills: [3, 'times that a drain is killed in each run'],
  },
  async run({ runs, kills }, stage) {
    const redis = stage.keep(await startRedis());
    const databases: [string, CounterDatabase][] = [
      ['PostgreSQL', stage.keep(await startPostgres())],
      ['MariaDB', stage.keep(await startMariadb())],
    ];
    const rows: string[][] = [];
    for (const [index, [name, database]] of databases.entries()) {
      await makeCrashTable(database);
      const done: CrashRun[] = [];
      while (done.length < runs) {
        done.push(await crashRun(redis.url, database, kills));
        const share = (index + done.length / runs) / databases.length;
        progress(share, `${name}, run ${done.length} of ${runs}: ${done.at(-1)?.wrong} counters wrong`);
      }
      const sum = (of: (run: CrashRun) => number) => whole(done.reduce((all, run) => all + of(run), 0));
      const exact = done.filter(({ wrong }) => wrong === 0).length;
      rows.push([
        name,
        whole(runs),
        whole(runs * kills),
        sum(({ acknowledged }) => acknowledged),
        sum(({ unapplied }) => unapplied),
        sum(({ unremoved }) => unremoved),
        `${exact} of ${runs}`,
        exact === runs ? 'met' : 'not met',
      ]);
    }
    return [
      `In each run a client increments 900 counters in 30 hashes without a pause, and ${kills} drains one after the ` +
        'other are killed within 0.6 s. Then the client stops, one more round is drained, and every total in the ' +
        'table must be the sum of the increments that were acknowledged. A kill may leave a hash aside: one that is ' +
        'not in the table yet, or one that is and must not be applied again.',
      table(
        [
          'database',
          'runs',
          'kills',
          'acknowledged',
          'left unapplied',
          'left applied',
          'runs with exact totals',
          '',
        ],
        rows,
      ),
    ];
  },
});
