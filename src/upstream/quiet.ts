// Requests of heatsink's own that prepare a connection for a client's: their replies are for nobody.

import { Call, type Carrier } from './call.ts';
import { releaseBytes } from './outgoing.ts';

const UNHEEDED = { replied: releaseBytes, failed: releaseBytes };

/** Sends a request whose reply does not matter, before whatever is sent next. */
export function sendQuietly(lane: Carrier, request: Buffer): void {
  lane.send(new Call(UNHEEDED), request, 0, request.length);
  lane.seal();
}
