// Measuring by all workers together: HOTKEYS is told to one of them.

import type { Measuring } from '../../commands/hotkeys.ts';
import type { Peers } from '../peers.ts';
import { KeyUsage, type Measured, type Usage } from './key-usage.ts';
import { mergeTopKeys } from './top-keys.ts';

const START = 'measure keys';
const STOP = 'stop measuring keys';
const FORGET = 'forget what was measured';
const MEASURED = 'what was measured';

/** None of these ever rejects. */
export interface UsageByAll {
  /** What is measured now, or was; null for nothing. */
  readonly current: KeyUsage | null;
  start(measuring: Measuring): Promise<void>;
  stop(): Promise<void>;
  forget(): Promise<void>;
  /** Of all workers together; null when nothing was measured. */
  measured(): Promise<Measured | null>;
}

interface Started {
  readonly measuring: Measuring;
  readonly startedAt: number;
}

/** `changed` hears of what is to be told from now on, or that nothing is. */
export function usageByAll(peers: Peers, changed: (usage: KeyUsage | null) => void): UsageByAll {
  let current: KeyUsage | null = null;
  let timer: NodeJS.Timeout | undefined;

  function set(usage: KeyUsage | null): void {
    clearTimeout(timer);
    current = usage;
    changed(usage?.active === true ? usage : null);
  }

  function start({ measuring, startedAt }: Started): void {
    set(new KeyUsage(measuring, startedAt));
    if (measuring.duration === 0) return;
    timer = setTimeout(stop, Math.max(0, startedAt + measuring.duration - Date.now())).unref();
  }

  function stop(): void {
    current?.stop();
    set(current);
  }

  peers.on(START, start);
  peers.on(STOP, stop);
  peers.on(FORGET, () => set(null));
  peers.on(MEASURED, () => current?.measured() ?? null);
  // Who comes later, in place of one that crashed, goes on with the others.
  void peers.ask<Measured | null>(MEASURED, null).then((all) => {
    const going = all.find((measured) => measured?.active);
    if (going != null && current === null) start(going);
  });

  return {
    get current() {
      return current;
    },
    async start(measuring) {
      const started = { measuring, startedAt: Date.now() };
      start(started);
      await peers.ask(START, started);
    },
    async stop() {
      stop();
      await peers.ask(STOP, null);
    },
    async forget() {
      set(null);
      await peers.ask(FORGET, null);
    },
    async measured() {
      const others = await peers.ask<Measured | null>(MEASURED, null);
      const all = [current?.measured() ?? null, ...others].filter((measured) => measured !== null);
      return all.length === 0 ? null : merge(all);
    },
  };
}

function merge(all: readonly Measured[]): Measured {
  const [first] = all;
  const { count } = first.measuring;
  const sum = (of: (measured: Measured) => Usage): Usage => ({
    us: all.reduce((total, measured) => total + of(measured).us, 0),
    bytes: all.reduce((total, measured) => total + of(measured).bytes, 0),
  });
  return {
    ...first,
    all: sum((measured) => measured.all),
    selected: sum((measured) => measured.selected),
    sampled: sum((measured) => measured.sampled),
    netTotal: all.reduce((total, { netTotal }) => total + netTotal, 0),
    cpu: mergeTopKeys(
      all.map(({ cpu }) => cpu),
      count,
    ),
    net: mergeTopKeys(
      all.map(({ net }) => net),
      count,
    ),
  };
}
