// A heatsink that is looked at from afar: its state each second, by its admin URL.

import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Key, State } from '../admin/page/state.d.ts';

/** An answer that takes longer is none, and so is a second without a state, in milliseconds. */
const PATIENCE = 5000;
/** Between two tries to reach it, in milliseconds. */
const AGAIN = 1000;

export type KeyWay = 'pin' | 'unpin' | 'ban' | 'unban';

/** The state now; rejects with what is wrong. */
export async function readState(admin: URL): Promise<State> {
  const url = new URL('/state', admin);
  const response = await get(url, AbortSignal.timeout(PATIENCE));
  return (await response.json()) as State;
}

export interface Watcher {
  readonly state: (state: State) => void;
  /** It cannot be reached for now, and is tried again. */
  readonly lost: (reason: string) => void;
}

/** Tells of each state until the signal ends it. */
export async function watch(admin: URL, { state, lost }: Watcher, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const seen of states(admin, signal)) state(seen);
      lost('it has closed the connection');
    } catch (error) {
      if (!signal.aborted) lost((error as Error).message);
    }
    await sleep(AGAIN, undefined, { signal }).catch(() => {});
  }
}

/** Does that to a key; rejects with what heatsink has against it. */
export async function mark(admin: URL, way: KeyWay, key: Key, token: string | null): Promise<void> {
  const response = await fetch(new URL(`/keys/${way}`, admin), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ key: key.key, ...(key.encoding && { encoding: key.encoding }) }),
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (response.ok) return;
  const { error = `it answers ${response.status}` } = (await response.json().catch(() => ({}))) as {
    error?: string;
  };
  throw new Error(error);
}

/** By Server-Sent Events. https://html.spec.whatwg.org/multipage/server-sent-events.html */
async function* states(admin: URL, signal: AbortSignal): AsyncGenerator<State> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error('it says nothing')), PATIENCE);
  try {
    const response = await get(new URL('/events', admin), AbortSignal.any([signal, silence.signal]));
    if (response.body === null) throw new Error('it sends nothing');
    const lines = createInterface({ input: Readable.fromWeb(response.body as never) });
    for await (const line of lines) {
      if (!line.startsWith('data: ')) continue;
      timer.refresh();
      yield JSON.parse(line.slice('data: '.length)) as State;
    }
  } finally {
    clearTimeout(timer);
  }
}

async function get(url: URL, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal }).catch((error) => {
    throw new Error(`${url} does not answer: ${(error.cause ?? error).message}`, { cause: error });
  });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return response;
}
