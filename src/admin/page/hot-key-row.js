// One row of the table of hot keys. It stays the same element as long as its key is shown.

import { el, setAttribute, setText } from './dom.js';
import { age, bytes, count, milliseconds, percent, rate } from './format.js';
import { longName, shortName } from './key.js';

/** @typedef {import('./state.d.ts').HotKey} HotKey */
/** @typedef {ReturnType<typeof createRow>} Row */

/**
 * @param {HotKey} first
 * @param {readonly string[]} labels the columns' names, for phones
 */
export function createRow(first, labels) {
  let hot = first;
  const rank = el('td', { role: 'gridcell', class: 'rank number' });
  const name = el('span', { class: 'mono', text: shortName(first), title: longName(first) });
  const binary = first.encoding && el('span', { class: 'badge', text: 'binary' });
  const key = el('td', { role: 'gridcell', class: 'key' }, name, binary);
  const [reads, share, nodeShare, hits, kept, since] = labels
    .slice(2, 8)
    .map((label) => el('td', { role: 'gridcell', class: 'number', 'data-label': label }));
  const [shareBar, nodeBar] = [createMeter(share), createMeter(nodeShare)];
  const done = el('td', { role: 'gridcell', class: 'done' });
  const pin = el('button', { type: 'button', class: 'small', 'data-action': 'pin', tabindex: -1 });
  const ban = el('button', { type: 'button', class: 'small', 'data-action': 'ban', tabindex: -1 });
  const root = el(
    'tr',
    { role: 'row', tabindex: -1 },
    ...[rank, key, reads, share, nodeShare, hits, kept, since, done],
    el('td', { role: 'gridcell', class: 'actions' }, pin, ban),
  );

  return {
    root,
    get hot() {
      return hot;
    },
    /** @param {boolean} yes whether Tab comes by here */
    setReachable(yes) {
      for (const element of [root, pin, ban]) element.tabIndex = yes ? 0 : -1;
    },
    /** @param {boolean} yes whether its key is no longer among those that are listed */
    setGone(yes) {
      root.classList.toggle('gone', yes);
    },
    /**
     * @param {HotKey} next
     * @param {number} place
     * @param {number} now epoch milliseconds
     * @param {boolean} observes
     */
    show(next, place, now, observes) {
      hot = next;
      setText(rank, `${place}`);
      setText(reads, `${rate(next.reads_per_second)}/s`);
      shareBar(next.share);
      nodeBar(next.node_share);
      setAttribute(nodeShare, 'title', next.node ?? 'its shard is not known');
      setText(hits, count(next.hits));
      setText(kept, next.entries > 0 ? bytes(next.bytes) : '–');
      setText(since, next.hot_since === null ? '–' : age(now - Date.parse(next.hot_since)));
      showDone(done, next, observes);
      label(pin, next.pinned ? 'unpin' : 'pin', next.pinned ? 'Unpin' : 'Pin', shortName(next));
      label(ban, next.banned ? 'unban' : 'ban', next.banned ? 'Lift ban' : 'Ban', shortName(next));
      root.classList.toggle('cold', next.state === 'candidate' && !next.pinned);
    },
  };
}

/**
 * @param {HTMLButtonElement} button
 * @param {string} action
 * @param {string} text
 * @param {string} name
 */
function label(button, action, text, name) {
  button.dataset.action = action;
  setText(button, text);
  setAttribute(button, 'aria-label', `${text} ${name}`);
}

/**
 * A share as a number over a bar.
 * @param {HTMLElement} cell
 */
function createMeter(cell) {
  const fill = el('span', { class: 'fill' });
  const value = el('span');
  cell.classList.add('meter');
  cell.append(value, el('span', { class: 'track', 'aria-hidden': 'true' }, fill));
  return (/** @type {number | null} */ share) => {
    setText(value, percent(share));
    fill.style.width = `${Math.min(1, share ?? 0) * 100}%`;
  };
}

/**
 * @param {HTMLElement} cell
 * @param {HotKey} hot
 * @param {boolean} observes
 */
function showDone(cell, hot, observes) {
  const badges = badgesOf(hot, observes);
  const texts = badges.map(([text]) => text).join('\n');
  if (cell.dataset.shown === texts) return;
  cell.dataset.shown = texts;
  cell.replaceChildren(
    ...badges.map(([text, kind, title]) => el('span', { class: `badge ${kind}`, text, title })),
  );
}

/**
 * What is done about a key: text, kind and explanation.
 * @param {HotKey} hot
 * @param {boolean} observes
 * @returns {[text: string, kind: string, title: string][]}
 */
function badgesOf({ state, copies, lease, pinned, banned }, observes) {
  /** @type {[string, string, string][]} */
  const badges = [];
  if (banned) badges.push(['banned', 'bad', 'By hand: not kept, shared or copied']);
  if (pinned) badges.push(['pinned', 'good', 'By hand: kept whatever its rate']);
  if (state === 'tier') {
    if (observes) badges.push(['would be kept', 'shared', 'Its replies would be served from memory']);
    else badges.push(['from memory', 'cool', 'Its replies are served from memory']);
  }
  if (copies > 0)
    badges.push([`${copies + 1} shards`, 'cool', 'Its reads are spread over copies on other shards']);
  if (state === 'write-hot') badges.push(['write-hot', 'warn', 'Written too often to be kept']);
  if (state === 'hot') badges.push(['hot', 'warn', 'Hot, and nothing of it is kept right now']);
  if (state === 'candidate' && !pinned)
    badges.push(['watched', '', 'Not hot: reads go to Redis, identical ones share']);
  if (lease) {
    const held = lease.held_ms === null ? '' : ` ${milliseconds(lease.held_ms)}`;
    badges.push([`lease${held}, ${lease.waiters} wait`, 'shared', 'One client rebuilds it, the others wait']);
  }
  return badges;
}
