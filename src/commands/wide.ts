// Commands that are more than one request to one node, or whose reply heatsink completes: proxy/wide.ts serves
// them. In front of a single server most of them pass through.

const ROWS: readonly string[] = [
  'scan randomkey slowlog|get',
  'info config|get config|set',
  'eval eval_ro evalsha evalsha_ro script|load script|exists script|flush',
  'readonly readwrite asking',
  // What changes a cluster is not here: that is refused.
  'cluster cluster|help cluster|slots cluster|shards cluster|nodes cluster|info cluster|keyslot cluster|myid',
  'cluster|myshardid cluster|links cluster|replicas cluster|slaves cluster|count-failure-reports',
  'cluster|countkeysinslot cluster|getkeysinslot cluster|saveconfig cluster|bumpepoch',
];

const WIDE: ReadonlySet<string> = new Set(ROWS.flatMap((names) => names.split(' ')));

/** The subcommands among them: those that an older server's container does not list. */
export const WIDE_SUBCOMMANDS: readonly string[] = [...WIDE].filter((name) => name.includes('|'));

/** Whether the command, by its lower-case name, is one of them. */
export function isWide(name: string): boolean {
  return WIDE.has(name);
}
