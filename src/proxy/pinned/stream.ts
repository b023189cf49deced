// SYNC, PSYNC, REPLCONF and SCRIPT DEBUG: from the first of them on, client and server talk past heatsink, byte by
// byte, as what follows is no request and no reply. For redis-cli --rdb, --replica and --ldb, and tools like them.

import { C, type Counters } from '../../counters.ts';
import { errorReply } from '../../resp3/encode.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Topology } from '../../upstream/topology.ts';
import { failure } from '../answers.ts';
import { DONE, HOLD, type Outcome } from '../outcome.ts';
import { takeRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { hasRoom } from './pin-room.ts';

const ONE_SERVER = errorReply(
  'ERR heatsink: this is about one server, and a cluster has several: connect to one of them',
);

/** Turns the client's connection into one with the server. */
export function stream(
  session: Session,
  { buf, start, end }: RequestFrame,
  topology: Topology,
  counters: Counters,
): Outcome {
  if (session.pending > 0) return HOLD;
  if (topology.cluster) {
    counters[C.refused]++;
    session.reply(ONE_SERVER);
    return DONE;
  }
  if (!hasRoom(session, counters, topology.nodes)) return DONE;
  const pins = session.pin();
  const pin = pins.need(topology.nodes[0]);
  // A server begins no stream while replies to what opened the connection are on their way.
  pins.opening = pin.serverId === '' && pin.lane.state !== 'closed';
  if (pins.opening) {
    pin.onServerId(() => session.release());
    return HOLD;
  }
  const { lane } = pin;
  const request = takeRequest({
    replied: (_, bytes, from, to) => session.push(bytes, from, to),
    failed(_, reason, sent) {
      const bytes = failure(reason, sent);
      session.complete(request, bytes, 0, bytes.length);
      session.hangUp();
    },
  });
  request.stream = true;
  lane.streaming = true;
  session.tunnel = lane;
  counters[C.forwarded]++;
  session.enqueue(request);
  lane.send(request, buf, start, end);
  return DONE;
}
