// HOTKEYS START as Redis 8.6 has it: what is to be measured, and Redis's words for what is wrong.
// https://redis.io/docs/latest/commands/hotkeys-start/

import { errorReply } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentIs, argumentText } from './argument.ts';
import { parseInteger } from './client-state.ts';

/** What is measured of keys. */
export interface Measuring {
  /** Time and bytes. */
  readonly cpu: boolean;
  readonly net: boolean;
  /** How many keys are told of each. */
  readonly count: number;
  /** Milliseconds after which it ends; 0: never by itself. */
  readonly duration: number;
  /** One of so many requests is looked at. */
  readonly sample: number;
  /** First and last of each range, in order; null for all. */
  readonly slots: readonly (readonly [number, number])[] | null;
}

const METRICS = 2;
const SLOTS = 16384;
const MOST_KEYS = 64;
const LONGEST = 1_000_000;
const INT_MAX = 2 ** 31 - 1;

/** What the request asks for, or the error that it gets. `cluster`: whether there are slots to choose from. */
export function parseHotkeysStart(frame: RequestFrame, cluster: boolean): Measuring | Buffer {
  try {
    return parse(frame, cluster);
  } catch (error) {
    if (error instanceof Wrong) return errorReply(`ERR ${error.message}`);
    throw error;
  }
}

class Wrong extends Error {}

function parse(frame: RequestFrame, cluster: boolean): Measuring {
  const { argc } = frame;
  if (argc < 4 || !argumentIs(frame, 2, 'metrics')) throw new Wrong('METRICS parameter is required');
  const many = `METRICS count must be > 0 and <= ${METRICS}`;
  const metrics = numberAt(frame, 3, 1, METRICS, many);
  const named = { cpu: false, net: false };
  let at = 4;
  for (; at < argc && at < 4 + metrics; at++) {
    // Other words are for servers to come.
    const name = (['cpu', 'net'] as const).find((word) => argumentIs(frame, at, word));
    if (name === undefined) continue;
    if (named[name]) throw new Wrong(`METRICS ${name.toUpperCase()} defined more than once!`);
    named[name] = true;
  }
  if (at < 4 + metrics) throw new Wrong('METRICS count does not match number of metric types provided');
  if (!named.cpu && !named.net) throw new Wrong('METRICS no valid metrics passed. Supported: CPU|NET');

  let count = 10;
  let duration = 0;
  let sample = 1;
  let slots: Measuring['slots'] = null;
  while (at < argc) {
    const option = ['count', 'duration', 'sample', 'slots'].find((word) => argumentIs(frame, at, word));
    if (option === undefined || at + 1 >= argc) throw new Wrong('syntax error');
    if (option === 'count') {
      count = numberAt(frame, at + 1, 1, MOST_KEYS, `COUNT must be between 1 and ${MOST_KEYS}`);
    } else if (option === 'duration') {
      duration = numberAt(frame, at + 1, 1, LONGEST, `DURATION must be between 1 and ${LONGEST}`) * 1000;
    } else if (option === 'sample') {
      sample = numberAt(frame, at + 1, 1, INT_MAX, 'SAMPLE ratio must be positive');
    } else {
      if (!cluster) throw new Wrong('SLOTS parameter cannot be used in non-cluster mode');
      if (slots !== null) throw new Wrong('SLOTS parameter already specified');
      const named = slotsAt(frame, at + 1);
      slots = rangesOf(named);
      at += named.length;
    }
    at += 2;
  }
  return { ...named, count, duration, sample, slots };
}

function slotsAt(frame: RequestFrame, at: number): number[] {
  const count = numberAt(frame, at, 1, SLOTS, `SLOTS count must be between 1 and ${SLOTS}`);
  if (at + count >= frame.argc) throw new Wrong('not enough slot numbers provided');
  const slots = Array.from({ length: count }, (_, i) =>
    numberAt(frame, at + 1 + i, 0, SLOTS - 1, 'Invalid or out of range slot'),
  );
  if (new Set(slots).size < count) throw new Wrong('duplicate slot number');
  return slots;
}

function rangesOf(slots: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const slot of [...slots].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}

function numberAt(frame: RequestFrame, at: number, least: number, most: number, words: string): number {
  const value = parseInteger(argumentText(frame, at));
  if (value === null || value < least || value > most) throw new Wrong(words);
  return Number(value);
}
