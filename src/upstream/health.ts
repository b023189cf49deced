// Whether the upstream answers at all, asked once in a while over the control connection.

import type { Control } from './control.ts';

export interface Health {
  /** Why the upstream cannot be used, or null. */
  readonly trouble: string | null;
  close(): void;
}

/** Between two questions, in milliseconds. */
const INTERVAL = 1000;

/** Watches whether any known server answers PING; `changed` is told when that is no longer as it was. */
export function watchHealth(control: Control, changed: (trouble: string | null) => void): Health {
  let trouble: string | null = null;
  let asking = false;

  async function ask(): Promise<void> {
    if (asking) return;
    asking = true;
    const now = await control.call('PING', 'heatsink').then(
      () => null,
      (error: Error) => `no server answers: ${error.message}`,
    );
    asking = false;
    if ((now === null) !== (trouble === null)) changed(now);
    trouble = now;
  }

  const timer = setInterval(ask, INTERVAL).unref();
  return {
    get trouble() {
      return trouble;
    },
    close: () => clearInterval(timer),
  };
}
