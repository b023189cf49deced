// Tables that read well in a terminal and are Markdown at the same time.

/** A Markdown table, padded; all columns but the first are aligned right unless `left` names them. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], left = [0]): string {
  const widths = header.map((name, i) => Math.max(3, name.length, ...rows.map((row) => row[i].length)));
  const pad = (text: string, i: number) =>
    left.includes(i) ? text.padEnd(widths[i]) : text.padStart(widths[i]);
  const line = (cells: readonly string[]) => `| ${cells.map(pad).join(' | ')} |`;
  const rule = widths.map((width, i) => (left.includes(i) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(header), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** Three significant digits, with separators from a thousand up. */
export function short(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A count, or a measure whose fraction says nothing, with separators. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}
