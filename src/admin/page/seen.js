// Big keys and slow commands: short tables that are made anew when something in them has changed.

import { byId, el } from './dom.js';
import { age, bytes, count, milliseconds } from './format.js';
import { bytesOf, longName, shortName } from './key.js';

/** @typedef {import('./state.d.ts').State} State */
/** @typedef {import('./state.d.ts').Key} Key */
/** @typedef {(bytes: Uint8Array) => boolean} Matcher */

/** Rows of each table. */
const MOST = 10;

export function createSeen() {
  const big = createTable('big-rows', 'big-empty');
  const slow = createTable('slow-rows', 'slow-empty');

  /**
   * @param {State} state
   * @param {Matcher} matches
   */
  function show(state, matches) {
    const now = Date.parse(state.now);
    big.show(
      state.big_keys
        .filter((key) => matches(bytesOf(key)))
        .slice(0, MOST)
        .map((key) => [
          nameCell(key),
          numberCell(key.bytes > 0 ? bytes(key.bytes) : '–'),
          numberCell(key.elements > 0 ? count(key.elements) : '–'),
          textCell(`${key.command} ${key.direction}`),
          numberCell(count(key.times)),
          numberCell(`${age(now - Date.parse(key.last_seen))} ago`),
        ]),
    );
    slow.show(
      state.slow_commands
        .filter(({ arguments: words }) => words.some((word) => matches(bytesOf(keyOf(word)))))
        .slice(0, MOST)
        .map((command) => [
          commandCell(command.arguments.map(keyOf)),
          numberCell(milliseconds(command.duration_us / 1000)),
          textCell(command.node),
          textCell(command.client_name || command.client),
          numberCell(`${age(now - Date.parse(command.time))} ago`),
        ]),
    );
  }

  return { show };
}

/** @typedef {{ class: string, text: string, title?: string }} Cell */

/**
 * @param {string} rowsId
 * @param {string} emptyId
 */
function createTable(rowsId, emptyId) {
  const body = byId(rowsId);
  const empty = byId(emptyId);
  const labels = [...(body.closest('table')?.querySelectorAll('th') ?? [])].map((th) => th.textContent);
  let shown = '[]';

  /** @param {Cell[][]} rows */
  function show(rows) {
    const next = JSON.stringify(rows);
    if (next === shown) return;
    shown = next;
    empty.hidden = rows.length > 0;
    body.replaceChildren(
      ...rows.map((cells) =>
        el(
          'tr',
          { role: 'row' },
          ...cells.map((cell, i) => el('td', { role: 'cell', 'data-label': labels[i] ?? '', ...cell })),
        ),
      ),
    );
  }

  return { show };
}

/** @param {Key} key @returns {Cell} */
function nameCell(key) {
  return { class: 'key mono', text: shortName(key), title: longName(key) };
}

/** @param {string} text @returns {Cell} */
function numberCell(text) {
  return { class: 'number', text };
}

/** @param {string} text @returns {Cell} */
function textCell(text) {
  return { class: 'muted', text };
}

/** @param {Key[]} words @returns {Cell} */
function commandCell(words) {
  return { class: 'key mono', text: words.map(shortName).join(' '), title: words.map(longName).join(' ') };
}

/** @param {string | { base64: string }} word @returns {Key} */
function keyOf(word) {
  return typeof word === 'string' ? { key: word } : { key: word.base64, encoding: 'base64' };
}
