// What a page shows of a terminal: `$ ` and a command, and below it what that printed. Outputs are compared in
// structure: numbers may be others, spaces more or fewer, and `...` stands for anything, lines or a part of one.

export interface Step {
  readonly command: string;
  readonly printed: readonly string[];
}

/** Lines that end in a backslash go on in the next one. */
export function stepsOf(lines: readonly string[]): Step[] {
  const steps: { command: string; printed: string[] }[] = [];
  let goesOn = false;
  for (const line of lines) {
    const last = steps.at(-1);
    if (goesOn && last !== undefined) last.command += `\n${line}`;
    else if (line.startsWith('$ ')) steps.push({ command: line.slice(2), printed: [] });
    else if (last === undefined) throw new Error(`what is this the output of? ${line}`);
    else last.printed.push(line);
    goesOn = line.endsWith('\\') && (goesOn || line.startsWith('$ '));
  }
  return steps;
}

/** What scripts/setup.mjs says on a machine that has not got everything yet. */
const SETUP = /^setup: /;

/**
 * Whether the output is what was printed. With `begins` more may follow.
 */
export function fits(printed: readonly string[], output: string, begins = false): boolean {
  // What a carriage return has overwritten is not to be seen any more.
  const shown = output.split('\n').map((line) => line.trimEnd().slice(line.trimEnd().lastIndexOf('\r') + 1));
  const lines = shown.filter((line) => line.trim() !== '' && !SETUP.test(line));
  const wanted = printed.filter((line) => line.trim() !== '' && !SETUP.test(line));
  const matches = (i: number, j: number): boolean => {
    if (i === wanted.length) return begins || j === lines.length;
    if (wanted[i].trim() === '...') return matches(i + 1, j) || (j < lines.length && matches(i, j + 1));
    return j < lines.length && lineFits(wanted[i], lines[j]) && matches(i + 1, j + 1);
  };
  return matches(0, 0);
}

function lineFits(wanted: string, line: string): boolean {
  const parts = shapeOf(wanted)
    .split('...')
    .map((part) => part.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(shapeOf(line));
}

/** The line with `#` for each number, sign and padding included. */
function shapeOf(line: string): string {
  return line
    .replaceAll('...', '\0')
    .replace(/[\s+-]*\d[\d,.:]*/g, '#')
    .replace(/\s+/g, ' ')
    .trim()
    .replaceAll('\0', '...');
}
