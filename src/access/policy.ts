// Who may send which command, by the configured policy: rules for a command, a container or a group, and defaults.
// https://redis.io/docs/latest/operate/oss_and_stack/management/security/

import { argumentText } from '../commands/argument.ts';
import { ADMIN_ONLY, ALLOWED, type Command, DENIED, type Guard } from '../commands/command.ts';
import type { CommandTable } from '../commands/table.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { GROUPS, HARMLESS, type Level, SECRETS } from './guarded.ts';

const GUARDS: Readonly<Record<Level, Guard>> = { allow: ALLOWED, admin: ADMIN_ONLY, deny: DENIED };

const GROUP_OF: ReadonlyMap<string, string> = new Map(
  Object.entries(GROUPS).flatMap(([group, { names }]) => names.map((name) => [name, group] as const)),
);

export class Policy {
  readonly #cluster: boolean;
  readonly #rules: ReadonlyMap<string, Level>;
  /** Commands whose first argument may change what holds for them. */
  readonly #containers: ReadonlySet<string>;

  /** Rules by group, command or `container|subcommand`, in lower case. `cluster`: there is one to be changed. */
  constructor(rules: Readonly<Record<string, Level>>, cluster = true) {
    this.#cluster = cluster;
    this.#rules = new Map(Object.entries(rules));
    const named = [...this.#rules.keys(), ...GROUP_OF.keys(), ...HARMLESS];
    this.#containers = new Set(named.filter((name) => name.includes('|')).map(containerOf));
  }

  /**
   * The guard that the table notes for a command: `ALLOWED` only if no request of it can meet more. `flagged`: the
   * server calls it administrative.
   */
  guardOf(name: string, flagged: boolean): Guard {
    if (this.#containers.has(name) || name === 'config|get')
      return Math.max(this.#levelOf(name, flagged), ADMIN_ONLY) as Guard;
    return this.#levelOf(name, flagged);
  }

  /** What holds for this request of a command whose guard is not `ALLOWED`. */
  decide(command: Command, frame: RequestFrame): Guard {
    const name = this.#nameOf(command, frame);
    const guard = this.#levelOf(name, command.flaggedAdmin);
    if (name === 'config|get' && guard === ALLOWED && asksForSecrets(frame)) return ADMIN_ONLY;
    return guard;
  }

  /** Why the request is refused by that guard, ready for `errorReply`. */
  reason(guard: Guard, command: Command, frame: RequestFrame): string {
    const name = this.#nameOf(command, frame);
    const group = this.#groupOf(name, command.flaggedAdmin);
    const places = group === null || this.#ruleFor(name) !== undefined ? [name] : [name, group];
    const who = guard === DENIED ? 'denied' : 'for admins only';
    const words = name.replace('|', ' ').toUpperCase();
    const settings = places.map((place) => `"${place}"`).join(' or ');
    return `NOPERM heatsink: ${words} is ${who}: see ${settings} under policy in heatsink's configuration`;
  }

  /** Rules that name neither a group nor a command of that table: perhaps a module's, perhaps a mistake. */
  unknown(table: CommandTable): string[] {
    return [...this.#rules.keys()].filter((rule) => {
      if (Object.hasOwn(GROUPS, rule) || GROUP_OF.has(rule)) return false;
      // Not every server lists its subcommands, and DEBUG's are listed by none.
      return table.named(rule) === null && !(rule.startsWith('debug|') && table.named('debug') !== null);
    });
  }

  #levelOf(name: string, flagged: boolean): Guard {
    // A server alone says that it is no cluster.
    if (!this.#cluster && name.startsWith('cluster|')) return ALLOWED;
    const rule = this.#ruleFor(name);
    if (rule !== undefined) return GUARDS[rule];
    const group = this.#groupOf(name, flagged);
    return group === null ? ALLOWED : GUARDS[this.#rules.get(group) ?? GROUPS[group].level];
  }

  /** `container|subcommand` also where the table has no row for the subcommand. */
  #nameOf({ name }: Command, frame: RequestFrame): string {
    if (frame.argc < 2 || !this.#containers.has(name)) return name;
    // Redis prints so much of a name that a client has sent.
    return `${name}|${argumentText(frame, 1).toLowerCase().slice(0, 128)}`;
  }

  #ruleFor(name: string): Level | undefined {
    return this.#rules.get(name) ?? this.#rules.get(containerOf(name));
  }

  #groupOf(name: string, flagged: boolean): string | null {
    const group = GROUP_OF.get(name) ?? GROUP_OF.get(containerOf(name));
    if (group !== undefined) return group;
    return flagged && !HARMLESS.has(name) && !name.endsWith('|help') ? 'admin' : null;
  }
}

function containerOf(name: string): string {
  const bar = name.indexOf('|');
  return bar < 0 ? name : name.slice(0, bar);
}

/** Whether CONFIG GET may show a password: it names one, or has a pattern that begins as one does. */
function asksForSecrets(frame: RequestFrame): boolean {
  for (let i = 2; i < frame.argc; i++) {
    const pattern = argumentText(frame, i).toLowerCase();
    const [literal] = pattern.split(/[*?[\\]/, 1);
    const exact = literal.length === pattern.length;
    if (SECRETS.some((secret) => (exact ? secret === literal : secret.startsWith(literal)))) return true;
  }
  return false;
}
