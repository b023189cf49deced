// The numbers at the top of the page.

import { byId, setText } from './dom.js';
import { bytes, count, milliseconds, of, percent, rate } from './format.js';
import { loadOf } from './loads.js';

/** @typedef {import('./state.d.ts').State} State */

/** @param {State} state */
export function showSummary(state) {
  const { requests, latency_ms: ms, tier } = state;
  tile('total', rate(requests.total), `${rate(requests.forwarded)} go to Redis`);
  tile('hits', percent(state.hit_ratio), hitNote(state));
  const { relief, note } = reliefOf(state);
  tile('relief', relief, note);
  tile('p99', milliseconds(ms?.p99), ms ? `half within ${milliseconds(ms.p50)}` : 'nothing was asked');
  tile('memory', bytes(tier.bytes), `of ${bytes(tier.max_bytes)}, ${of(tier.entries, 'reply', 'replies')}`);
  tile('connections', count(state.clients), `by ${of(state.workers, 'worker')}`);
}

/** @param {State} state */
function hitNote({ mode, hit_ratio, requests }) {
  if (mode === 'observe') return 'would be, if it served';
  if (hit_ratio === null) return 'no reads or writes now';
  return `${rate(requests.tier_hit)} hits, ${rate(requests.coalesced)} shared`;
}

/**
 * How much less the shard gets that would be busiest without heatsink.
 * @param {State} state
 */
function reliefOf({ nodes, mode }) {
  const loads = nodes.map((node) => loadOf(node, mode === 'observe'));
  const hottest = loads.reduce((most, load) => (load.without > most.without ? load : most), loads[0]);
  if (!hottest || hottest.without === 0) return { relief: '–', note: 'no shard is busy' };
  const relief = 1 - hottest.withIt / hottest.without;
  const note = `${rate(hottest.withIt)} instead of ${rate(hottest.without)}`;
  return { relief: relief > 0 ? `−${percent(relief)}` : '0 %', note };
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} note
 */
function tile(name, value, note) {
  setText(byId(`${name}-value`), value);
  setText(byId(`${name}-note`), note);
}
