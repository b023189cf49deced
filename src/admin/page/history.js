// The last five minutes, second by second, with a gap where nothing is known.

/** @typedef {import('./state.d.ts').State} State */
/** @typedef {import('./state.d.ts').Point} Point */

/** Seconds that the charts show: the least, at the start, and the most. */
const SHORTEST = 60;
const SPAN = 300;
/** Seconds between two points from which on they are not joined. */
const GAP = 5;

export function createHistory() {
  /** @type {Point[]} */
  let points = [];

  return {
    /** @param {Point[]} past */
    replace(past) {
      points = past;
    },
    /** @param {State} state */
    add(state) {
      const point = pointOf(state);
      const last = points.at(-1);
      if (last && last.t >= point.t) points.pop();
      points.push(point);
      while (points[0].t <= point.t - SPAN) points.shift();
    },
    /**
     * Where the charts begin, in epoch seconds.
     * @param {number} now epoch seconds
     */
    start(now) {
      const first = points[0]?.t ?? now;
      return now - Math.min(SPAN, Math.max(SHORTEST, now - first));
    },
    /**
     * Times, and for each line its values; a time without values between points that are far apart.
     * @param {number} lines
     * @param {(point: Point) => (number | null)[]} pick
     * @returns {[number[], ...(number | null)[][]]}
     */
    columns(lines, pick) {
      /** @type {number[]} */
      const times = [];
      /** @type {(number | null)[][]} */
      const values = Array.from({ length: lines }, () => []);
      /** @type {(time: number, row: (number | null)[]) => void} */
      const push = (time, row) => {
        times.push(time);
        values.forEach((column, i) => void column.push(row[i]));
      };
      const nothing = values.map(() => null);
      for (const point of points) {
        const last = times.at(-1);
        if (last !== undefined && point.t - last > GAP) push((last + point.t) / 2, nothing);
        push(point.t, pick(point));
      }
      return [times, ...values];
    },
  };
}

/**
 * @param {State} state
 * @returns {Point}
 */
function pointOf(state) {
  const { requests, observed, hit_ratio, latency_ms, clients, tier, nodes } = state;
  return {
    t: Math.round(Date.parse(state.now) / 1000),
    requests,
    observed,
    hit_ratio,
    latency_ms,
    clients,
    tier_bytes: tier.bytes,
    hot_keys: tier.hot_keys,
    nodes: Object.fromEntries(nodes.map((node) => [node.address, node])),
  };
}
