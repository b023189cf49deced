// What one worker needs to serve commands that take an upstream connection of the client's own, or are about clients.

import type { ServerFacts } from '../commands/local.ts';
import type { Counters } from '../counters.ts';
import type { Answers } from '../proxy/answers.ts';
import { ClientPause } from '../proxy/clients/client-pause.ts';
import { ClientUnblock } from '../proxy/clients/client-unblock.ts';
import { Clients } from '../proxy/clients/clients.ts';
import type { Peers } from '../proxy/peers.ts';
import { Blocking } from '../proxy/pinned/blocking.ts';
import { ExecCall } from '../proxy/pinned/exec.ts';
import { NoTouch } from '../proxy/pinned/no-touch.ts';
import { OwnConnection } from '../proxy/pinned/own-connection.ts';
import { Subscribing } from '../proxy/pinned/subscriptions.ts';
import { Tracking } from '../proxy/pinned/tracking.ts';
import { Transactions } from '../proxy/pinned/transactions.ts';
import { Watch } from '../proxy/pinned/watch.ts';
import type { Redirects } from '../proxy/redirects.ts';
import type { Scatter } from '../proxy/scatter.ts';
import type { Session } from '../proxy/session.ts';
import type { Writes } from '../proxy/writes.ts';
import type { Topology } from '../upstream/topology.ts';

export interface OwnParts {
  readonly sessions: Map<number, Session>;
  readonly topology: Topology;
  readonly answers: Answers;
  readonly scatter: Scatter;
  readonly redirects: Redirects;
  readonly writes: Writes;
  readonly facts: ServerFacts;
  readonly counters: Counters;
  readonly peers: Peers;
  readonly isUser: (name: string) => boolean;
}

export function composeOwn(parts: OwnParts): { own: OwnConnection; pause: ClientPause } {
  const { sessions, topology, answers, scatter, redirects, writes, facts, counters, peers, isUser } = parts;
  const pause = new ClientPause({ sessions, topology, answers, counters, peers });
  const exec = new ExecCall({ redirects, answers, pause, counters });
  const unblock = new ClientUnblock({ sessions, topology, answers, counters, peers });
  const watch = new Watch({ topology, answers, redirects, counters });
  const own = new OwnConnection({
    unblock,
    topology,
    answers,
    transactions: new Transactions({
      topology,
      answers,
      exec,
      watch,
      pause,
      redirects,
      writes,
      facts,
      counters,
    }),
    subscribing: new Subscribing({ topology, answers, redirects, counters }),
    blocking: new Blocking({ topology, answers, scatter, writes, counters }),
    tracking: new Tracking({ topology, answers, counters, client: (id) => sessions.get(id), peers }),
    clients: new Clients({
      sessions,
      pause,
      unblock,
      noTouch: new NoTouch({ topology, answers, counters }),
      answers,
      counters,
      peers,
      isUser,
      version: facts.version,
    }),
    pause,
    counters,
  });
  return { own, pause };
}
