// What is looked at, and how: changed by keys, drawn by screen.ts.

import type { HotKey, State } from '../admin/page/state.d.ts';
import { globToRegExp } from '../cache/rules.ts';
import type { KeyWay } from './watch.ts';

/** Columns by which hot keys can be ranked, in the order in which `s` goes through them. */
export const RANKS = ['rate', 'share', 'shard', 'hits', 'bytes', 'age'] as const;
export type Rank = (typeof RANKS)[number];

/** How many past seconds of requests are kept for the line above the keys. */
const PAST = 240;

export interface View {
  state: State | null;
  /** Why it is not reached; null when it is. */
  lost: string | null;
  paused: boolean;
  rank: Rank;
  /** A glob; empty for all keys. */
  filter: string;
  /** Which of the keys is chosen. */
  chosen: number;
  /** Requests per second of the past seconds, oldest first. */
  readonly past: number[];
  /** What is being asked or typed. */
  prompt: Prompt | null;
  /** What came of the last action. */
  said: string;
}

export type Prompt =
  | { readonly kind: 'filter'; readonly text: string }
  | { readonly kind: 'confirm'; readonly way: KeyWay; readonly key: HotKey };

export function newView(): View {
  return {
    state: null,
    lost: null,
    paused: false,
    rank: 'rate',
    filter: '',
    chosen: 0,
    past: [],
    prompt: null,
    said: '',
  };
}

export function see(view: View, state: State): void {
  view.lost = null;
  view.past.push(state.requests.total);
  if (view.past.length > PAST) view.past.shift();
  if (!view.paused) view.state = state;
}

const VALUES: Readonly<Record<Rank, (key: HotKey) => number>> = {
  rate: (key) => key.reads_per_second,
  share: (key) => key.share,
  shard: (key) => key.node_share ?? 0,
  hits: (key) => key.hits,
  bytes: (key) => key.bytes,
  age: (key) => (key.hot_since === null ? 0 : Date.now() - Date.parse(key.hot_since)),
};

/** The keys that pass the filter, ranked. */
export function shownKeys({ state, filter, rank }: View): HotKey[] {
  const matches = filter === '' ? null : globToRegExp(/[*?[]/.test(filter) ? filter : `*${filter}*`);
  const value = VALUES[rank];
  return (state?.hot_keys ?? [])
    .filter((key) => matches === null || matches.test(latin1(key)))
    .sort((a, b) => value(b) - value(a));
}

/** What is done about a key. */
export function doneAbout({ state, pinned, copies, lease }: HotKey): string {
  const words = [
    state === 'candidate' ? '' : state,
    copies > 0 && state !== 'copies' ? `${copies} copies` : '',
    lease === null ? '' : lease.waiters > 0 ? `lease, ${lease.waiters} wait` : 'lease',
    pinned ? 'pinned' : '',
  ];
  return words.filter((word) => word !== '').join(', ');
}

/** Globs are matched byte for byte. */
function latin1({ key, encoding }: HotKey): string {
  return Buffer.from(key, encoding ?? 'utf8').toString('latin1');
}
