// Whether the page is live, and what heatsink says of itself.

import { byId, setAttribute, setText } from './dom.js';
import { age, milliseconds } from './format.js';

/** @typedef {import('./state.d.ts').State} State */

export function createStatus() {
  const live = byId('live');
  const banner = byId('banner');
  /** @type {number | null} */
  let lastHeard = null;
  let broken = false;

  /** @param {State} state */
  function show(state) {
    broken = false;
    lastHeard = Date.now();
    setText(live, 'live');
    setAttribute(live, 'class', 'badge good');
    document.body.classList.remove('stale');
    const observes = state.mode === 'observe';
    setText(byId('version'), state.version);
    byId('observes').hidden = !observes;
    showBanner(state.ready ? '' : `Clients cannot be served: ${state.reasons.join('; ')}`);
    const uptime = age(Date.parse(state.now) - Date.parse(state.started));
    setText(byId('uptime'), `up ${uptime}`);
    const window = milliseconds(state.window_ms);
    setText(byId('threshold'), `hot from ${state.threshold} reads a second on, within ${window}`);
  }

  /** Said once, not with each try. */
  function showBreak() {
    if (broken) return;
    broken = true;
    setText(live, lastHeard === null ? 'connecting' : 'reconnecting');
    setAttribute(live, 'class', 'badge warn');
    if (lastHeard !== null) document.body.classList.add('stale');
    showBanner(
      lastHeard === null
        ? 'heatsink does not answer. Trying again.'
        : `The connection to heatsink is lost. What you see is of ${new Date(lastHeard).toLocaleTimeString('en-GB')}. Trying again.`,
    );
  }

  /** @param {string} text */
  function showBanner(text) {
    setText(banner, text);
    banner.hidden = text === '';
  }

  return { show, showBreak };
}
