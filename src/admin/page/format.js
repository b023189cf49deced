// Numbers for people: three digits that matter, units they know, and nothing that is not known.

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const NONE = '–';

/**
 * 7, 950, 1,234, 12.3k, 4.56M
 * @param {number} value
 */
export function count(value) {
  if (value < 9999.5) return WHOLE.format(value);
  if (value < 999_500) return `${digits(value / 1000)}k`;
  if (value < 999_500_000) return `${digits(value / 1e6)}M`;
  return `${digits(value / 1e9)}G`;
}

/**
 * A rate, which may be less than one a second.
 * @param {number} value
 */
export function rate(value) {
  return value > 0 && value < 9.95 ? value.toFixed(1) : count(value);
}

/** @param {number} value */
function digits(value) {
  if (value < 9.995) return value.toFixed(2);
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

/** @param {number} value */
export function whole(value) {
  return WHOLE.format(value);
}

/**
 * A share of 0 to 1. 100 % is said of everything only, 0 % of nothing only.
 * @param {number | null} value
 */
export function percent(value) {
  if (value === null) return NONE;
  const hundredths = value * 100;
  if (hundredths <= 0) return '0 %';
  if (hundredths < 0.1) return '<0.1 %';
  if (hundredths < 100 && hundredths >= 99.95) return '>99.9 %';
  return `${hundredths < 99.95 ? hundredths.toFixed(1) : '100'} %`;
}

/** @param {number} value */
export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value.toFixed(0) : digits(value)} ${units[unit]}`;
}

/** @param {number | null | undefined} ms */
export function milliseconds(ms) {
  if (ms === null || ms === undefined) return NONE;
  if (ms === 0) return '0 ms';
  if (ms < 999.5) return `${digits(ms)} ms`;
  return `${digits(ms / 1000)} s`;
}

/**
 * 5s, 3m 20s, 2h 5m, 4d 3h
 * @param {number} ms
 */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${seconds % 60}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

/** @param {number} epochSeconds */
export function clock(epochSeconds) {
  return new Date(epochSeconds * 1000).toLocaleTimeString('en-GB');
}

/**
 * 1 client, 2 clients
 * @param {number} value
 * @param {string} one
 * @param {string} [many]
 */
export function of(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}
