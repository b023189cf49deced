// Keys out of what PostgreSQL says: templates filled from the payload of a notification, or from a row of a sweep.

import type { KeyTemplate } from '../config/key-template.ts';

/** What `{"heatsink": "sweep"}` asks for: the rows that changed cannot be named. */
export const SWEEP = 'sweep';

export interface Filled {
  readonly keys: readonly string[];
  /** Why the text does not fit a template; null if it fits all of them. */
  readonly misfit: string | null;
}

/** More keys than that of one payload, which has 8,000 bytes at the most, are a mistake. */
const MOST_KEYS = 10_000;

/** The keys of a payload, or SWEEP. Templates that it fits are filled even where another one is not. */
export function fillFromPayload(templates: readonly KeyTemplate[], payload: string): Filled | typeof SWEEP {
  const parsed = parsePayload(payload);
  const objects = (Array.isArray(parsed) ? parsed : [parsed]).map((value) =>
    isObject(value) ? { payload, ...value } : { payload },
  );
  if (objects.some((object) => 'heatsink' in object && object.heatsink === SWEEP)) return SWEEP;
  const filled = objects.map((object) => fill(templates, object));
  return {
    keys: filled.flatMap(({ keys }) => keys),
    misfit: filled.find(({ misfit }) => misfit !== null)?.misfit ?? null,
  };
}

/**
 * The keys for an object of fields. An array gives a key for each of its elements, null gives none. A template with a
 * field that is not there, or that is an object, gives none and is the misfit.
 */
export function fill(templates: readonly KeyTemplate[], fields: object): Filled {
  const keys: string[] = [];
  let misfit: string | null = null;
  for (const template of templates) {
    const result = fillOne(template, fields);
    if (typeof result === 'string') misfit ??= result;
    else keys.push(...result);
  }
  return { keys, misfit };
}

function fillOne(template: KeyTemplate, fields: object): string[] | string {
  let keys = [''];
  /** A field that stands in a template twice has the same value in both places. */
  const known = new Map<string, string[]>();
  const varied = template.filter((part) => typeof part !== 'string').map((path) => path.join('.'));
  for (const name of new Set(varied)) {
    const values = valuesAt(fields, name.split('.'));
    if (values === null) return `it has no {${name}} that is a text or a number`;
    known.set(name, values);
  }
  let choices: ReadonlyMap<string, string>[] = [new Map()];
  for (const [name, values] of known) {
    if (choices.length * values.length > MOST_KEYS) return `it names more than ${MOST_KEYS} keys`;
    choices = choices.flatMap((chosen) => values.map((value) => new Map([...chosen, [name, value]])));
  }
  keys = choices.map((chosen) =>
    template.map((part) => (typeof part === 'string' ? part : chosen.get(part.join('.')))).join(''),
  );
  return keys;
}

/** The values at that path as text, through arrays; null where there is none, or one is an object. */
function valuesAt(value: unknown, path: readonly string[]): string[] | null {
  if (value === null) return [];
  if (Array.isArray(value)) {
    const all = value.map((element) => valuesAt(element, path));
    return all.includes(null) ? null : all.flatMap((values) => values ?? []);
  }
  const [field, ...rest] = path;
  if (field === undefined) return isObject(value) || value === undefined ? null : [`${value}`];
  return isObject(value) && Object.hasOwn(value, field) ? valuesAt(value[field], rest) : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** JSON with its numbers as they are written: a bigint is more than a JavaScript number holds. Else undefined. */
function parsePayload(payload: string): unknown {
  const asWritten = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? (context?.source ?? value) : value;
  try {
    return JSON.parse(payload, asWritten);
  } catch {
    return undefined;
  }
}
