// The order of the house: imports run down one list, nothing runs in circles, no file outgrows its reader.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** Top to bottom: folders of src/, and files that stand alone in it. Each may import what is below it. */
const STEPS = [
  'cli.ts',
  'healthcheck.ts',
  'reread.ts',
  'top',
  'demo',
  'drain',
  'simulate',
  'heatsink.ts',
  'invalidator',
  'workers.ts',
  'worker',
  'memory.ts',
  'log.ts',
  'config',
  'admin',
  'proxy',
  'fanout',
  'access',
  'commands',
  'hotkeys',
  'cache',
  'upstream',
  'resp3',
];
/** Anybody may import these; they import nothing of the program. */
const LEAVES = ['clock.ts', 'counters.ts', 'quota.ts'];
const MOST_LINES = 500;

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Import {
  /** Files, relative to src/. */
  readonly from: string;
  readonly to: string;
  /** Whether it vanishes when the types do: `import type`. */
  readonly typesOnly: boolean;
}

const STATEMENT =
  /^(?:import|export)\s+(type\s+)?(?:[\w$*\s{},]+\sfrom\s+)?'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm;

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, 'src', file), 'utf8');
  return Array.from(text.matchAll(STATEMENT), ([, type, named, dynamic]) => ({
    from: file,
    to: posix.join(dirname(file), named ?? dynamic),
    typesOnly: type !== undefined,
  }));
}

function filesIn(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => posix.relative(join(ROOT, folder), join(entry.parentPath, entry.name)));
}

const files = filesIn('src');
const imports = files.flatMap(importsOf);
const stepOf = (file: string) => file.split('/')[0];
const show = ({ from, to }: Import) => `${from} -> ${to}`;

describe('imports', () => {
  it('are all found, and name files that exist', () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.filter(({ to }) => !files.includes(to)).map(show)).toEqual([]);
    const written = files.map((file) =>
      readFileSync(join(ROOT, 'src', file), 'utf8').match(/'\.\.?\/[^']+\.ts'/g),
    );
    expect(imports).toHaveLength(written.flatMap((names) => names ?? []).length);
  });

  it('come from places that have their step in the order', () => {
    const known = [...STEPS, ...LEAVES];
    expect(files.filter((file) => !known.includes(stepOf(file)))).toEqual([]);
  });

  it('run down the steps, never up, types included', () => {
    const upward = imports.filter(({ from, to }) => {
      const [above, below] = [stepOf(from), stepOf(to)];
      if (above === below) return false;
      if (LEAVES.includes(above)) return true;
      return !LEAVES.includes(below) && STEPS.indexOf(below) < STEPS.indexOf(above);
    });
    expect(upward.map(show)).toEqual([]);
  });

  it('of what is shown to administrators come from those who compose alone', () => {
    const others = imports.filter(
      ({ from, to, typesOnly }) =>
        stepOf(to) === 'admin' && stepOf(from) !== 'admin' && !(typesOnly && stepOf(from) === 'top'),
    );
    expect([...new Set(others.map(({ from }) => from))].sort()).toEqual([
      'heatsink.ts',
      'invalidator/command.ts',
      'worker/own-commands.ts',
      'worker/worker.ts',
      'workers.ts',
    ]);
  });

  it('make no circle, but for types that two files of one folder share', () => {
    const edges = new Map<string, string[]>();
    for (const { from, to, typesOnly } of imports) {
      if (typesOnly && stepOf(from) === stepOf(to)) continue;
      edges.set(from, [...(edges.get(from) ?? []), to]);
    }
    expect(findCircle(edges)).toEqual([]);
  });
});

it(`no file has more than ${MOST_LINES} lines`, () => {
  const long = ['src', 'test', 'bench'].flatMap((folder) =>
    filesIn(folder)
      .map((file) => ({ file: `${folder}/${file}`, text: readFileSync(join(ROOT, folder, file), 'utf8') }))
      .filter(({ text }) => text.split('\n').length > MOST_LINES + 1)
      .map(({ file }) => file),
  );
  expect(long).toEqual([]);
});

/** The files along the first circle found; empty when there is none. */
function findCircle(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const next of edges.get(file) ?? []) {
      const circle = visit(next, [...path, file]);
      if (circle.length > 0) return circle;
    }
    done.add(file);
    return [];
  };
  for (const file of edges.keys()) {
    const circle = visit(file, []);
    if (circle.length > 0) return circle;
  }
  return [];
}
