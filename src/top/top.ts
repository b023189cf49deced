// `heatsink top`: what the dashboard shows, in a terminal.

import type { ReadStream, WriteStream } from 'node:tty';
import { press } from './keys.ts';
import { drawScreen } from './screen.ts';
import { openTerminal } from './terminal.ts';
import { newView, see } from './view.ts';
import { mark, readState, watch } from './watch.ts';

export interface TopOptions {
  readonly admin: URL;
  readonly token: string | null;
}

/** The width of a screen that is printed where there is no terminal. */
const PAPER = 100;

/** Prints one screen without control codes, or the state as JSON; rejects when heatsink cannot be reached. */
export async function printOnce(
  { admin }: TopOptions,
  asJson: boolean,
  output: NodeJS.WritableStream,
): Promise<void> {
  const state = await readState(admin);
  if (asJson) {
    output.write(`${JSON.stringify(state, null, 2)}\n`);
    return;
  }
  const view = newView();
  see(view, state);
  const columns = (output as WriteStream).columns ?? PAPER;
  const lines = drawScreen(view, admin, { columns, rows: Number.POSITIVE_INFINITY, colour: false });
  output.write(`${lines.map((line) => line.trimEnd()).join('\n')}\n`);
}

/** Draws until somebody quits or the signal ends it. */
export async function showTop(
  { admin, token }: TopOptions,
  input: ReadStream,
  output: WriteStream,
  signal: AbortSignal,
): Promise<void> {
  const view = newView();
  const quit = new AbortController();
  const colour = output.hasColors();
  const draw = () =>
    terminal.draw(drawScreen(view, admin, { columns: output.columns, rows: output.rows, colour }));

  async function act(): Promise<void> {
    const { prompt } = view;
    if (prompt?.kind !== 'confirm') return;
    view.prompt = null;
    try {
      await mark(admin, prompt.way, prompt.key, token);
      view.said = `done: ${prompt.way}`;
    } catch (error) {
      view.said = (error as Error).message;
    }
    draw();
  }

  const terminal = openTerminal(input, output, {
    resized: draw,
    pressed(key) {
      const wish = press(view, key);
      if (wish?.kind === 'quit') quit.abort();
      else if (wish?.kind === 'mark') void act();
      draw();
    },
  });
  draw();
  try {
    await watch(
      admin,
      {
        state(state) {
          see(view, state);
          draw();
        },
        lost(reason) {
          view.lost = reason;
          draw();
        },
      },
      AbortSignal.any([signal, quit.signal]),
    );
  } finally {
    terminal.close();
  }
}
