// One screen as lines of text: a pure function of what is looked at and of the room that there is.

import { styleText } from 'node:util';
import type { HotKey, NodeState, State } from '../admin/page/state.d.ts';
import { doneAbout, type Rank, shownKeys, type View } from './view.ts';
import { age, bytes, cell, keyText, milliseconds, percent, short } from './words.ts';

export interface Room {
  readonly columns: number;
  /** Infinity where nobody scrolls. */
  readonly rows: number;
  readonly colour: boolean;
}

const BARS = '▁▂▃▄▅▆▇█';
const KEYS = 'q quit  p pause  f filter  s sort  ↑↓ choose  P pin  B ban';
const OUTCOMES = [
  ['tier_hit', 'tier'],
  ['coalesced', 'shared'],
  ['forwarded', 'forwarded'],
  ['local', 'local'],
  ['stale_on_error', 'stale'],
  ['refused', 'refused'],
  ['shed', 'shed'],
  ['error', 'errors'],
] as const;
/** Columns of the table behind the key: heading, width, what stands there. */
const COLUMNS: readonly [Rank | 'done', string, number, (key: HotKey) => string][] = [
  ['rate', 'reads/s', 9, (key) => short(key.reads_per_second)],
  ['share', 'traffic', 8, (key) => percent(key.share)],
  ['shard', 'shard', 8, (key) => percent(key.node_share)],
  ['hits', 'hits', 8, (key) => short(key.hits)],
  ['bytes', 'bytes', 9, (key) => (key.bytes === 0 ? '-' : bytes(key.bytes))],
  ['age', 'age', 6, (key) => (key.hot_since === null ? '-' : age(Date.now() - Date.parse(key.hot_since)))],
];
const DONE_WIDTH = 16;
const LEAST_KEY = 12;

type Style = Parameters<typeof styleText>[0];

export function drawScreen(view: View, admin: URL, room: Room): string[] {
  const paint = (style: Style, text: string) =>
    room.colour ? styleText(style, text, { validateStream: false }) : text;
  const { state } = view;
  const head = headLines(view, admin, room, paint);
  if (state === null) return head;
  const nodes = state.nodes.map((node) => nodeLine(node, state, room, paint));
  const fixed = [...head, ...requestLines(view, state, room, paint), '', ...nodes, ''];
  const foot = footLine(view, room, paint);
  return [...fixed, ...keyLines(view, room, Math.max(3, room.rows - fixed.length - 1), paint), ...foot];
}

type Paint = (style: Style, text: string) => string;

function headLines({ state, lost, paused }: View, admin: URL, { columns }: Room, paint: Paint): string[] {
  if (state === null)
    return [cell(lost === null ? `waiting for ${admin.host}` : `${admin.host}: ${lost}`, columns)];
  const { version, mode, workers, clients, started, ready, reasons } = state;
  const words = [
    `heatsink ${version} at ${admin.host}`,
    ...(paused ? ['paused'] : []),
    ...(mode === 'observe' ? ['only observing'] : []),
    `up ${age(Date.now() - Date.parse(started))}`,
    `${workers} worker${workers === 1 ? '' : 's'}`,
    `${short(clients)} client${clients === 1 ? '' : 's'}`,
  ];
  const trouble = lost !== null ? `lost: ${lost}` : ready ? '' : `not ready: ${reasons.join('; ')}`;
  const first = paint('bold', cell(words.join('  ·  '), columns));
  const notes = trouble === '' ? reasons.join('; ') : trouble;
  return notes === '' ? [first] : [first, paint(trouble === '' ? 'yellow' : 'red', cell(notes, columns))];
}

function requestLines(view: View, state: State, { columns }: Room, paint: Paint): string[] {
  const { requests, hit_ratio: ratio, latency_ms: latency, tier } = state;
  const parts = OUTCOMES.filter(([name], i) => i < 3 || requests[name] > 0);
  const outcomes = parts.map(([name, word]) => `${word} ${short(requests[name])}`).join('  ');
  const times =
    latency === null
      ? 'no round trips'
      : `upstream p50 ${milliseconds(latency.p50)}  p99 ${milliseconds(latency.p99)}  p99.9 ${milliseconds(latency.p999)}`;
  const room = `tier ${bytes(tier.bytes)} of ${bytes(tier.max_bytes)}  ${short(tier.entries)} entries  ${tier.hot_keys} hot keys`;
  const total = `${short(requests.total)} requests/s  `;
  const line = sparkline(view.past, Math.max(0, columns - total.length));
  return [
    total + paint('cyan', line),
    cell(`${state.mode === 'observe' ? 'would hit' : 'hit ratio'} ${percent(ratio)}  ${outcomes}`, columns),
    cell(`${times}  ·  ${room}`, columns),
  ];
}

