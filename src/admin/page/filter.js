// The field that chooses keys by pattern, and what is said when no key is left.

import { byId, setText } from './dom.js';
import { createMatcher, isPattern } from './glob.js';

/** @typedef {import('./state.d.ts').State} State */
/** @typedef {import('./state.d.ts').Key} Key */
/** @typedef {ReturnType<typeof createFilter>} Filter */

/**
 * @param {() => void} changed
 * @param {(action: 'pin' | 'ban', key: Key) => void} act
 */
export function createFilter(changed, act) {
  const field = byId('filter', HTMLInputElement);
  const empty = byId('hot-empty');
  const offer = byId('hot-offer');
  const clear = byId('filter-clear');
  let matches = createMatcher('');

  function set(/** @type {string} */ text) {
    if (field.value !== text) field.value = text;
    matches = createMatcher(text);
    changed();
  }

  field.addEventListener('input', () => set(field.value));
  field.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape') return;
    if (field.value === '') field.blur();
    else set('');
  });
  clear.addEventListener('click', () => {
    set('');
    field.focus();
  });
  byId('offer-pin').addEventListener('click', () => act('pin', { key: field.value }));
  byId('offer-ban').addEventListener('click', () => act('ban', { key: field.value }));

  /**
   * @param {State} state
   * @param {number} rows
   */
  function showEmpty(state, rows) {
    empty.hidden = rows > 0;
    if (rows > 0) return;
    const text = field.value;
    const filtered = text !== '' && state.hot_keys.length > 0;
    clear.hidden = text === '';
    offer.hidden = text === '' || isPattern(text);
    setText(
      byId('hot-empty-text'),
      filtered ? `No key of the ${state.hot_keys.length} listed matches.` : quiet(state),
    );
    setText(
      byId('offer-text'),
      `Is “${text}” the whole name of a key? You can say what is to be done about it before it is hot:`,
    );
  }

  return {
    matches: (/** @type {Uint8Array} */ bytes) => matches(bytes),
    active: () => field.value !== '',
    focus() {
      field.focus();
      field.select();
    },
    showEmpty,
  };
}

/** @param {State} state */
function quiet({ requests, threshold }) {
  return requests.total === 0
    ? 'No requests yet. Point your Redis clients at the client port of heatsink; what they read most shows up here.'
    : `No key is read often. One is hot from ${threshold} reads a second on.`;
}
