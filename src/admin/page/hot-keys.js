// The table of hot keys, ranked anew each second, but never under the pointer or the keyboard of somebody who is about
// to do something to one of them.

import { byId, setChildren, setText } from './dom.js';
import { createRow } from './hot-key-row.js';
import { bytesOf, idOf } from './key.js';
import { createRowKeys } from './row-keys.js';

/** @typedef {import('./state.d.ts').State} State */
/** @typedef {import('./state.d.ts').HotKey} HotKey */
/** @typedef {import('./hot-key-row.js').Row} Row */
/** @typedef {import('./actions.js').KeyAction} KeyAction */

/** Rows of keys that are no longer listed, with so many of which a table that is held is ranked again. */
const MOST_GONE = 50;
/** Rows that are shown until somebody wants more, or filters. */
const FEW = matchMedia('(max-width: 760px)').matches ? 8 : 15;

/**
 * @param {(action: KeyAction, key: HotKey) => void} act
 * @param {() => void} changed called when more or fewer rows are wanted
 */
export function createHotKeys(act, changed) {
  const body = byId('hot-rows', HTMLTableSectionElement);
  const held = byId('hot-held');
  const total = byId('hot-count');
  const more = byId('hot-more', HTMLButtonElement);
  let all = false;
  let gone = 0;
  const labels = [...(body.closest('table')?.querySelectorAll('th') ?? [])].map((th) => th.textContent);
  const hovers = matchMedia('(hover: hover)');
  /** @type {Map<string, Row>} */
  const rows = new Map();
  const rowOf = (/** @type {EventTarget | null} */ target) => {
    const element = target instanceof Element ? target.closest('tr') : null;
    return [...rows.values()].find(({ root }) => root === element);
  };
  const keys = createRowKeys(body, (letter, target) => {
    const hot = rowOf(target)?.hot;
    if (!hot || (letter !== 'p' && letter !== 'b')) return false;
    if (letter === 'p') act(hot.pinned ? 'unpin' : 'pin', hot);
    else act(hot.banned ? 'unban' : 'ban', hot);
    return true;
  });

  body.addEventListener('click', ({ target }) => {
    const action = target instanceof HTMLElement && target.closest('button')?.dataset.action;
    const row = rowOf(target);
    if (action && row) act(/** @type {KeyAction} */ (action), row.hot);
  });

  more.addEventListener('click', () => {
    all = !all;
    changed();
  });

  /** Whether somebody is at the table, or is asked about a key of it, so that rows stay where they are. */
  function isHeld() {
    if (document.querySelector('dialog[open]')) return true;
    return body.contains(document.activeElement) || (hovers.matches && body.matches(':hover'));
  }

  /**
   * @param {State} state
   * @param {import('./filter.js').Filter} filter
   * @returns {number} the number of rows
   */
  function show(state, { matches, active }) {
    const now = Date.parse(state.now);
    const keep = isHeld() && gone < MOST_GONE;
    const matching = state.hot_keys
      .map((key, i) => ({ id: idOf(key), key, place: i + 1 }))
      .filter(({ key }) => matches(bytesOf(key)));
    const most = all || active() ? Infinity : FEW;
    const wanted = matching.filter(({ id }, i) => i < most || (keep && rows.has(id)));
    for (const { id, key, place } of wanted) {
      const row = rows.get(id) ?? createRow(key, labels);
      rows.set(id, row);
      row.show(key, place, now, state.mode === 'observe');
      row.setGone(false);
    }
    gone = 0;
    const ids = new Set(wanted.map(({ id }) => id));
    for (const [id, row] of rows) {
      if (ids.has(id)) continue;
      // What the filter leaves out goes at once: that was asked for.
      if (keep && matches(bytesOf(row.hot))) {
        row.setGone(true);
        gone++;
      } else rows.delete(id);
    }
    const order = keep ? [...rows.keys()] : [...ids];
    if (!keep) sortRows(order);
    setChildren(
      body,
      order.map((id) => /** @type {Row} */ (rows.get(id)).root),
    );
    keys.refresh([...rows.values()]);
    held.hidden = !keep || rows.size === 0;
    setText(total, active() ? `${matching.length} of ${state.hot_keys.length}` : '');
    more.hidden = active() || matching.length <= FEW;
    setText(more, all ? `Show the first ${FEW}` : `Show all ${matching.length}`);
    return rows.size;
  }

  /** The map's own order is that of the page, which is kept while somebody is at the table. */
  function sortRows(/** @type {string[]} */ order) {
    const sorted = order.map((id) => /** @type {[string, Row]} */ ([id, rows.get(id)]));
    rows.clear();
    for (const [id, row] of sorted) rows.set(id, row);
  }

  return { show };
}
