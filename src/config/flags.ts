// The flags of the command line, made from the schema.

import { type Command, Option as Flag } from 'commander';
import { describeDefault } from './option.ts';
import { OPTION_ENTRIES } from './schema.ts';

/** Gives the command a flag for every option that has one, under the schema's headings. */
export function addConfigFlags(command: Command): Command {
  for (const [, option] of OPTION_ENTRIES) {
    if (option.flag === null) continue;
    const doc = `${option.doc} (default: ${describeDefault(option)})`;
    // A switch may stand alone, and then means on.
    const argument = option.argument === 'on|off' ? '[on|off]' : `<${option.argument}>`;
    command.addOption(new Flag(`--${option.flag} ${argument}`, doc).helpGroup(`${option.group}:`));
  }
  return command;
}

/** The values that were typed, by flag name, unchecked. */
export function readConfigFlags(command: Command): Record<string, string> {
  const typed = command.options.filter(
    (flag) => command.getOptionValueSource(flag.attributeName()) === 'cli',
  );
  return Object.fromEntries(
    typed.map((flag) => {
      const value = command.getOptionValue(flag.attributeName());
      return [flag.long?.slice(2), value === true ? 'on' : value];
    }),
  );
}
