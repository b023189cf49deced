// The commands of the upstream, as it describes them itself, to be found by the bytes of a request.

import type { RequestFrame } from '../resp3/request-frame.ts';
import { ALLOWED, type Command, type GuardOf } from './command.ts';
import { CommandNames } from './command-names.ts';
import { type Row, readRow, toCommand } from './describe.ts';
import { LOCAL_ARITY } from './local.ts';
import { OLD_SUBCOMMANDS } from './overlay.ts';
import { isOwnCommand, ownCommandRows } from './own-command.ts';
import { STATEFUL_SUBCOMMANDS } from './stateful.ts';
import { WIDE_ARITY } from './wide.ts';

const LOCAL = [...LOCAL_ARITY.keys()];
const ARITY = new Map([...WIDE_ARITY, ...LOCAL_ARITY]);
const KNOWN = new Set([...OLD_SUBCOMMANDS, ...STATEFUL_SUBCOMMANDS, ...WIDE_ARITY.keys(), ...LOCAL]);
const SUBCOMMANDS_KNOWN = [...KNOWN].filter((name) => name.includes('|'));

export class CommandTable {
  #names = new CommandNames();
  #byName = new Map<string, Command>();
  readonly #guardOf: GuardOf;

  private constructor(guardOf: GuardOf) {
    this.#guardOf = guardOf;
  }

  /**
   * The table from the reply of COMMAND, nested arrays as RESP2 gives them. Throws a TypeError when the reply
   * is not one. Commands that heatsink answers itself are in it even when the server does not know them.
   */
  static from(reply: unknown, guardOf: GuardOf = () => ALLOWED): CommandTable {
    if (!Array.isArray(reply) || reply.length === 0) throw new TypeError('the COMMAND reply is not a list');
    const table = new CommandTable(guardOf);
    // A server's own HOTKEYS knows one node's keys alone.
    const rows = reply.map(readRow).filter(({ name }) => !isOwnCommand(name));
    for (const row of [...rows, ...ownCommandRows().map(readRow)]) table.#add(row);
    for (const name of LOCAL) {
      if (!name.includes('|') && !table.#byName.has(name)) table.#add(ownRow(name));
    }
    return table;
  }

  /**
   * The command that the request names, in either case; its subcommand if it names one of those that a
   * container has, else the container. Null for an unknown command and an empty request.
   */
  find(frame: RequestFrame): Command | null {
    if (frame.argc === 0) return null;
    const { view, start, args } = frame;
    const named = this.#names.lookup(view, start + args[0], args[1] - args[0]);
    if (named === null) return null;
    if (named.subcommands === null || frame.argc === 1) return named.command;
    const sub = named.subcommands.lookup(view, start + args[2], args[3] - args[2]);
    return sub === null ? named.command : sub.command;
  }

  /** By lower-case name (`get`, `config|get`), for whatever is not on the data path. */
  named(name: string): Command | null {
    return this.#byName.get(name) ?? null;
  }

  /** Every command and subcommand. */
  all(): Iterable<Command> {
    return this.#byName.values();
  }

  #add(row: Row): void {
    const command = toCommand(row, this.#guardOf);
    const children = subcommandsOf(row);
    let names: CommandNames | null = null;
    for (const child of children) {
      const sub = toCommand(child, this.#guardOf);
      names ??= new CommandNames();
      names.add(child.name.slice(child.name.indexOf('|') + 1), sub, null);
      this.#byName.set(sub.name, sub);
    }
    this.#byName.set(command.name, command);
    this.#names.add(command.name, command, names);
  }
}

/**
 * The server's own subcommands, and those it does not list though heatsink knows them. A server older than
 * 7.0 lists none: there they are the container's row under another name.
 */
function subcommandsOf(row: Row): Row[] {
  const listed = (row.subcommands ?? []).map(readRow);
  const old = row.keySpecs === null;
  const missing = (old ? SUBCOMMANDS_KNOWN : LOCAL).filter(
    (name) => name.startsWith(`${row.name}|`) && !listed.some((sub) => sub.name === name),
  );
  return [...listed, ...missing.map((name) => ({ ...row, name, arity: ARITY.get(name) ?? row.arity }))];
}

function ownRow(name: string): Row {
  return readRow([name, LOCAL_ARITY.get(name), [], 0, 0, 0]);
}
