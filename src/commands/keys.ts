// Finds the keys among a request's arguments, by the key specs of its command.

import { hashBytes } from '../resp3/hash.ts';
import { NOT_A_NUMBER, parseLength } from '../resp3/length.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentIs } from './argument.ts';
import type { Command, KeySpec } from './command.ts';

/** Numbers of arguments that are keys: `at[0]` to `at[count - 1]`. Meant to be made once and used again. */
export class KeyPositions {
  count = 0;
  at = new Int32Array(16);

  push(index: number): void {
    if (this.count === this.at.length) {
      const more = new Int32Array(this.at.length * 2);
      more.set(this.at);
      this.at = more;
    }
    this.at[this.count++] = index;
  }
}

/**
 * Writes into `out` which arguments are keys, and returns how many. 0: there are none, or the request has not
 * the arguments that its command needs, which the server will say. -1: only COMMAND GETKEYS can tell.
 * Names of sharded channels (SPUBLISH) count as keys, as they are routed like them.
 */
export function findKeys(command: Command, frame: RequestFrame, out: KeyPositions): number {
  out.count = 0;
  const { keySpecs } = command;
  if (!fits(command, frame)) return 0;
  if (command.keysUnknown) return -1;
  for (let i = 0; i < keySpecs.length; i++) {
    if (!addKeys(keySpecs[i], frame, out)) {
      out.count = 0;
      return 0;
    }
  }
  return out.count;
}

/** Whether the request has as many arguments as its command takes. */
export function fits({ arity }: Command, { argc }: RequestFrame): boolean {
  return arity >= 0 ? argc === arity : argc >= -arity;
}

/** Adds the hash of each key, by which keys are counted and versioned, to `out`. */
export function hashKeys(frame: RequestFrame, keys: KeyPositions, out: number[]): void {
  const { view, start, args } = frame;
  for (let i = 0; i < keys.count; i++) {
    const at = keys.at[i] * 2;
    out.push(hashBytes(view, start + args[at], start + args[at + 1]));
  }
}

/** False when the arguments do not fit the spec. */
function addKeys(spec: KeySpec, frame: RequestFrame, out: KeyPositions): boolean {
  const { argc } = frame;
  let first = spec.start;
  if (spec.search === 'keyword') first = behindKeyword(spec, frame);
  else if (spec.search === 'sort_store') first = behindSortStore(frame);
  // An option that is not there has no keys.
  if (first < 0) return true;
  let count: number;
  if (spec.find === 'keynum') {
    count = numberAt(frame, first + spec.numberAt);
    if (count < 0) return false;
    first += spec.firstKey;
    if (count === 0) return true;
    if (first + (count - 1) * spec.step >= argc) return false;
  } else {
    count = countOfRange(spec, first, argc);
    if (count <= 0) return false;
  }
  for (let at = first; count > 0; count--, at += spec.step) out.push(at);
  return true;
}

function countOfRange(spec: KeySpec, first: number, argc: number): number {
  const { step } = spec;
  if (spec.last >= 0) return first + spec.last < argc ? Math.floor(spec.last / step) + 1 : 0;
  const limited = spec.last === -1 && spec.limit > 1;
  const end = limited ? first + Math.floor((argc - first) / spec.limit) : argc + spec.last + 1;
  // MSET a 1 b: the server refuses it whole, so no part of it may be sent anywhere.
  if (spec.last === -1 && (argc - first) % (limited ? spec.limit : step) !== 0) return 0;
  return Math.ceil((end - first) / step);
}

function behindKeyword(spec: KeySpec, frame: RequestFrame): number {
  const { keyword, start } = spec;
  if (start >= 0) {
    for (let i = start; i < frame.argc - 1; i++) if (argumentIs(frame, i, keyword)) return i + 1;
    return -1;
  }
  for (let i = frame.argc + start; i > 0; i--) if (argumentIs(frame, i, keyword)) return i + 1;
  return -1;
}

/** SORT key [BY x] [LIMIT a b] [GET x ...] [STORE to]: the last STORE that is not the value of another option. */
function behindSortStore(frame: RequestFrame): number {
  let found = -1;
  for (let i = 2; i < frame.argc; i++) {
    if (argumentIs(frame, i, 'limit')) i += 2;
    else if (argumentIs(frame, i, 'get') || argumentIs(frame, i, 'by')) i++;
    else if (i + 1 < frame.argc && argumentIs(frame, i, 'store')) found = i + 1;
  }
  return found;
}

/** The number in an argument, or -1 when it is none that Redis would take. */
function numberAt(frame: RequestFrame, index: number): number {
  if (index >= frame.argc) return -1;
  const { buf, start, args } = frame;
  const value = parseLength(buf, start + args[index * 2], start + args[index * 2 + 1]);
  return value === NOT_A_NUMBER ? -1 : value;
}
