// Results for people: what the trace is, a table with a line for each setting, and the recommendation.

import { OPTIONS } from '../config/schema.ts';
import type { Result, Results } from './results.ts';
import { TUNABLES, type Tunable } from './settings.ts';
import type { TraceInfo } from './trace.ts';

const FORMAT_NAMES = { monitor: 'MONITOR', twitter: 'Twitter cache trace', heatsink: 'heatsink record' };

export interface ReportOptions {
  readonly name: string;
  readonly info: TraceInfo;
  readonly late: number;
  /** Bytes that replies of unknown size were taken for; null where all were known. */
  readonly assumed: number | null;
}

/** The lines of the report. */
export function report(results: Results, options: ReportOptions): string[] {
  return [...aboutTrace(results, options), '', ...table(results), '', ...advice(results)];
}

function aboutTrace(results: Results, { name, info, late, assumed }: ReportOptions): string[] {
  const { requests, reads, keepable_reads, writes, seconds, nodes, hottest_shard } = results;
  const share = (part: number) => percent(part / requests);
  const lines = [
    `${name} (${FORMAT_NAMES[info.format]}): ${count(requests)} requests about keys in ${seconds.toFixed(1)} s`,
    `  ${share(reads)} reads, ${share(keepable_reads)} of a kind that the tier keeps; ${share(writes)} writes`,
  ];
  if (info.unrelated > 0) lines.push(`  ${countOf(info.unrelated, 'line is', 'lines are')} not about keys`);
  if (info.malformed > 0) {
    const many = countOf(info.malformed, 'line is', 'lines are');
    lines.push(`  ${many} malformed and left out, the first at ${info.firstMalformed}`);
  }
  if (late > 0)
    lines.push(`  ${count(late)} requests stand behind later ones, and are taken to come with them`);
  if (assumed !== null)
    lines.push(`  replies of unknown size are taken for ${size(assumed)} each (--value-bytes)`);
  const masters = nodes === 1 ? '1 master gets' : `the hottest of ${nodes} masters gets`;
  const { mean, peak } = hottest_shard;
  lines.push(`  ${masters} ${count(mean)} requests/s, ${count(peak)} in its busiest second`);
  return lines;
}

type Column = readonly [heading: string, text: (result: Result) => string];

function table({ results, recommended }: Results): string[] {
  const [first] = results;
  const written = TUNABLES.filter((name) => first.setting[name] !== undefined);
  const differ = (name: Tunable) => results.some(({ setting }) => setting[name] !== first.setting[name]);
  const same = written.filter((name) => !differ(name));
  const columns: Column[] = [
    ['', ({ setting }) => (setting === recommended?.setting ? '*' : '')],
    ...written.filter(differ).map((name): Column => [shortName(name), ({ setting }) => setting[name] ?? '']),
    ['hit ratio', ({ hit_ratio }) => percent(hit_ratio)],
    ['shard/s', ({ hottest_shard }) => count(hottest_shard.mean)],
    ['spared', ({ spared }) => percent(spared.mean)],
    ['peak/s', ({ hottest_shard }) => count(hottest_shard.peak)],
    ['spared', ({ spared }) => percent(spared.peak)],
    ['memory', ({ memory_bytes }) => size(memory_bytes)],
    ['hot keys', ({ hot_keys }) => count(hot_keys)],
    ['fills', ({ fills }) => count(fills)],
    ['invalidated', ({ invalidated }) => count(invalidated)],
  ];
  const cells = [
    columns.map(([heading]) => heading),
    ...results.map((r) => columns.map(([, text]) => text(r))),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  const lines = cells.map((row) => row.map((cell, i) => cell.padStart(widths[i])).join('  '));
  const all = same.map((name) => `${name} ${first.setting[name]}`).join(', ');
  return same.length > 0 ? [`In all settings: ${all}`, ...lines] : lines;
}

function shortName(name: Tunable): string {
  return name.slice(name.indexOf('.') + 1);
}

function advice({ recommended, hottest_shard }: Results): string[] {
  if (recommended === null) {
    const { peak } = hottest_shard;
    return [
      `No setting is recommended: none spares the hottest shard, with its ${count(peak)} requests in its busiest second, a hundredth of them`,
    ];
  }
  const { setting, reason } = recommended;
  const chosen = TUNABLES.filter((name) => setting[name] !== undefined);
  return [
    `Recommended (*): ${chosen.map((name) => `${name} ${setting[name]}`).join(', ')}`,
    `  ${reason}`,
    `  heatsink ${chosen.map((name) => `--${OPTIONS[name].flag} ${setting[name]}`).join(' ')}`,
  ];
}

function countOf(number: number, one: string, many: string): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : '-';
}

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1).replace(/\.0$/, '')} ${['B', 'KiB', 'MiB', 'GiB'][power]}`;
}
