// The project's pages as data: headings, links, and fenced blocks with the remarks that stand before them.
//
// Remarks are HTML comments on lines of their own right before a block:
//   <!-- not run: REASON -->    the block cannot be run where tests run
//   <!-- file: NAME -->         the block is what the file NAME holds for the commands after it
//   <!-- first: COMMAND -->     runs before the block, so that there is something to see

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Block {
  readonly line: number;
  /** After the opening fence; '' for drawings and the like. */
  readonly language: string;
  readonly lines: readonly string[];
  readonly notRun: string | null;
  readonly file: string | null;
  readonly first: string | null;
}

export interface Section {
  readonly heading: string;
  readonly blocks: Block[];
}

export interface Page {
  /** Relative to the root. */
  readonly name: string;
  readonly sections: Section[];
  readonly anchors: ReadonlySet<string>;
  /** Targets of links and images as they are written. */
  readonly links: readonly { readonly line: number; readonly target: string }[];
}

/** README.md and the pages beside it and in docs/. */
export function pageNames(): string[] {
  const of = (folder: string) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name));
  return [...of('.'), ...of('docs'), ...of('docs/decisions')].filter((name) => name !== 'CHANGELOG.md');
}

export function readPage(name: string): Page {
  const lines = readFileSync(join(ROOT, name), 'utf8').split('\n');
  const sections: Section[] = [{ heading: '', blocks: [] }];
  const anchors = new Set<string>();
  const links: { line: number; target: string }[] = [];
  let remarks = new Map<string, string>();
  for (let i = 0; i < lines.length; i++) {
    const [, language] = /^```(\S*)/.exec(lines[i]) ?? [];
    const [, heading] = /^#+ (.*)/.exec(lines[i]) ?? [];
    const [, key, value] = /^<!-- (not run|file|first): (.*) -->$/.exec(lines[i]) ?? [];
    if (language !== undefined) {
      const end = lines.indexOf('```', i + 1);
      const said = (remark: string) => remarks.get(remark) ?? null;
      sections.at(-1)?.blocks.push({
        line: i + 1,
        language,
        lines: lines.slice(i + 1, end),
        notRun: said('not run'),
        file: said('file'),
        first: said('first'),
      });
      i = end;
    } else if (heading !== undefined) {
      sections.push({ heading, blocks: [] });
      anchors.add(anchorOf(heading, anchors));
    } else {
      for (const [, target] of lines[i].matchAll(/\]\(([^)\s]+)\)/g)) links.push({ line: i + 1, target });
    }
    if (key !== undefined) remarks.set(key, value);
    else if (lines[i] !== '') remarks = new Map();
  }
  return { name, sections, anchors, links };
}

/** As repository hosts make them: lower case, no punctuation, `-` for a space, a number from the second one on. */
function anchorOf(heading: string, taken: ReadonlySet<string>): string {
  const anchor = heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
  for (let i = 0; ; i++) {
    const name = i === 0 ? anchor : `${anchor}-${i}`;
    if (!taken.has(name)) return name;
  }
}
