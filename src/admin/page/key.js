// Keys are any bytes. On the page they are text that shows each byte which is no harmless character as an escape.

/** @typedef {import('./state.d.ts').Key} Key */

/** Controls, and characters that change the direction of what surrounds them or show nothing. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu;
/** Longest text of a key on the page; the tooltip and the dialog have more. */
const SHORT = 160;
const LONG = 2000;

/**
 * What tells one key from all others.
 * @param {Key} key
 */
export function idOf({ key, encoding }) {
  return `${encoding ?? 'utf8'}:${key}`;
}

/**
 * @param {Key} key
 * @returns {Uint8Array}
 */
export function bytesOf({ key, encoding }) {
  if (encoding !== 'base64') return new TextEncoder().encode(key);
  return Uint8Array.from(atob(key), (character) => character.charCodeAt(0));
}

/**
 * For a cell, at most 160 characters.
 * @param {Key} key
 */
export function shortName(key) {
  return cut(nameOf(key), SHORT);
}

/**
 * For a dialog or a tooltip, at most 2000 characters.
 * @param {Key} key
 */
export function longName(key) {
  return cut(nameOf(key), LONG);
}

/** @param {Key} key */
function nameOf(key) {
  if (key.key === '') return '""';
  if (key.encoding === 'base64') return Array.from(bytesOf(key).subarray(0, LONG), escapeByte).join('');
  return key.key.slice(0, LONG).replace(INVISIBLE, escapeCharacter);
}

/** @param {number} byte */
function escapeByte(byte) {
  if (byte >= 0x20 && byte < 0x7f && byte !== 0x5c) return String.fromCharCode(byte);
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** @param {string} character */
function escapeCharacter(character) {
  const point = character.codePointAt(0) ?? 0;
  return point < 0x100 ? escapeByte(point) : `\\u{${point.toString(16)}}`;
}

/**
 * @param {string} text
 * @param {number} most
 */
function cut(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
