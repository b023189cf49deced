// HEATSINK: what heatsink alone can tell, and HOTKEYS, which it answers for all nodes. A row here, and the function that
// serves it, make a subcommand.

import { arrayReply, errorReply, simpleString } from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { argumentText } from './argument.ts';

interface Subcommand {
  /** The number of arguments with both names, as COMMAND gives it; negative: at least so many. */
  readonly arity: number;
  /** Lines of HELP: how it is written, then what it does. */
  readonly help: readonly string[];
}

const HELP = { arity: 2, help: ['HELP', '    Prints this help.'] };

const CONTAINERS = {
  heatsink: {
    hotkeys: {
      arity: -2,
      help: [
        'HOTKEYS [<count>]',
        '    Return the most read keys with what is done about each of them (default: hot.top of them).',
      ],
    },
    stats: {
      arity: 2,
      help: ['STATS', '    Return all counters and gauges, by the names of INFO heatsink.'],
    },
    tier: {
      arity: -2,
      help: [
        'TIER',
        '    Return how much the local tier keeps, and may keep.',
        'TIER CLEAR',
        '    Drop all that it keeps.',
      ],
    },
    rules: {
      arity: -2,
      help: [
        'RULES',
        '    Return the rules in their order.',
        'RULES <key>',
        '    Return what holds for that key: each setting, its value, and the pattern of the rule that decides it.',
      ],
    },
    bigkeys: {
      arity: -2,
      help: [
        'BIGKEYS [<count>]',
        '    Return keys of which large values were seen, the largest first (default: all that are remembered).',
        '    Each is a map of the key, its database, the most bytes and elements that were seen, the command and',
        '    direction of the most bytes, the Unix times of the first and the last sight, and how often it was seen.',
      ],
    },
    slowlog: {
      arity: -3,
      help: [
        'SLOWLOG GET [<count>]',
        '    Return top <count> entries of the log of slow upstream commands (default: 10, -1 mean all).',
        '    Entries are made of:',
        '    id, timestamp, time in microseconds, arguments array, client IP and port,',
        '    client name, node IP and port',
        'SLOWLOG LEN',
        '    Return the length of that log.',
        'SLOWLOG RESET',
        '    Reset that log.',
      ],
    },
    help: HELP,
  },
  hotkeys: {
    start: {
      arity: -2,
      help: [
        'START METRICS <count> [CPU] [NET] [COUNT <k>] [DURATION <seconds>] [SAMPLE <ratio>] [SLOTS <count> <slot> ...]',
        '    Begin to measure what keys take: CPU, the time of servers as heatsink sees it; NET, bytes of requests and',
        '    replies, those of the local tier too. Of <k> keys (default: 10), for that time, of one in <ratio> requests,',
        '    of keys in those slots.',
      ],
    },
    stop: { arity: -2, help: ['STOP', '    End it. What was measured can still be had.'] },
    get: { arity: -2, help: ['GET', '    Return what was measured in all slots by all workers.'] },
    reset: { arity: -2, help: ['RESET', '    Forget what was measured.'] },
    help: HELP,
  },
} as const satisfies Record<string, Record<string, Subcommand>>;

type Container = keyof typeof CONTAINERS;
type NameIn<Name extends Container> = `${Name}|${Extract<keyof (typeof CONTAINERS)[Name], string>}`;

/** Full names in lower case: `heatsink|bigkeys`. */
export type HeatsinkName = NameIn<'heatsink'>;
export type HotkeysName = NameIn<'hotkeys'>;
export type SubcommandName = HeatsinkName | HotkeysName;

const NAMES = Object.keys(CONTAINERS) as Container[];
const FULL_NAMES: readonly string[] = NAMES.flatMap((name) =>
  Object.keys(CONTAINERS[name]).map((sub) => fullName(name, sub)),
);
/** It is about now, not about when a transaction is executed. */
const FLAGS = ['noscript', 'loading', 'stale', 'no_multi'];

/** Those that tell of keys or clients, in full lower case. */
export const TELLING: readonly string[] = FULL_NAMES.filter((name) => !name.endsWith('|help'));

/** Whether that is one of these commands or subcommands, by its lower-case name. */
export function isOwnCommand(name: string): boolean {
  return (NAMES as readonly string[]).includes(name.split('|')[0]);
}

/** What rows of COMMAND say of them. */
export function ownCommandRows(): unknown[][] {
  return NAMES.map((name) => {
    const subcommands = Object.entries<Subcommand>(CONTAINERS[name]).map(([sub, { arity }]) =>
      rawRow(fullName(name, sub), arity, []),
    );
    return rawRow(name, -2, subcommands);
  });
}

/** The subcommand of that name; null for a container, which no request is meant for. */
export function subcommandOf(name: string): SubcommandName | null {
  return FULL_NAMES.includes(name) ? (name as SubcommandName) : null;
}

/** In the manner of Redis's HELP. */
export function helpReply(name: Container): Buffer {
  const title = `${name.toUpperCase()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`;
  const lines = Object.values<Subcommand>(CONTAINERS[name]).flatMap(({ help }) => help);
  return arrayReply([title, ...lines].map(simpleString));
}

/** Redis's words for a subcommand that there is not: the argument at that place. */
export function unknownSubcommand(frame: RequestFrame, at: number, name: string): Buffer {
  // It prints so much of what a client has sent, as a C string.
  const word = argumentText(frame, at).slice(0, 128).split('\0')[0];
  return errorReply(`ERR unknown subcommand '${word}'. Try ${name.toUpperCase()} HELP.`);
}

export function wrongNumber(name: string): Buffer {
  return errorReply(`ERR wrong number of arguments for '${name}' command`);
}

function fullName(name: string, sub: string): string {
  return `${name}|${sub}`;
}

function rawRow(name: string, arity: number, subcommands: unknown[]): unknown[] {
  // Help tells nobody of keys or clients.
  const flags = name.endsWith('|help') ? FLAGS : ['admin', ...FLAGS];
  return [name, arity, flags, 0, 0, 0, [], [], [], subcommands];
}
