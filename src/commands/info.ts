// INFO of a whole cluster in the shape of one server's, so that whatever reads INFO can read it: the fields of the
// first master in their order, with the counters of all masters added up. Server, Replication, Persistence and
// whatever else is about one process are the first master's. https://redis.io/docs/latest/commands/info/

type Fields = Map<string, string>;

/** Sections by their names without spaces, in the order of the text. */
type Sections = Map<string, Fields>;

/** How the values of all masters become one; the first is the first master's. */
type Fold = (values: readonly string[], name: string) => string;

/** By section, in lower case; the fields of others are the first master's. */
const FOLDS: ReadonlyMap<string, Fold> = new Map<string, Fold>([
  ['clients', sumOrMost],
  ['memory', sumOrMost],
  ['stats', sumOrMost],
  ['cpu', sumOrMost],
  ['commandstats', commandStats],
  ['errorstats', (values) => addUp(values)],
  ['latencystats', (values) => fold(values, (all) => `${Math.max(...all)}`)],
  ['keyspace', keyspace],
]);

/** Of these the highest says more than the sum. */
const MOST =
  /^(latest_fork_usec|.*_recent_max_.*|.*eviction_exceeded_time|io_threads_active|active_defrag_running|current_active_defrag_time)$/;
/** The same on all, or about the machine. */
const ALIKE = /^(total_system_memory|mem_allocator|maxmemory_policy)$/;
const NUMBER = /^-?\d+(\.\d+)?$/;

/** The text of INFO for masters that answered with these, at least one. */
export function mergeInfo(texts: readonly string[]): string {
  const [first, ...others] = texts.map(parse);
  for (const [title, fields] of first) {
    const combine = FOLDS.get(title.toLowerCase());
    if (combine === undefined) continue;
    const all = [fields, ...others.flatMap((sections) => sections.get(title) ?? [])];
    const names = new Set(all.flatMap((part) => [...part.keys()]));
    for (const name of names) {
      const values = all.flatMap((part) => part.get(name) ?? []);
      fields.set(name, combine(values, name));
    }
    if (title === 'Memory') completeMemory(fields);
  }
  return format(first);
}

/** The text with another value for a field, if it has that field. */
export function withField(text: string, name: string, value: string | number): string {
  return text.replace(new RegExp(`^${name}:.*?(?=\\r?$)`, 'm'), () => `${name}:${value}`);
}

/** The text with that much added to a field, if it has that field; never below zero. */
export function withAdded(text: string, name: string, more: number): string {
  const found = new RegExp(`^${name}:(\\d+)`, 'm').exec(text);
  return found === null ? text : withField(text, name, Math.max(0, Number(found[1]) + more));
}

function parse(text: string): Sections {
  const sections: Sections = new Map();
  let fields: Fields = new Map();
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (line.startsWith('# ')) {
      fields = new Map();
      sections.set(line.slice(2), fields);
    } else if (colon > 0) {
      fields.set(line.slice(0, colon), line.slice(colon + 1));
    }
  }
  return sections;
}

function format(sections: Sections): string {
  const blocks = Array.from(sections, ([title, fields]) =>
    [`# ${title}`, ...Array.from(fields, ([name, value]) => `${name}:${value}`), ''].join('\r\n'),
  );
  return blocks.join('\r\n');
}

function sumOrMost(values: readonly string[], name: string): string {
  if (ALIKE.test(name) || !values.every((value) => NUMBER.test(value))) return values[0];
  if (/_(perc|ratio)$/.test(name)) return values[0];
  const numbers = values.map(Number);
  if (MOST.test(name)) return `${Math.max(...numbers)}`;
  return sum(values);
}

/** With as many decimals as the first value has. */
function sum(values: readonly string[]): string {
  const decimals = values[0].split('.')[1]?.length ?? 0;
  return values.reduce((total, value) => total + Number(value), 0).toFixed(decimals);
}

/** Values such as `calls=3,usec=10`, combined name by name. */
function fold(values: readonly string[], combine: (numbers: number[], name: string) => string): string {
  const rows = values.map(
    (value) => new Map(value.split(',').map((pair) => pair.split('=') as [string, string])),
  );
  const names = new Set(rows.flatMap((row) => [...row.keys()]));
  const numbersOf = (name: string) => rows.map((row) => Number(row.get(name) ?? 0));
  return Array.from(names, (name) => `${name}=${combine(numbersOf(name), name)}`).join(',');
}

function addUp(values: readonly string[]): string {
  return fold(values, (numbers) => `${numbers.reduce((total, number) => total + number, 0)}`);
}

/** The mean time is that of all calls. */
function commandStats(values: readonly string[]): string {
  const summed = addUp(values);
  const [, calls, usec] = /calls=(\d+),usec=(\d+)/.exec(summed) ?? [];
  const mean = Number(calls) === 0 ? 0 : Number(usec) / Number(calls);
  return summed.replace(/usec_per_call=[\d.]+/, `usec_per_call=${mean.toFixed(2)}`);
}

/** The mean time to live is that of all keys that have one. */
function keyspace(values: readonly string[]): string {
  const numberOf = (value: string, name: string) =>
    Number(new RegExp(`${name}=(\\d+)`).exec(value)?.[1] ?? 0);
  const expires = values.reduce((total, value) => total + numberOf(value, 'expires'), 0);
  const ttls = values.reduce(
    (total, value) => total + numberOf(value, 'expires') * numberOf(value, 'avg_ttl'),
    0,
  );
  return addUp(values).replace(/avg_ttl=\d+/, `avg_ttl=${expires === 0 ? 0 : Math.round(ttls / expires)}`);
}

/** What follows from the sums. */
function completeMemory(fields: Fields): void {
  for (const name of fields.keys()) {
    const bytes = fields.get(name.replace(/_human$/, ''));
    if (name.endsWith('_human') && bytes !== undefined) fields.set(name, human(Number(bytes)));
  }
  const of = (name: string) => Number(fields.get(name));
  const used = of('used_memory');
  const share = (part: number, whole: number) => `${((part * 100) / whole).toFixed(2)}%`;
  const derived: Record<string, string> = {
    used_memory_peak_perc: share(used, of('used_memory_peak')),
    used_memory_dataset_perc: share(of('used_memory_dataset'), used - of('used_memory_startup')),
    mem_fragmentation_ratio: (of('used_memory_rss') / used).toFixed(2),
  };
  for (const [name, value] of Object.entries(derived)) {
    if (fields.has(name) && !value.startsWith('NaN')) fields.set(name, value);
  }
}

/** As Redis writes sizes: 512B, 1.82M. */
function human(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(5, Math.floor(Math.log2(bytes) / 10));
  return power === 0 ? `${bytes}B` : `${(bytes / 1024 ** power).toFixed(2)}${'BKMGTP'[power]}`;
}
