// Commands that are more than one request to one node, or whose reply heatsink completes: proxy/wide.ts serves
// them. In front of a single server most of them pass through.

const COMMANDS = 'scan randomkey info eval eval_ro evalsha evalsha_ro readonly readwrite asking cluster';

/**
 * Subcommands by their numbers of arguments, as COMMAND gives those: a server older than 7.0 does not. What changes
 * a cluster is not among them: that is refused.
 */
const SUBCOMMANDS: readonly (readonly [arity: number, names: string])[] = [
  [-4, 'config|set'],
  [-3, 'config|get script|exists'],
  [-2, 'slowlog|get script|flush'],
  [2, 'cluster|help cluster|slots cluster|shards cluster|nodes cluster|info cluster|myid cluster|myshardid'],
  [2, 'cluster|links cluster|saveconfig cluster|bumpepoch'],
  [3, 'script|load cluster|keyslot cluster|countkeysinslot'],
  [3, 'cluster|replicas cluster|slaves cluster|count-failure-reports'],
  [4, 'cluster|getkeysinslot'],
];

export const WIDE_ARITY: ReadonlyMap<string, number> = new Map(
  SUBCOMMANDS.flatMap(([arity, names]) => names.split(' ').map((name) => [name, arity] as const)),
);

const WIDE: ReadonlySet<string> = new Set([...COMMANDS.split(' '), ...WIDE_ARITY.keys()]);

/** Whether the command, by its lower-case name, is one of them. */
export function isWide(name: string): boolean {
  return WIDE.has(name);
}
