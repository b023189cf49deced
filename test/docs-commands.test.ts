// What the pages say can be done can be done: commands run and print what is shown, configurations are accepted, JSON
// is JSON, links lead somewhere. CONTRIBUTING.md says how pages are written.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadConfig } from '../src/config/load.ts';
import { temporaryDir } from './support/children.ts';
import { openStage, type Stage } from './support/page-stage.ts';
import { type Block, pageNames, ROOT, readPage } from './support/pages.ts';

/** What a block may be; '' for drawings. */
const LANGUAGES = ['', 'console', 'json', 'mermaid', 'promql', 'sql', 'ts', 'yaml'];
const pages = pageNames().map(readPage);
const blocks = pages.flatMap(({ name, sections }) =>
  sections.flatMap((section) =>
    section.blocks.map((block) => ({ ...block, at: `${name}:${block.line}`, name, section })),
  ),
);
const runs = ({ language, notRun }: Block) =>
  (language === 'console' || language === 'sql') && notRun === null;
const sections = pages.flatMap(({ name, sections: all }) =>
  all
    .filter((section) => section.blocks.some(runs))
    .map(
      (section) => [name, section.heading, section.blocks.filter((block) => block.notRun === null)] as const,
    ),
);

describe('the pages', () => {
  it('are there', () => {
    expect(pages.length).toBeGreaterThan(10);
    expect(blocks.length).toBeGreaterThan(20);
  });

  it('say of each block what it is', () => {
    const others = blocks.filter(({ language }) => !LANGUAGES.includes(language));
    expect(others.map(({ at, language }) => `${at} ${language}`)).toEqual([]);
  });

  it('give a reason for each block that is not run', () => {
    const left = blocks.filter(({ notRun }) => notRun !== null);
    for (const { at, notRun } of left) console.log(`${at} is not run: ${notRun}`);
    expect(left.filter(({ notRun }) => (notRun ?? '').length < 10)).toEqual([]);
    // Most of them are run.
    expect(left.length).toBeLessThan(blocks.filter(runs).length);
  });

  it('link to what is there', () => {
    const anchors = new Map(pages.map((page) => [page.name, page.anchors]));
    const broken = pages.flatMap(({ name, links }) =>
      links
        .filter(({ target }) => !/^[a-z]+:/.test(target))
        .filter(({ target }) => {
          const [path, anchor] = target.split('#');
          const to = path === '' ? name : normalize(join(dirname(name), path)).replace(/\/$/, '');
          if (!existsSync(join(ROOT, to))) return true;
          return anchor !== undefined && !anchors.get(to)?.has(anchor);
        })
        .map(({ line, target }) => `${name}:${line} ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('are in the package where README.md, which the package shows, links to them', () => {
    const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const shipped = ['README.md', 'LICENSE', 'package.json', ...files];
    const has = (path: string) => shipped.some((name) => path === name || path.startsWith(`${name}/`));
    const paths = readPage('README.md')
      .links.filter(({ target }) => !/^([a-z]+:|#)/.test(target))
      .map(({ target }) => target.split('#')[0]);
    expect(paths.filter((path) => !has(path))).toEqual([]);
  });

  it('say of every alert what to do about it', () => {
    const { sections: said } = readPage('docs/operations.md');
    const headings = said
      .map(({ heading }) => heading)
      .filter((heading) => /^Heatsink[A-Z]\w+$/.test(heading));
    const alerts = readFileSync(join(ROOT, 'deploy/prometheus/alerts.yaml'), 'utf8');
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    expect(headings.sort()).toEqual(names.sort());
  });

  it('are all linked from README.md', () => {
    const linked = new Set(readPage('README.md').links.map(({ target }) => target.split('#')[0]));
    const unlinked = pages.map(({ name }) => name).filter((name) => !name.startsWith('docs/decisions'));
    expect(unlinked.filter((name) => name !== 'README.md' && !linked.has(name))).toEqual([]);
  });
});

describe('a snippet', () => {
  const of = (language: string) =>
    blocks.filter((block) => block.language === language).map((block) => [block.at, block] as const);
  const folder = temporaryDir('snippets');
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(of('yaml'))('of configuration is accepted: %s', (at, { lines }) => {
    // A hash may be shortened to what fits into a line.
    const text = lines
      .join('\n')
      .replace(/'#([0-9a-f]+)\.\.\.'/g, (_, begin) => `'#${begin.padEnd(64, '0')}'`);
    const documents = parseAllDocuments(text);
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
    // What is for other programs is theirs to check.
    if (/^(apiVersion|scrape_configs|services|rule_files):/m.test(text)) return;
    const file = join(folder, `${at.replaceAll(/\W/g, '-')}.yaml`);
    writeFileSync(file, text);
    loadConfig({ flags: {}, env: {}, file });
  });

  it.each(of('json'))('of JSON can be parsed: %s', (_, { lines }) => {
    JSON.parse(lines.filter((line) => line.trim() !== '...').join('\n'));
  });
});

describe('what is printed happens', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage?.close());

  it.concurrent.each(sections)(
    'in %s: %s',
    async (_, __, all) => {
      await stage.play(all);
    },
    90_000,
  );
});
