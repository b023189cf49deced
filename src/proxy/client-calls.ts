// Questions to servers that a client's request needs asked, outside the order of its other requests.

import { Call } from '../upstream/call.ts';
import type { Lane } from '../upstream/lane.ts';
import { releaseBytes } from '../upstream/outgoing.ts';
import { type Answers, failure } from './answers.ts';
import { type Request, takeRequest } from './request.ts';
import type { Session } from './session.ts';

/** The reply to that request, or the error that says why there is none. Never rejects. */
export function ask(lane: Lane, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const call = new Call({
      replied(_, buf, start, end) {
        releaseBytes(call);
        resolve(Buffer.from(buf.subarray(start, end)));
      },
      failed(_, reason, sent) {
        releaseBytes(call);
        resolve(failure(reason, sent));
      },
    });
    lane.send(call, bytes, 0, bytes.length);
    lane.seal();
  });
}

/** Keeps the client's place in its order for a reply that `settleLater` gives. */
export function expectReply(session: Session, answers: Answers): Request {
  const request = takeRequest(answers);
  request.space = session.space;
  session.enqueue(request);
  return request;
}

/** Gives that reply, outside the work on any server's chunk. */
export function settleLater(session: Session, answers: Answers, request: Request, reply: Buffer): void {
  answers.settle(request, reply, 0, reply.length);
  session.settle();
}
