// One question to a server that no client has asked.

import { type Argument, encodeRequest } from '../resp3/encode.ts';
import { Call } from '../upstream/call.ts';
import type { Lane } from '../upstream/lane.ts';
import { releaseBytes } from '../upstream/outgoing.ts';

/** In place of a reply that is too large to be held (lane.ts). */
export const TOO_LARGE = Buffer.alloc(0);

/** The reply; null when there is none. Never rejects. */
export function ask(lane: Lane, args: readonly Argument[]): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const ended = (reply: Buffer | null): void => {
      releaseBytes(call);
      resolve(reply);
    };
    const call = new Call({
      replied: (_, buf, start, end) => ended(Buffer.from(buf.subarray(start, end))),
      failed: () => ended(null),
      large: () => ({
        begin() {},
        part() {},
        ended: () => ended(TOO_LARGE),
        broken: () => ended(null),
      }),
    });
    const bytes = encodeRequest(args);
    lane.send(call, bytes, 0, bytes.length);
    lane.seal();
  });
}
