// The keys that were pinned or banned, hot or not, each with a way to undo it.

import { byId, el, setText } from './dom.js';
import { longName, shortName } from './key.js';

/** @typedef {import('./state.d.ts').State} State */
/** @typedef {import('./state.d.ts').Key} Key */

/** @param {(action: 'unpin' | 'unban', key: Key) => void} act */
export function createByHand(act) {
  const section = byId('by-hand');
  const list = byId('by-hand-list');
  let shown = '';

  /** @param {State} state */
  function show({ pinned, banned }) {
    const next = JSON.stringify([pinned, banned]);
    if (next === shown) return;
    shown = next;
    // Whoever has just undone one goes on with what is in its place.
    const focused = [...list.querySelectorAll('button')].indexOf(
      /** @type {HTMLButtonElement} */ (document.activeElement),
    );
    list.replaceChildren(
      ...pinned.map((key) => chip(key, 'pinned', 'good', 'Unpin', () => act('unpin', key))),
      ...banned.map((key) => chip(key, 'banned', 'bad', 'Lift ban', () => act('unban', key))),
    );
    section.hidden = pinned.length + banned.length === 0;
    setText(byId('by-hand-count'), `${pinned.length} pinned, ${banned.length} banned`);
    const buttons = list.querySelectorAll('button');
    if (focused >= 0) buttons[Math.min(focused, buttons.length - 1)]?.focus();
  }

  return { show };
}

/**
 * @param {Key} key
 * @param {string} text
 * @param {string} kind
 * @param {string} verb
 * @param {() => void} undo
 */
function chip(key, text, kind, verb, undo) {
  const button = el('button', {
    type: 'button',
    class: 'small',
    'aria-label': `${verb} ${shortName(key)}`,
    text: verb,
  });
  button.addEventListener('click', undo);
  return el(
    'li',
    {},
    el('span', { class: `badge ${kind}`, text }),
    el('span', { class: 'mono name', text: shortName(key), title: longName(key) }),
    button,
  );
}
