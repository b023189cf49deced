// What is shipped beside the program: it names only what the program has, and the alerts fire when they should.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { METRICS } from '../src/admin/metrics.ts';
import { loadConfig } from '../src/config/load.ts';
import { createStatus } from '../src/drain/status.ts';

interface Alert {
  alert: string;
  expr: string;
  annotations: Record<string, string>;
}

const path = (name: string) => fileURLToPath(new URL(`../deploy/${name}`, import.meta.url));
const read = (name: string) => readFileSync(path(name), 'utf8');

const HISTOGRAM_PARTS = ['_bucket', '_sum', '_count'];
const known = new Set(
  METRICS.flatMap(({ name, type }) =>
    type === 'histogram' ? HISTOGRAM_PARTS.map((part) => name + part) : [name],
  ),
);
for (const name of await drainMetrics()) known.add(name);
const metricsIn = (text: string) => [...new Set(text.match(/\bheatsink_[a-z_]+/g))];

/** What a drain serves, of which the names are nowhere else. */
async function drainMetrics(): Promise<string[]> {
  const status = createStatus();
  const served = await status.listen({ host: '127.0.0.1', port: 0 });
  const page = await (await fetch(`http://${served.address}/metrics`)).text();
  served.close();
  return Array.from(page.matchAll(/^# TYPE (heatsink_\w+)/gm), ([, name]) => name);
}

describe('the alerts', () => {
  const { groups } = parse(read('prometheus/alerts.yaml')) as { groups: { rules: Alert[] }[] };
  const alerts = groups.flatMap(({ rules }) => rules);

  it('say what happens, what to do, and where the runbook has more', () => {
    for (const { alert, annotations } of alerts) {
      expect(annotations).toEqual({
        summary: expect.any(String),
        action: expect.any(String),
        runbook: `docs/operations.md#${alert.toLowerCase()}`,
      });
    }
  });

  it('are about metrics that there are', () => {
    expect(alerts.length).toBeGreaterThan(10);
    expect(alerts.flatMap(({ expr }) => metricsIn(expr)).filter((name) => !known.has(name))).toEqual([]);
  });

  it('pass promtool, and each of them fires in its unit test and is silent while all is well', () => {
    const folder = path('prometheus');
    execFileSync('promtool', ['check', 'rules', 'alerts.yaml'], { cwd: folder, stdio: 'pipe' });
    execFileSync('promtool', ['test', 'rules', 'alerts.test.yaml'], { cwd: folder, stdio: 'pipe' });
    const { tests } = parse(read('prometheus/alerts.test.yaml'));
    const checks: { alertname: string; exp_alerts?: unknown[] }[] = tests.flatMap(
      ({ alert_rule_test }: { alert_rule_test: unknown[] }) => alert_rule_test,
    );
    const names = (fires: boolean) =>
      new Set(
        checks
          .filter(({ exp_alerts }) => (exp_alerts !== undefined) === fires)
          .map((check) => check.alertname),
      );
    const all = new Set(alerts.map(({ alert }) => alert));
    expect(names(true)).toEqual(all);
    expect(names(false)).toEqual(all);
  });
});

describe('the Grafana dashboard', () => {
  interface Panel {
    type: string;
    title: string;
    gridPos: { x: number; y: number; w: number; h: number };
    targets?: { expr: string }[];
  }
  const panels: Panel[] = JSON.parse(read('grafana/heatsink.json')).panels;

  it('is about metrics that there are', () => {
    const names = panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsIn(expr)));
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
  });

  it('asks what Prometheus understands', () => {
    const exprs = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const rules = exprs.map((expr, i) => ({
      record: `panel:${i}`,
      expr: expr.replaceAll('$__rate_interval', '1m'),
    }));
    const folder = mkdtempSync(join(tmpdir(), 'heatsink-grafana-'));
    writeFileSync(join(folder, 'rules.yaml'), JSON.stringify({ groups: [{ name: 'panels', rules }] }));
    execFileSync('promtool', ['check', 'rules', 'rules.yaml'], { cwd: folder, stdio: 'pipe' });
    rmSync(folder, { recursive: true });
  });

  it('has no panel on top of another', () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
  });
});

describe('the Kubernetes manifests', () => {
  const files = readdirSync(path('kubernetes'));
  const documents = files.flatMap((file) =>
    parseAllDocuments(read(`kubernetes/${file}`)).map((document) => ({ file, object: document.toJS() })),
  );

  it('give heatsink a configuration that it takes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'heatsink-kubernetes-'));
    const maps = documents.filter(({ object }) => object.kind === 'ConfigMap');
    expect(maps).toHaveLength(files.length);
    for (const { object } of maps) {
      const file = join(folder, 'heatsink.yaml');
      writeFileSync(file, object.data['heatsink.yaml']);
      const { listen, admin } = loadConfig({ flags: {}, env: {}, file });
      expect([listen.port, admin?.port]).toEqual([6380, 9380]);
      expect(admin?.host).toBe('0.0.0.0');
    }
    rmSync(folder, { recursive: true });
  });

  it('give it more time to stop than it takes', () => {
    const { object } = documents.find((found) => found.object.kind === 'Deployment') ?? { object: null };
    const map = documents.find(({ object: { kind } }) => kind === 'ConfigMap')?.object;
    const { shutdownDelay, shutdownTimeout } = parse(map.data['heatsink.yaml']);
    expect(object.spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(
      (shutdownDelay + shutdownTimeout) / 1000,
    );
  });
});
