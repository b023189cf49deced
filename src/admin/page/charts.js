// What is charted, and in which colours.

import { createChart } from './chart.js';
import { byId } from './dom.js';
import { count, milliseconds, percent } from './format.js';
import { loadOf } from './loads.js';

/** @typedef {import('./state.d.ts').Point} Point */
/** @typedef {ReturnType<typeof import('./history.js').createHistory>} History */

/** Outcomes from bottom to top: what reaches Redis lies below, what it is spared above. */
const OUTCOMES = /** @type {const} */ ([
  { name: 'forwarded', label: 'to Redis', colour: '--hot' },
  { name: 'observed', label: 'would be spared', colour: '--cool', rare: true },
  { name: 'coalesced', label: 'shared', colour: '--shared' },
  { name: 'tier_hit', label: 'from memory', colour: '--cool' },
  { name: 'local', label: 'by heatsink itself', colour: '--plain', rare: true },
  { name: 'stale_on_error', label: 'stale on error', colour: '--stale', rare: true },
  { name: 'failed', label: 'refused or failed', colour: '--bad', rare: true },
]);

/** @param {History} history */
export function createCharts(history) {
  const requests = createChart(byId('requests'), {
    lines: OUTCOMES,
    format: count,
    stacked: true,
    least: 10,
  });
  const ratio = createChart(byId('ratio'), {
    lines: [{ label: 'of all reads and writes', colour: '--cool' }],
    format: (value) => percent(value),
    most: 1,
  });
  const latency = createChart(byId('latency'), {
    lines: [
      { label: 'p50', colour: '--cool' },
      { label: 'p90', colour: '--shared' },
      { label: 'p99', colour: '--hot' },
      { label: 'p99.9', colour: '--bad' },
    ],
    format: milliseconds,
    powers: true,
  });
  const shard = createChart(byId('shard'), {
    lines: [
      { label: 'with heatsink', colour: '--cool' },
      { label: 'without', colour: '--hot' },
    ],
    format: count,
    least: 10,
  });
  const clients = createChart(byId('clients'), {
    lines: [{ label: 'clients', colour: '--shared' }],
    format: count,
    least: 4,
  });

  let observes = false;
  /** @type {[import('./chart.js').Chart, (point: Point) => (number | null)[], lines: number][]} */
  const charts = [
    [requests, outcomes, OUTCOMES.length],
    [ratio, ({ hit_ratio }) => [hit_ratio], 1],
    [latency, percentiles, 4],
    [shard, (point) => hottest(point, observes), 2],
    [clients, (point) => [point.clients], 1],
  ];

  return {
    /**
     * @param {number} now epoch seconds
     * @param {boolean} isObserving
     */
    show(now, isObserving) {
      observes = isObserving;
      const from = history.start(now);
      for (const [chart, pick, lines] of charts) chart.show(history.columns(lines, pick), from, now);
    },
    redraw() {
      for (const [chart] of charts) chart.redraw();
    },
  };
}

/** @param {Point} point */
function outcomes({ requests, observed }) {
  const { forwarded, refused, shed, error } = requests;
  const values = { ...requests, forwarded: forwarded - observed, observed, failed: refused + shed + error };
  return OUTCOMES.map(({ name }) => values[name]);
}

/** @param {Point} point */
function percentiles({ latency_ms: ms }) {
  return ms === null ? [null, null, null, null] : [ms.p50, ms.p90, ms.p99, ms.p999];
}

/**
 * The busiest node without heatsink, and the busiest with it: not always the same one.
 * @param {Point} point
 * @param {boolean} observes
 */
function hottest({ nodes }, observes) {
  const loads = Object.values(nodes).map((node) => loadOf(node, observes));
  if (loads.length === 0) return [null, null];
  return [Math.max(...loads.map(({ withIt }) => withIt)), Math.max(...loads.map(({ without }) => without))];
}
