// Numbers and keys as people read them in a terminal, and lines that are cut to its width.

import stringWidth from 'string-width';
import type { Key } from '../admin/page/state.d.ts';

const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const SEGMENTS = new Intl.Segmenter();
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** 950, 12.3K, 1.2M. */
export function short(value: number): string {
  return value < 10_000 ? WHOLE.format(value) : COMPACT.format(value);
}

/** Of 1. */
export function percent(share: number | null): string {
  if (share === null) return '-';
  const value = share * 100;
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

export function bytes(value: number): string {
  let unit = 0;
  let left = value;
  for (; left >= 1024 && unit < UNITS.length - 1; unit++) left /= 1024;
  return `${unit > 0 && left < 10 ? left.toFixed(1) : Math.round(left)} ${UNITS[unit]}`;
}

/** 4 s, 12 m, 3 h, 5 d. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} m`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

export function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(2) : Math.round(value)} ms`;
}

/** Nothing in it moves the cursor or changes a colour: a key may be any bytes. */
export function keyText({ key, encoding }: Key): string {
  const text = encoding === 'base64' ? Buffer.from(key, 'base64').toString('latin1') : key;
  const plain = encoding === 'base64' ? /[^\x20-\x7e]/g : /[\p{C}\p{Zl}\p{Zp}\\]/gu;
  return text.replace(plain, (char) => {
    if (char === '\\') return '\\\\';
    const code = char.codePointAt(0) ?? 0;
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** So many columns wide: cut with a mark, or filled up on the side that `align` does not name. */
export function cell(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  if (width <= 0) return '';
  const wide = stringWidth(text);
  if (wide <= width) {
    const space = ' '.repeat(width - wide);
    return align === 'left' ? text + space : space + text;
  }
  let cut = '';
  let room = width - 1;
  for (const { segment } of SEGMENTS.segment(text)) {
    room -= stringWidth(segment);
    if (room < 0) break;
    cut += segment;
  }
  return cell(`${cut}…`, width, align);
}
