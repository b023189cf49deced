// Reads a YAML configuration file into option values that remember their line and column.

import { readFileSync } from 'node:fs';
import {
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import type { Given } from './given.ts';
import { OPTION_ENTRIES, type OptionPath } from './schema.ts';
import { didYouMean } from './suggest.ts';

export interface FileValues {
  readonly given: Given[];
  /** One line for each key or piece of syntax that is wrong; wrong values are found later. */
  readonly problems: string[];
}

const PATHS = OPTION_ENTRIES.map(([path]) => path);
const GROUPS = PATHS.filter((path) => path.includes('.')).map((path) => path.split('.')[0]);
const KEYS = [...PATHS, ...new Set(GROUPS)];
const PATH_OF_FLAG = new Map(OPTION_ENTRIES.map(([path, { flag }]) => [flag, path]));

/** Reads the file. An empty value (`upstream:`) counts as not given. Throws what `readFileSync` throws. */
export function readYamlFile(file: string): FileValues {
  const lines = new LineCounter();
  const document = parseDocument(readFileSync(file, 'utf8'), { lineCounter: lines, prettyErrors: false });
  const where = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    return {
      given: [],
      problems: document.errors.map((error) => `${where(error.pos[0])}: ${error.message}`),
    };
  }

  const found: FileValues = { given: [], problems: [] };
  const start = (node: unknown) => where(isNode(node) ? (node.range?.[0] ?? 0) : 0);

  const readPair = ({ key, value }: Pair, prefix: string): void => {
    const path = prefix + String(isScalar(key) ? key.value : key);
    const plain = isNode(value) ? value.toJS(document) : value;
    if (isOption(path)) {
      if (plain === null) return;
      const source = (part: readonly PropertyKey[]) => start(nearest(value as Node, part) ?? key);
      found.given.push({ path, raw: plain, source });
      return;
    }
    const inside = PATHS.filter((known) => known.startsWith(`${path}.`)).map((known) =>
      known.slice(path.length + 1),
    );
    if (inside.length === 0) {
      found.problems.push(`${start(key)}: unknown key "${path}"${suggestion(path)}`);
    } else if (isMap(value)) {
      readMap(value, `${path}.`);
    } else if (plain !== null) {
      found.problems.push(
        `${start(value)}: ${JSON.stringify(plain)} is not accepted for ${path}; ` +
          `accepted: a mapping with ${inside.join(', ')}`,
      );
    }
  };
  const readMap = (map: YAMLMap, prefix: string): void => {
    for (const pair of map.items) readPair(pair, prefix);
  };

  const top = document.contents;
  if (isMap(top)) readMap(top, '');
  else if (top !== null && document.toJS() !== null) {
    found.problems.push(`${start(top)}: the file must hold a mapping of options`);
  }
  return found;
}

function isOption(path: string): path is OptionPath {
  return (PATHS as readonly string[]).includes(path);
}

function suggestion(path: string): string {
  const meant = PATH_OF_FLAG.get(path);
  return meant ? ` (did you mean "${meant}"?)` : didYouMean(path, KEYS);
}

/** The node at `part` below `node`, or the deepest one on the way there. */
function nearest(node: Node, part: readonly PropertyKey[]): Node {
  let deepest = node;
  for (const key of part) {
    const next: unknown = 'get' in deepest ? (deepest as YAMLMap).get(key, true) : undefined;
    if (!isNode(next)) break;
    deepest = next;
  }
  return deepest;
}
