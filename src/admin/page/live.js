// The connection to heatsink: the past first, then a state each second; after a break, from the start again. A page that
// nobody sees is not connected: a browser has few connections for all its tabs, and the past is there when it is seen.

/** @typedef {import('./state.d.ts').State} State */
/** @typedef {import('./state.d.ts').Point} Point */

/** Milliseconds before the first try after a break; doubled each time, up to the most. */
const FIRST_WAIT = 500;
const MOST_WAIT = 5000;
/** Without a word for so long (ms), the connection counts as broken: a state is due each second. */
const SILENCE = 5000;

const NO_REQUESTS = {
  total: 0,
  tier_hit: 0,
  coalesced: 0,
  forwarded: 0,
  stale_on_error: 0,
  local: 0,
  refused: 0,
  shed: 0,
  error: 0,
};

/**
 * @param {object} listener
 * @param {(points: Point[]) => void} listener.onHistory
 * @param {(state: State) => void} listener.onState
 * @param {() => void} listener.onBreak
 */
export function follow({ onHistory, onState, onBreak }) {
  let wait = FIRST_WAIT;
  /** @type {EventSource | null} */
  let source = null;
  /** Waits for the next try, or for the next word. @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** Ends the question for the past. */
  let asking = new AbortController();

  async function open() {
    close();
    const { signal } = asking;
    timer = setTimeout(retry, SILENCE);
    try {
      const response = await fetch('history', { signal });
      if (!response.ok) throw new Error(`/history: ${response.status}`);
      const { points } = await response.json();
      if (signal.aborted) return;
      onHistory(points);
    } catch {
      if (!signal.aborted) retry();
      return;
    }
    source = new EventSource('events');
    source.addEventListener('error', retry);
    source.addEventListener('state', ({ data }) => {
      wait = FIRST_WAIT;
      listen();
      onState(complete(JSON.parse(data)));
    });
    listen();
  }

  function listen() {
    clearTimeout(timer);
    timer = setTimeout(retry, SILENCE);
  }

  function retry() {
    close();
    onBreak();
    timer = setTimeout(open, wait);
    wait = Math.min(wait * 2, MOST_WAIT);
  }

  function close() {
    clearTimeout(timer);
    asking.abort();
    asking = new AbortController();
    source?.close();
    source = null;
  }

  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}

/**
 * In its first second heatsink has no rates yet.
 * @param {State} state
 * @returns {State}
 */
function complete(state) {
  return { ...state, requests: { ...NO_REQUESTS, ...state.requests } };
}
