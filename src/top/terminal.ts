// The terminal while it is ours: a screen of its own that is drawn in place, and keys as they are pressed. Given back
// as it was, however the program ends.

import { emitKeypressEvents } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';

/** A key: its name, such as `up` or `a`, and the character that it gives, if any. */
export interface Pressed {
  readonly name: string;
  readonly text: string;
  readonly ctrl: boolean;
}

export interface Terminal {
  /** Draws the lines from the top; only what differs from before is written. */
  draw(lines: readonly string[]): void;
  close(): void;
}

// https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
const OWN_SCREEN = '\x1b[?1049h\x1b[?25l';
const GIVEN_BACK = '\x1b[?25h\x1b[?1049l';
const CLEAR = '\x1b[2J';

export function openTerminal(
  input: ReadStream,
  output: WriteStream,
  { pressed, resized }: { pressed: (key: Pressed) => void; resized: () => void },
): Terminal {
  let before: readonly string[] = [];
  let open = true;

  function onKey(text: string | undefined, key: { name?: string; ctrl?: boolean }): void {
    pressed({ name: key.name ?? text ?? '', text: text ?? '', ctrl: key.ctrl === true });
  }

  function onResize(): void {
    before = [];
    output.write(CLEAR);
    resized();
  }

  function close(): void {
    if (!open) return;
    open = false;
    input.off('keypress', onKey);
    output.off('resize', onResize);
    process.off('exit', close);
    input.setRawMode(false);
    input.pause();
    output.write(GIVEN_BACK);
  }

  emitKeypressEvents(input);
  input.setRawMode(true);
  input.resume();
  input.on('keypress', onKey);
  output.on('resize', onResize);
  process.on('exit', close);
  output.write(OWN_SCREEN + CLEAR);
  return {
    draw(lines) {
      const shown = lines.slice(0, output.rows);
      const changed = shown.map((line, i) => (line === before[i] ? '' : `\x1b[${i + 1};1H\x1b[K${line}`));
      const gone = before.slice(shown.length).map((_, i) => `\x1b[${shown.length + i + 1};1H\x1b[K`);
      output.write([...changed, ...gone].join(''));
      before = shown;
    },
    close,
  };
}
