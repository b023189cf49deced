// Reads the Prometheus text format, as far as tests and benchmarks look things up in it.

type Labels = Readonly<Record<string, string>>;

export interface Metrics {
  /**
   * Sum of all samples of that name that carry these labels; 0 where the metric has no such sample yet.
   * Throws for a name that the page does not have at all.
   */
  sum(name: string, labels?: Labels): number;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function parseMetrics(text: string): Metrics {
  const declared = new Set<string>();
  const samples: { name: string; labels: Labels; value: number }[] = [];
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+)/.exec(line);
    if (type) declared.add(type[1]);
    const sample = SAMPLE.exec(line);
    if (sample) {
      const labels = Object.fromEntries([...(sample[2] ?? '').matchAll(LABEL)].map((m) => [m[1], m[2]]));
      samples.push({ name: sample[1], labels, value: Number(sample[3]) });
    }
  }
  return {
    sum(name, wanted = {}) {
      const named = samples.filter((sample) => sample.name === name);
      if (named.length === 0 && !declared.has(name)) throw new Error(`/metrics has no ${name}`);
      const matches = (labels: Labels) =>
        Object.entries(wanted).every(([key, value]) => labels[key] === value);
      return named.filter(({ labels }) => matches(labels)).reduce((sum, { value }) => sum + value, 0);
    },
  };
}
