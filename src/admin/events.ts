// The state of heatsink each second, as Server-Sent Events.
// https://html.spec.whatwg.org/multipage/server-sent-events.html

import type { IncomingMessage, ServerResponse } from 'node:http';
import { json, send } from './answer.ts';
import type { Samples } from './samples.ts';

/** More would be no people. */
const MOST_LISTENERS = 100;
/** When a browser that was cut off comes back, in milliseconds. */
const RETRY = 2000;

export type EventStream = (request: IncomingMessage, response: ServerResponse) => void;

/** `show` resolves to what is sent as event `state`; it is asked once for all who listen. */
export function streamEvents(samples: Samples, show: () => Promise<object>): EventStream {
  const listeners = new Set<ServerResponse>();
  let showing = false;

  async function tell(): Promise<void> {
    if (listeners.size === 0 || showing) return;
    showing = true;
    try {
      const state = await show();
      const event = `event: state\ndata: ${JSON.stringify(state)}\n\n`;
      // Who does not take the last one yet gets the next one after this.
      for (const response of listeners) if (!response.writableNeedDrain) response.write(event);
    } finally {
      showing = false;
    }
  }

  samples.subscribe(() => void tell().catch(() => {}));
  return (request, response) => {
    if (listeners.size >= MOST_LISTENERS) {
      send(response, json(503, { error: `${MOST_LISTENERS} listen already` }));
      return;
    }
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write(`retry: ${RETRY}\n\n`);
    listeners.add(response);
    request.on('close', () => listeners.delete(response));
    void tell().catch(() => {});
  };
}
