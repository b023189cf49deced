// A chart of the last minutes: lines, or areas on top of each other, with a legend that always shows numbers.

import { el, setText } from './dom.js';
import { clock } from './format.js';
import { colour } from './theme.js';
import uPlot from './uplot.js';

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} colour a custom property of the style sheet
 * @property {boolean} [rare] whether the legend has it only where it is not zero all the time
 */
/**
 * @typedef {object} Chart
 * @property {(columns: [number[], ...(number | null)[][]], from: number, to: number) => void} show with what to begin and to end, in epoch seconds
 * @property {() => void} redraw with the present theme's colours
 */

const HEIGHT = 168;
/** Values at the left edge have this much room (px), whatever they are, so that nothing moves. */
const AXIS = 52;
const FONT = '11px Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/**
 * @param {HTMLElement} figure with a `.plot` and a `.legend`
 * @param {object} options
 * @param {readonly Line[]} options.lines from bottom to top where they are stacked
 * @param {(value: number) => string} options.format
 * @param {boolean} [options.stacked]
 * @param {number} [options.most] a fixed upper end of the scale
 * @param {number} [options.least] what the upper end of the scale never goes below
 * @param {boolean} [options.powers] whether the scale goes by powers of ten
 * @returns {Chart}
 */
export function createChart(figure, { lines, format, stacked = false, most, least = 1, powers = false }) {
  const plot = /** @type {HTMLElement} */ (figure.querySelector('.plot'));
  const legend = createLegend(/** @type {HTMLElement} */ (figure.querySelector('.legend')), lines);
  /** @type {[number[], ...(number | null)[][]]} */
  let columns = [[], ...lines.map(() => [])];
  let ends = [0, 60];

  const width = () => Math.max(120, plot.clientWidth);
  const axis = {
    stroke: () => colour('--muted'),
    font: FONT,
    grid: { stroke: () => colour('--grid'), width: 1 },
    ticks: { show: false },
  };
  const chart = new uPlot(
    {
      width: width(),
      height: HEIGHT,
      legend: { show: false },
      padding: [8, 24, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'time' }, points: { size: 6 } },
      scales: {
        x: { time: true, range: () => [ends[0], ends[1]] },
        y: powers
          ? {
              distr: 3,
              range: (_, low, high) => [power(Math.floor, low ?? 0.1), power(Math.ceil, high ?? 1)],
            }
          : { range: (_, __, high) => [0, most ?? Math.max(least, (high ?? 0) * 1.08)] },
      },
      axes: [
        {
          ...axis,
          space: 60,
          size: 26,
          gap: 6,
          values: (_, times) => timesOf(times),
        },
        {
          ...axis,
          space: 34,
          size: AXIS,
          gap: 6,
          ...(powers && { splits: (_, __, low, high) => powersFrom(low, high) }),
          values: (_, values) => values.map((value) => (value === null ? '' : plain(format(value)))),
        },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          stroke: () => colour(line.colour),
          width: widthOf(line, stacked),
          points: { show: false },
          ...(stacked && { fill: () => colour(`${line.colour}-area`) }),
        })),
      ],
      // Each area ends at the one below it.
      bands: stacked ? lines.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [],
      hooks: { setCursor: [() => showLegend()] },
    },
    /** @type {uPlot.AlignedData} */ (columns),
    plot,
  );
  new ResizeObserver(() => chart.setSize({ width: width(), height: HEIGHT })).observe(plot);

  /** The numbers under the pointer, or the last ones. */
  function showLegend() {
    const at = chart.cursor.idx;
    const row = at ?? columns[0].length - 1;
    const values = columns.slice(1).map((column) => column[row] ?? null);
    legend.show(
      values.map((value) => (value === null ? '–' : format(value))),
      at === null || at === undefined ? '' : clock(columns[0][at]),
      columns.slice(1).map((column) => column.some((value) => value !== 0 && value !== null)),
    );
  }

  return {
    show(next, from, to) {
      columns = next;
      ends = [from, to];
      chart.setData(/** @type {uPlot.AlignedData} */ (stacked ? stack(columns) : columns));
      showLegend();
    },
    redraw: () => chart.redraw(false),
  };
}

/**
 * @param {HTMLElement} root
 * @param {readonly Line[]} lines
 */
function createLegend(root, lines) {
  const time = el('span', { class: 'time' });
  const values = lines.map(() => el('b', { class: 'number' }));
  // The topmost first, as the eye finds them in the chart.
  const entries = lines.map((line, i) =>
    el('span', {}, el('i', { class: `swatch ${line.colour.slice(2)}` }), line.label, ' ', values[i]),
  );
  root.append(...entries.toReversed(), time);
  return {
    /**
     * @param {string[]} texts
     * @param {string} at
     * @param {boolean[]} occurs which lines are not zero all the time
     */
    show(texts, at, occurs) {
      texts.forEach((text, i) => void setText(values[i], text));
      lines.forEach((line, i) => {
        entries[i].hidden = line.rare === true && !occurs[i];
      });
      setText(time, at);
    },
  };
}

/**
 * @param {[number[], ...(number | null)[][]]} columns
 * @returns {(number | null)[][]}
 */
function stack([times, ...columns]) {
  const sums = new Array(times.length).fill(0);
  return [
    times,
    ...columns.map((column) =>
      column.map((value, i) => {
        if (value === null) return null;
        sums[i] += value;
        return sums[i];
      }),
    ),
  ];
}

/**
 * The edge of an area that is mostly empty would hide the one below.
 * @param {Line} line
 * @param {boolean} stacked
 */
function widthOf({ rare }, stacked) {
  if (!stacked) return 1.75;
  return rare ? 0 : 1;
}

/**
 * The power of ten next to a value.
 * @param {(exponent: number) => number} round
 * @param {number} value
 */
function power(round, value) {
  return 10 ** round(Math.log10(Math.max(value, 0.001)));
}

/**
 * 50k for 50.0k, as an axis has round numbers.
 * @param {string} text
 */
function plain(text) {
  return text.replace(/\.0+(?!\d)/, '');
}

/**
 * With seconds where they are less than a minute apart.
 * @param {number[]} times epoch seconds
 */
function timesOf(times) {
  const length = times[1] - times[0] < 60 ? 'HH:MM:SS'.length : 'HH:MM'.length;
  return times.map((time) => clock(time).slice(0, length));
}

/**
 * @param {number} low a power of ten, as high is
 * @param {number} high
 */
function powersFrom(low, high) {
  const first = Math.round(Math.log10(low));
  return Array.from({ length: Math.round(Math.log10(high)) - first + 1 }, (_, i) => 10 ** (first + i));
}
