// What became of a request at one step of its way.

/** The step has nothing to say: the request goes on as usual. */
export const FORWARD = 0;
/** It is served, or will be. */
export const DONE = 1;
/** It must wait; the session offers it again. */
export const HOLD = 2;
export type Outcome = typeof FORWARD | typeof DONE | typeof HOLD;
