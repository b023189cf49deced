// A mixed load of many connections for a cluster that changes, with a ledger of what they were told.

import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger, type LedgerOptions } from './ledger.ts';
import { type Ask, array, ask, bulk, type Player, ROUNDS } from './topology-rounds.ts';
import { Wire } from './wire.ts';

export interface TopologyLoadOptions extends LedgerOptions {
  readonly port: number;
  /** Connections; two in each queue come on top. */
  readonly clients: number;
  readonly queues: number;
  /** Hash tags that keys are made of, from all slots that matter. */
  readonly names: readonly string[];
}

export interface TopologyLoad {
  readonly ledger: Ledger;
  /** Rounds that clients have finished. */
  rounds(): number;
  /** Ends the load when every client has its replies. */
  stop(): Promise<Ledger>;
}

/** Milliseconds that WAIT may take. */
const REPLICA_TIMEOUT = '100';
/** Pause of a client between two rounds, and after one with an error, in milliseconds. */
const PAUSE = 5;
const AFTER_ERROR = 20;
/** How long a pusher waits for its value to be taken, in milliseconds. */
const HAND_OVER = 1000;

export function startTopologyLoad(options: TopologyLoadOptions): TopologyLoad {
  const { port, names, mayLose } = options;
  const ledger = new Ledger(options);
  let stopped = false;
  let rounds = 0;

  function join(id: number): { wire: Wire; player: Player } {
    const wire = new Wire(port);
    const exchange = async (asked: readonly Ask[]) => {
      wire.sendAll(asked.map(({ args }) => args));
      const replies = (await wire.replies(asked.length)).map((bytes) =>
        bytes.toString('latin1').slice(0, -2),
      );
      replies.forEach((reply, i) => {
        if (reply.startsWith('-')) ledger.error(reply.slice(1), asked[i].keys, asked[i].args);
      });
      return replies;
    };
    /** What an asynchronous replication may lose is safe once a replica has it. */
    const isSafe = async () => {
      if (!mayLose) return true;
      const [replicas] = await exchange([ask([], 'WAIT', '1', REPLICA_TIMEOUT)]);
      return Number(replicas.slice(1)) >= 1;
    };
    const player: Player = {
      id,
      mayLose,
      exchange,
      expect: (reply, due, asked) => ledger.expect(reply, due, asked),
      async counted(additions) {
        const safe = additions.some(({ reply }) => reply.startsWith(':')) && (await isSafe());
        for (const { name, reply } of additions) ledger.count(name, reply, safe);
      },
      anyName: () => names[Math.floor(Math.random() * names.length)],
    };
    return { wire, player };
  }

  /** Calls `round` until it gives false; a connection that closes or falls silent is wrong. */
  async function repeat(id: number, round: (player: Player, n: number) => Promise<boolean>): Promise<void> {
    const { wire, player } = join(id);
    try {
      for (let n = 1, going = true; going; n++) {
        const before = ledger.errorCount;
        going = await round(player, n);
        rounds++;
        await sleep(ledger.errorCount > before ? AFTER_ERROR : PAUSE);
      }
    } catch (error) {
      ledger.wrong.push(`client ${id}: ${(error as Error).message}`);
    } finally {
      wire.close();
    }
  }

  function play(id: number): Promise<void> {
    const round = ROUNDS[id % ROUNDS.length];
    return repeat(id, async (player, n) => {
      await round(player, `<${id}:${n}>`);
      return !stopped;
    });
  }

  /** One client waits for what another pushes. */
  async function handOver(id: number): Promise<void> {
    const name = `queue:${id}:${names[(id * 7) % names.length]}`;
    let pushed = 0;
    let taken = 0;
    let pushing = true;
    const pusher = repeat(id, async (player) => {
      const [reply] = await player.exchange([ask([name], 'LPUSH', name, `<${name}:${++pushed}>`)]);
      // After an error it may never come.
      const until = performance.now() + (reply.startsWith('-') ? 0 : HAND_OVER);
      while (taken < pushed && performance.now() < until) await sleep(1);
      return !stopped;
    }).finally(() => {
      pushing = false;
    });
    const taker = repeat(id, async (player) => {
      const [reply] = await player.exchange([ask([name], 'BLPOP', name, '0.5')]);
      if (!reply.startsWith('-') && reply !== '*-1') {
        const number = Number(/:(\d+)>$/.exec(reply)?.[1]);
        player.expect(reply, array(bulk(name), bulk(`<${name}:${number}>`)), 'BLPOP');
        const right = mayLose ? number <= pushed : number === taken + 1;
        if (!right) ledger.wrong.push(`${name}: ${number} came after ${taken} of ${pushed}`);
        taken = number;
      }
      return pushing || (taken < pushed && !mayLose && reply !== '*-1');
    });
    await Promise.all([pusher, taker]);
    if (!mayLose && taken !== pushed) ledger.wrong.push(`${name}: ${taken} of ${pushed} were handed over`);
  }

  const work = [
    ...Array.from({ length: options.clients }, (_, id) => play(id)),
    ...Array.from({ length: options.queues }, (_, i) => handOver(options.clients + i)),
  ];
  return {
    ledger,
    rounds: () => rounds,
    async stop() {
      stopped = true;
      await Promise.all(work);
      return ledger;
    },
  };
}
