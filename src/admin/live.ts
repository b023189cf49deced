// What the admin server of a proxy has besides metrics and health: its state from second to second, and actions.

import type { Logger } from 'pino';
import { type Actions, createActions } from './actions.ts';
import { type Answer, json } from './answer.ts';
import { type EventStream, streamEvents } from './events.ts';
import { takeSamples } from './samples.ts';
import type { ProxySource } from './snapshot.ts';
import { showState } from './state.ts';

export interface Live {
  state(): Promise<Answer>;
  history(): Answer;
  readonly events: EventStream;
  readonly actions: Actions;
  close(): void;
}

/** Looks at the source each second until `close`. */
export function createLive(source: ProxySource, token: string | null, log: Logger): Live {
  const samples = takeSamples(source);
  const show = () => showState(source, samples, token !== null);
  return {
    state: async () => json(200, await show()),
    history: () => json(200, { seconds: 1, points: samples.all }),
    events: streamEvents(samples, show),
    actions: createActions({ source, token, log }),
    close: () => samples.close(),
  };
}