function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width);
  const most = Math.max(1, ...shown);
  return shown.map((value) => BARS[Math.min(7, Math.floor((value / most) * 7.99))]).join('');
}

/** What the node gets, and what it would get without heatsink, as one bar. */
function nodeLine(node: NodeState, { nodes, mode }: State, { columns }: Room, paint: Paint): string {
  const observes = mode === 'observe';
  const total = ({ requests, saved }: NodeState) => requests + (observes ? 0 : saved);
  const most = Math.max(1, ...nodes.map(total));
  const name = cell(node.address, Math.min(24, Math.max(...nodes.map(({ address }) => address.length))));
  const without = total(node);
  const left = without - node.saved;
  const words = `${short(left)}/s${observes ? ' with it' : ''}, ${short(without)} without${healthOf(node)}`;
  const width = Math.max(0, Math.min(60, columns - name.length - words.length - 3));
  const cells = (value: number) => Math.round((value / most) * width);
  const all = cells(without);
  const own = Math.min(all, cells(left));
  const bar = paint('red', '█'.repeat(own)) + paint('green', '░'.repeat(all - own));
  return `${name} ${bar}${' '.repeat(width - all)} ${cell(words, Math.max(0, columns - name.length - width - 2))}`;
}

function healthOf({ connected, circuit_open: open, tracking }: NodeState): string {
  if (open) return ', out of reach';
  if (!connected) return ', not connected';
  return tracking === 'on' || tracking === 'off' ? '' : `, tracking ${tracking}`;
}

function keyLines(view: View, { columns, rows }: Room, lines: number, paint: Paint): string[] {
  const keys = shownKeys(view);
  // What does not fit is left out from the right.
  let left = columns - LEAST_KEY - DONE_WIDTH - 1;
  const shown = COLUMNS.filter(([, , width]) => {
    left -= width;
    return left >= 0;
  });
  const keyWidth = columns - DONE_WIDTH - 1 - shown.reduce((sum, [, , width]) => sum + width, 0);
  const title = `${keys.length} ${view.filter === '' ? 'keys' : `keys like ${view.filter}`}`;
  const heading = shown.map(([rank, word, width]) =>
    cell(rank === view.rank ? `${word}▼` : word, width, 'right'),
  );
  const room = Math.min(keys.length, lines - 1);
  view.chosen = Math.max(0, Math.min(view.chosen, keys.length - 1));
  const from = Math.max(0, Math.min(view.chosen - Math.floor(room / 2), keys.length - room));
  const table = keys.slice(from, from + room).map((key, i) => {
    const cells = shown.map(([, , width, value]) => cell(value(key), width, 'right')).join('');
    const line = `${cell(keyText(key), keyWidth)}${cells} ${cell(doneAbout(key), DONE_WIDTH)}`;
    return from + i === view.chosen && Number.isFinite(rows) ? paint('inverse', line) : line;
  });
  const nothing = cell(
    view.filter === '' ? 'No key is read often enough to be counted.' : 'No key passes the filter.',
    columns,
  );
  return [
    paint('underline', `${cell(title, keyWidth)}${heading.join('')} ${cell('what is done', DONE_WIDTH)}`),
    ...(table.length > 0 ? table : [nothing]),
    ...new Array(Number.isFinite(rows) ? Math.max(0, lines - 1 - Math.max(1, table.length)) : 0).fill(''),
  ];
}

function footLine(view: View, { columns, rows }: Room, paint: Paint): string[] {
  if (!Number.isFinite(rows)) return [];
  const { prompt, said } = view;
  if (prompt?.kind === 'filter')
    return [cell(`filter: ${prompt.text}█  Enter: keep  Esc: all keys`, columns)];
  if (prompt?.kind === 'confirm')
    return [paint('yellow', cell(`${prompt.way} ${keyText(prompt.key)}? y or n`, columns))];
  return [said === '' ? paint('dim', cell(KEYS, columns)) : cell(said, columns)];
}
